"""The application: its routes, its middleware, and what it holds.

app/core/__init__.py tells which way a request takes through them.
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app import router, store
from app.core.auth.gate import Authentication
from app.core.auth.tokens import Verifier
from app.core.database.pool import Pool
from app.core.http import docs, health
from app.core.http.answers import answer_exception
from app.core.http.cors import CORS
from app.core.http.middleware import HSTS, ErrorBoundary, RequestContext
from app.core.http.requests import StrictUrl
from app.core.observability import metrics
from app.core.observability.tracing import Redaction
from app.core.server.process import LifespanState, set_up_process
from app.core.settings import PROGRAM, Settings, SettingsError, load_settings

CORS_REQUEST_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
]
TAGS = [
    {"name": "tasks", "description": "The signed-in user's own tasks."},
    {"name": "health", "description": "The state of the service, for load balancers."},
]
NO_TRACES = "No traces are made: OTEL_* is set, but the extra `telemetry` is not installed."
DESCRIPTION = "Each user's own tasks. Sign in with Better Auth and send its JWT as a bearer token."


def create_app(settings: Settings) -> FastAPI:
    """Create the application; it connects to nothing until the first request.

    Raises SettingsError if no database is configured, if DATABASE_URL or a variable for the proxy
    or the certificates can't be used, or if this package is not installed.
    """
    pool = Pool(
        settings.required_database_url, settings.database_pool_size, application_name=PROGRAM
    )
    verifier = Verifier(settings)
    version = _installed_version()
    app_metrics = metrics.Metrics(pool, verifier, version)
    tracing = _is_tracing_configured()
    # FastAPI makes OpenTelemetry's traces by itself (its TelemetryConfig, below). OpenTelemetry's
    # API is always installed with it. The SDK, without which no trace is sent, comes with the extra
    # `telemetry`; where it is missing, FastAPI's own error would name another extra.
    can_trace = tracing and find_spec("opentelemetry.sdk") is not None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[LifespanState]:
        # The protocol (server/protocol.py) answers unreadable requests by itself, and no middleware
        # sees those answers. It takes their headers, and the metrics that count them, from this
        # state. Another server (`fastapi run`) ignores it.
        headers = [HSTS] if settings.production else []
        with set_up_process(), closing(pool):
            if tracing and not can_trace:
                logging.getLogger(__name__).warning(NO_TRACES)
            yield LifespanState(headers=headers, metrics=app_metrics)

    app = FastAPI(
        title="Todo API",
        version=version,
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/"}],
        openapi_tags=TAGS,
        openapi_url=None,  # docs.router serves the document and its pages
        generate_unique_id_function=_operation_id,
        lifespan=lifespan,
        redirect_slashes=False,
        # One span for each request, and none for its parts (operation_spans), sent where the OTEL_*
        # variables say (auto_configure). This service has metrics and a log of its own.
        telemetry=TelemetryConfig(
            tracing=can_trace, metrics=False, logs=False, operation_spans=False, auto_configure=True
        ),
        # ErrorBoundary answers exceptions. FastAPI's own handlers of these two are inside of it and
        # would answer first, so they are replaced.
        exception_handlers={
            HTTPException: answer_exception,
            RequestValidationError: answer_exception,
        },
        middleware=[
            Middleware(RequestContext, settings=settings, metrics=app_metrics),
            Middleware(
                CORS,
                allow_origins=settings.allowed_origins,
                allow_credentials="*" not in settings.allowed_origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=CORS_REQUEST_HEADERS,
                expose_headers=["ETag", "Link", "Location", "Retry-After", "X-Request-ID"],
            ),
            Middleware(ErrorBoundary),
            Middleware(Authentication, verifier=verifier, https_only=settings.production),
            Middleware(StrictUrl),
        ],
    )
    if can_trace:
        app.add_middleware(Redaction)
    app.include_router(router.router)
    app.include_router(health.create_router(health.Readiness(pool, store.READY)))
    app.include_router(metrics.create_router(app_metrics))
    app.include_router(docs.router)
    app.state.store = store.StoreResources(pool, settings.idempotency_hours)
    return app


def _installed_version() -> str:
    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        raise SettingsError(
            "todo-api is not installed: run `pip install --no-deps -e .` in its folder"
        ) from None


def _operation_id(route: APIRoute) -> str:
    # FastAPI's own ids have the path and the method too
    return route.name


def _is_tracing_configured() -> bool:
    """Whether there is a variable of OpenTelemetry's; without one, spans would only cost time."""
    return any(name.startswith("OTEL_") for name in os.environ)


def __getattr__(name: str) -> Any:
    """Create `app` when `uvicorn app.main:app` or `fastapi run app/main.py` asks for it (PEP 562).

    A variable would be created by each import of this module, and `todo-api migrate` and the tests
    could not import `create_app` without settings. Each access creates another one; a server asks
    once.
    """
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app(load_settings())
    except SettingsError as problem:
        raise SystemExit(str(problem)) from None


def __dir__() -> list[str]:
    """The module's names, `app` among them: `fastapi run` looks for it here."""
    return [*globals(), "app"]
