"""Where the OpenAPI document and its pages are served."""

import re
from base64 import b64encode
from hashlib import sha256

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

# ReDoc writes styles while it runs (no list of hashes would outlive its version), and searches in a worker from a
# blob; a style can do no harm if nothing can be loaded from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGES = {
    one.path: one.endpoint
    for one in FastAPIOffline(title="Todo API").routes
    if isinstance(one, APIRoute)
}
"""What makes each page; fastapi-offline has it as the routes of an application."""
FILES = StaticFiles(packages=[("fastapi_offline", "static")])
router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
@router.get("/redoc")
async def page(request: Request) -> Response:
    """Return a page that shows the document, with its schemas; inline scripts run by hashes (CSP Level 3, 6.7.3)."""
    shown = await PAGES[request.scope["route"].path](request)
    html = shown.body.replace(b"<redoc ", b'<redoc schema-definitions-tag-name="schemas" ')
    hashes = [
        b64encode(sha256(script).digest())
        for script in re.findall(rb"<script>(.*?)</script>", html, re.DOTALL)
    ]
    scripts = " ".join(f"'sha256-{one.decode()}'" for one in hashes)
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY.format(scripts=scripts)})


@router.get("/static-offline-docs/{name}")
async def file(request: Request, name: str) -> Response:
    """Return a file of the pages; Range may be ignored (RFC 9110, 14.2), and Starlette refuses some in plain text."""
    request.scope["headers"] = [
        header for header in request.scope["headers"] if header[0] != b"range"
    ]
    return await FILES.get_response(name, request.scope)
