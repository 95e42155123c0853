"""The benchmark: what a request costs here, as a ratio to FastAPI's own authenticated hello world."""
