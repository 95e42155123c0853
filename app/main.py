"""The application, wired: layers, routes, documentation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app import router
from app.core import health, observability
from app.core.auth import Authentication, Verifier
from app.core.database import Pool
from app.core.errors import BadRequest, ErrorBoundary, envelope, handle
from app.core.observability import Metrics, Observability, log_as_json
from app.core.openapi import document
from app.core.settings import Settings, SettingsError, load

ABOUT = """Each person's tasks, and nobody else's. Sign in with Better Auth and send its JWT as a bearer token."""

REQUEST_HEADERS = ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-ID"]


class CORS(CORSMiddleware):
    """Starlette's, but a refused preflight is told in the envelope."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        refusal = envelope(BadRequest(bytes(response.body).decode()))
        refusal.headers.update({"Vary": response.headers["Vary"]})
        return refusal


def create_app(settings: Settings) -> FastAPI:
    """Make the application; nothing is connected to until the first request.

    Raises SettingsError where there is no database to connect to.
    """
    pool, probe = Pool(settings.url, settings.database_pool_size), Pool(settings.url, 1)

    verifier = Verifier(settings)
    metrics = Metrics(pool, verifier)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log_as_json()
        if find_spec("opentelemetry.sdk"):
            from app.core.tracing import scrub_spans  # noqa: PLC0415 - an optional extra

            scrub_spans()
        yield
        if verifier.keys:
            await verifier.keys.close()
        pool.close()
        probe.close()

    app = FastAPIOffline(
        title="Todo API",
        version=version("todo-api"),
        description=ABOUT,
        openapi_tags=[{"name": "tasks"}, {"name": "health"}],
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"metrics": False, "logs": False, "operation_spans": False, "auto_configure": True},
        exception_handlers={HTTPException: handle, RequestValidationError: handle},
        middleware=[
            Middleware(Observability, settings=settings, metrics=metrics),
            Middleware(
                CORS,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=REQUEST_HEADERS,
                expose_headers=["ETag", "Link", "Location", "Retry-After", "X-Request-ID"],
            ),
            Middleware(ErrorBoundary),
            Middleware(Authentication, verifier=verifier, https_only=settings.production),
        ],
    )
    app.state.database, app.state.probe, app.state.metrics, app.state.settings = pool, probe, metrics, settings
    # first, since they are looked through in order; flat, where include_router would nest: the log and a 405's
    # Allow look routes up by their path
    app.router.routes[:0] = [*router.router.routes, *health.router.routes, *observability.router.routes]
    document(app)
    return app


def __getattr__(name: str) -> Any:
    """Make `app` when it is first asked for, as `uvicorn app.main:app` does; importing makes nothing."""
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app(load())
    except SettingsError as problem:
        raise SystemExit(str(problem)) from None
