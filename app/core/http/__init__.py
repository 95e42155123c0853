"""What FastAPI leaves to an application: one envelope, strict requests, a full contract, health."""
