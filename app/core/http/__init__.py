"""What FastAPI by itself does not promise: one envelope, strict requests, OpenAPI, health."""
