"""`/docs` and `/redoc` under a Content-Security-Policy: they load nothing from elsewhere and run no injected script."""

import re
from base64 import b64encode
from functools import partial
from hashlib import sha256
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import MethodNotAllowed

# ReDoc writes styles while it runs, whose hashes change with its version, and searches in a worker from a blob; an
# inline style is harmless where nothing can be loaded from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def document(app: FastAPI) -> None:
    """Name each operation after its function, put the policy on the two pages, and serve all of it by GET alone."""
    for route in app.routes:
        if isinstance(route, Route) and route.methods:
            route.methods.discard("HEAD")
        if isinstance(route, APIRoute):
            route.operation_id = route.name
            if route.path in {"/docs", "/redoc"}:
                route.app = request_response(partial(_guarded, route.endpoint))
        if isinstance(route, Mount):
            route.app = partial(_whole_file, route.app)


async def _whole_file(files: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file of the pages; Range may be ignored (RFC 9110, 14.2), and Starlette refuses some in plain text."""
    if scope["method"] != "GET":
        raise MethodNotAllowed(headers={"Allow": "GET"})
    headers = [header for header in scope["headers"] if header[0] != b"range"]
    await files({**scope, "headers": headers}, receive, send)


async def _guarded(page: Any, request: Request) -> HTMLResponse:
    """The page, in ReDoc's case with the schemas; its inline scripts may run, by their hashes (CSP Level 3, 6.7.3)."""
    html = (await page(request)).body.replace(b"<redoc ", b'<redoc schema-definitions-tag-name="schemas" ')
    hashes = [b64encode(sha256(script).digest()) for script in re.findall(rb"<script>(.*?)</script>", html, re.DOTALL)]
    scripts = " ".join(f"'sha256-{one.decode()}'" for one in hashes)
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY.format(scripts=scripts)})
