"""How uvicorn runs the application, HTTP/1.1 with limits, and a container's check of its health.

The only room that imports `uvicorn.protocols`.
"""
