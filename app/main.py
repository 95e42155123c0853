"""The application, wired: layers, routes, documentation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app import queries, router
from app.core import health
from app.core.auth import Authentication, Verifier
from app.core.database import Pool
from app.core.errors import handle
from app.core.logs import log_as_json, writer
from app.core.metrics import Metrics
from app.core.metrics import router as metrics_router
from app.core.middleware import CORS, HSTS, ErrorBoundary, Observability
from app.core.openapi import document
from app.core.settings import Settings, SettingsError, load

ABOUT = """Each person's tasks, and nobody else's. Sign in with Better Auth and send its JWT as a bearer token."""

REQUEST_HEADERS = ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-ID"]


def create_app(settings: Settings) -> FastAPI:
    """Make the application; nothing is connected to until the first request.

    Raises SettingsError where there is no database to connect to.
    """
    pool, probe = Pool(settings.url, settings.database_pool_size), Pool(settings.url, 1, patient=False)

    verifier = Verifier(settings)
    metrics = Metrics(pool, verifier)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        log_as_json()
        if find_spec("opentelemetry.sdk"):
            from app.core.tracing import scrub_spans  # noqa: PLC0415 - an optional extra

            scrub_spans()
        yield {"headers": [HSTS] if settings.production else []}  # for what the protocol itself refuses
        if verifier.keys:
            await verifier.keys.close()
        pool.close()
        probe.close()
        writer.flush()

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
    app.state.database, app.state.metrics, app.state.settings = pool, metrics, settings
    app.state.probe, app.state.readiness = probe, queries.READY
    # first, since they are looked through in order; flat, where include_router would nest: the log and a 405's
    # Allow look routes up by their path
    app.router.routes[:0] = [*router.router.routes, *health.router.routes, *metrics_router.routes]
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
