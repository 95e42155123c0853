"""What tests and steps stand on: a real PostgreSQL, a really running service, people who call it."""
