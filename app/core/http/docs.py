"""Where the OpenAPI document and its pages are served."""

import re
from base64 import b64encode
from hashlib import sha256

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

# 'unsafe-inline': ReDoc writes styles into the page while it runs. A list of their hashes would
# have to change with each of its versions, and a style can do no harm where nothing can be loaded
# from another host. `blob:`: ReDoc searches in a worker, whose script it makes itself.
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI's and ReDoc's scripts; the pages load nothing from another host.
FILES = StaticFiles(packages=[("fastapi_offline", "static")])
FILES_PATH = "/static-offline-docs"

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def swagger_ui(request: Request) -> Response:
    """Return the document as Swagger UI shows it."""
    prefix = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{prefix}/openapi.json",
        title=f"{request.app.title} - Swagger UI",
        swagger_js_url=f"{prefix}{FILES_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{prefix}{FILES_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{prefix}{FILES_PATH}/favicon.png",
    )
    return _with_policy(bytes(page.body))


@router.get("/redoc")
async def redoc(request: Request) -> Response:
    """Return the document as ReDoc shows it, with its schemas."""
    prefix = request.scope.get("root_path", "")
    page = get_redoc_html(
        openapi_url=f"{prefix}/openapi.json",
        title=f"{request.app.title} - ReDoc",
        redoc_js_url=f"{prefix}{FILES_PATH}/redoc.standalone.js",
        redoc_favicon_url=f"{prefix}{FILES_PATH}/favicon.png",
        with_google_fonts=False,
    )
    # an option that FastAPI's function does not have
    html = bytes(page.body).replace(b"<redoc ", b'<redoc schema-definitions-tag-name="schemas" ')
    return _with_policy(html)


def _with_policy(html: bytes) -> Response:
    """The page, whose inline scripts run by their hashes (CSP Level 3, 6.7.3)."""
    hashes = []
    for script in re.findall(rb"<script>(.*?)</script>", html, re.DOTALL):
        digest = b64encode(sha256(script).digest()).decode()
        hashes.append(f"'sha256-{digest}'")
    policy = POLICY.format(scripts=" ".join(hashes))
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


@router.get(FILES_PATH + "/{name}")
async def file(request: Request, name: str) -> Response:
    """Return a file of the pages, the whole of it."""
    # Starlette refuses some ranges in plain text. Range may be ignored (RFC 9110, 14.2).
    headers = request.scope["headers"]
    request.scope["headers"] = [header for header in headers if header[0] != b"range"]
    return await FILES.get_response(name, request.scope)
