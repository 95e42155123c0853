"""uvicorn as `serve` runs it: in one process or several, until a signal."""

import math
import os
import signal
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import uvicorn

from app.core.protocol import Protocol
from app.core.settings import Settings


def end_in_order() -> None:
    """Have SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl+C does, so that what was started is stopped.

    Before this call SIGTERM ends the process at once, even inside libpq.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        # uvicorn handles SIGTERM, and not this one
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def run(app: str, settings: Settings) -> None:
    """Serve an application, given as "module:attribute", until a signal."""
    end_in_order()
    with ExitStack() as stack:
        if settings.web_concurrency > 1:  # the processes add their metrics up there
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(TemporaryDirectory(prefix="todo-api-metrics-"))
        uvicorn.run(
            app,
            http=Protocol,
            workers=settings.web_concurrency,
            timeout_worker_healthcheck=60,  # longer than a start takes on a slow machine: such a process is killed
            host=settings.host,
            port=settings.port,
            log_config=None,  # the lifespan sets the log up
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=math.ceil(settings.request_timeout),
        )


def greeting(settings: Settings) -> list[str]:
    """Where the documentation is, and whose tokens and whose pages are accepted, one line for each."""
    hs256 = "HS256 under BETTER_AUTH_SECRET, or development's own secret"
    issuers = {f"keys from {settings.jwks_url}": settings.auth_origin, hs256: "any" if settings.secret else None}
    lines = [f"Todo API: http://{settings.host}:{settings.port}/docs"]
    for keys, issuer in issuers.items():
        if issuer:
            lines.append(f"Tokens: {keys}; iss {settings.jwt_issuer or issuer}, aud {settings.jwt_audience or issuer}")
    return [*lines, f"Pages: {', '.join(settings.allowed_origins) or 'none on another origin'} (CORS_ORIGINS)"]
