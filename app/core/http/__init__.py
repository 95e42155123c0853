"""What FastAPI leaves to an application.

A deadline, an id and a log line for each request, one envelope, strict requests, CORS, a full
contract, the documentation's pages, health.
"""
