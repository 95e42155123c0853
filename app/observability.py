"""What an operator sees of a request: its id in the answer, and one JSON line on stdout."""

import json
import re
import sys
import time
import traceback
from datetime import UTC, datetime
from random import getrandbits

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database import start_clock
from app.settings import Settings

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ANSWERING = 0.1
"""The share of the request's time that is kept for the answer, after the database was given up."""
API_HEADERS = [(b"cache-control", b"private, no-cache"), (b"x-content-type-options", b"nosniff")]
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Observability:
    """The outermost layer: what it adds, every answer carries, and what it writes, every request leaves."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._seconds = settings.request_timeout * (1 - ANSWERING)
        self._always = [HSTS] if settings.production else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the request's clock, run the application and log what came of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        start_clock(self._seconds)
        request_id = _request_id(scope)
        headers = [(b"x-request-id", request_id), *self._always]
        if scope["path"].startswith("/api/"):
            headers += API_HEADERS
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            _log(scope, request_id.decode(), status, (time.perf_counter() - began) * 1000)


def _request_id(scope: Scope) -> bytes:
    """The caller's own id where it can do no harm in a log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%032x" % getrandbits(128)


def _log(scope: Scope, request_id: str, status: int, duration_ms: float) -> None:
    state = scope["state"]
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": request_id,
        "user_id": state.get("user_id"),
        "method": scope["method"],
        "endpoint": _endpoint(scope),
        "status": status,
        "duration_ms": round(duration_ms, 2),
        "error_code": state.get("error_code"),
        "exception": _trace(state.get("exception")),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _endpoint(scope: Scope) -> str | None:
    """The route's template; a request that was refused before routing is matched here."""
    if "route" in scope:
        return str(scope["route"].path)
    return next((route.path for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE), None)


def _trace(exception: BaseException | None) -> list[str] | None:
    """Where it happened and what led to it; no messages, since they may hold what a user wrote."""
    if exception is None:
        return None
    here = [*map(str.rstrip, traceback.format_tb(exception.__traceback__)), type(exception).__name__]
    if code := getattr(exception, "pgcode", None):
        here.append(f"SQLSTATE {code}")
    return here + (_trace(exception.__cause__ or exception.__context__) or [])
