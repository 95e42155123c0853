"""What any FastAPI service on PostgreSQL behind Better Auth needs; nothing here knows what a task is."""
