"""What FastAPI alone does not promise: one envelope, strict requests, OpenAPI, health."""
