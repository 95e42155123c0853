"""What FastAPI does not promise by itself: one envelope, strict requests, layers, the contract, health."""
