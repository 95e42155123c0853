"""What any FastAPI service on PostgreSQL behind Better Auth needs; it does not know the product."""
