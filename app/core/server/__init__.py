"""How uvicorn runs the application, and HTTP/1.1 with limits.

The only room that imports `uvicorn.protocols`.
"""
