"""`/docs` and `/redoc`, under a policy: they load nothing from elsewhere and run no script that was slipped in."""

import re
from base64 import b64encode
from functools import partial
from hashlib import sha256
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.routing import request_response

# ReDoc writes styles while it runs, of which no hash outlives its version, and searches in a worker from a blob; a
# style can do no harm where nothing can be loaded from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def document(app: FastAPI) -> None:
    """Call each operation what its function is called, and put the two pages, no other route, under the policy."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.name
            if route.path in {"/docs", "/redoc"}:
                route.app = request_response(partial(_guarded, route.endpoint))


async def _guarded(page: Any, request: Request) -> HTMLResponse:
    """The page, in ReDoc's case with the schemas; its inline scripts may run, by their hashes (CSP Level 3, 6.7.3)."""
    html = (await page(request)).body.replace(b"<redoc ", b'<redoc schema-definitions-tag-name="schemas" ')
    hashes = [b64encode(sha256(script).digest()) for script in re.findall(rb"<script>(.*?)</script>", html, re.DOTALL)]
    scripts = " ".join(f"'sha256-{one.decode()}'" for one in hashes)
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY.format(scripts=scripts)})
