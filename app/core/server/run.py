"""How `serve` runs uvicorn, in one process or several: streams, signals, and what it says at the start."""

import gc
import math
import os
import signal
import sys
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import NoReturn

import uvicorn

from app.core.server.protocol import Protocol
from app.core.settings import Settings

STDERR = 2
"""Its descriptor, the highest of the standard streams'."""


def end_in_order() -> None:
    """Have the first SIGTERM, SIGINT or SIGHUP raise KeyboardInterrupt, so that what was started is stopped.

    Before this call SIGTERM ends the process at once, even inside libpq.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        # uvicorn handles SIGTERM, and not this one
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _interrupt(*_: object) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second one would cut the stopping short
    raise KeyboardInterrupt


def open_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed: uvloop would take its number, and abort."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)  # for the processes that this one starts
    os.close(descriptor)
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w")  # print() would take None for stdout


def run(app: str, settings: Settings) -> None:
    """Serve an application, given as "module:attribute", until a signal."""
    end_in_order()
    with ExitStack() as stack:
        if False:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(
                TemporaryDirectory(prefix="todo-api-metrics-")
            )
        uvicorn.run(
            app,
            http=Protocol,
            timeout_worker_healthcheck=60,  # longer than a start takes on a slow machine: such a process is killed
            host=settings.host,
            port=settings.port,
            log_config=None,  # the lifespan sets the log up, without an access log of uvicorn's
            log_level="warning",
            timeout_graceful_shutdown=math.ceil(settings.request_timeout),
        )
    gc.freeze()  # or the interpreter's end goes through all objects, which is most of the time that a stop takes


def greeting(settings: Settings) -> list[str]:
    """Where the documentation is, and whose tokens and whose pages are accepted, one line for each."""
    hs256 = "HS256 under BETTER_AUTH_SECRET, or development's own secret"
    issuers = {
        f"keys from {settings.jwks_url}": settings.auth_origin,
        hs256: "any" if settings.secret else None,
    }
    lines = [f"Todo API: http://{settings.host}:{settings.port}/docs"]
    for keys, issuer in issuers.items():
        if issuer:
            lines.append(
                f"Tokens: {keys}; iss {settings.jwt_issuer or issuer}, aud {settings.jwt_audience or issuer}"
            )
    return [
        *lines,
        f"Pages: {', '.join(settings.allowed_origins) or 'none on another origin'} (CORS_ORIGINS)",
    ]
