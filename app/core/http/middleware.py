"""The layers around the routes: request id, deadline, log line and metrics; the handler of all exceptions."""

import re
import time
from asyncio import CancelledError
from random import getrandbits

from fastapi import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.deadline import set_deadline
from app.core.http.answers import handle
from app.core.observability.logs import trace, write_line
from app.core.observability.metrics import Metrics
from app.core.settings import Settings

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ANSWER_SHARE = 0.1
"""The share of the request's time that is left for the answer after a statement has timed out."""
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that did not wait for its answer; only logged (RFC 9110 has none)."""
API_HEADERS = [(b"cache-control", b"private, no-cache"), (b"x-content-type-options", b"nosniff")]
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Observability:
    """The outermost layer: it adds headers to every answer, and logs and counts every request."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._seconds = settings.request_timeout * (1 - ANSWER_SHARE)
        self._always = [HSTS] if settings.production else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the request's deadline, run the application, then log and count the request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        set_deadline(self._seconds)
        request_id = _request_id(scope)
        headers = [(b"x-request-id", request_id), *self._always]
        if f"{scope['path']}/".startswith("/api/"):
            headers += API_HEADERS
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                gone = getattr(scope["state"].get("cycle"), "disconnected", False)
                status = CLIENT_CLOSED_REQUEST if gone else message["status"]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            seconds, state, endpoint = time.perf_counter() - began, scope["state"], _endpoint(scope)
            error_code, exception = state.get("error_code"), state.get("exception")
            more = {
                "error_code": error_code,
                "reason": state.get("reason"),
                "exception": trace(exception),
            }
            self._metrics.count(scope["method"], endpoint or "none", status, error_code, seconds)
            write_line(
                request_id=request_id.decode(),
                user_id=state.get("user_id"),
                method=scope["method"],
                endpoint=endpoint,
                status=status,
                duration_ms=round(seconds * 1000, 2),
                **{name: value for name, value in more.items() if value},
            )


def _request_id(scope: Scope) -> bytes:
    """The caller's own id if it is safe in a log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%032x" % getrandbits(128)


def _endpoint(scope: Scope) -> str | None:
    """The route's template; a request that was refused before routing is matched here."""
    if "route" in scope:
        return str(scope["route"].path)
    return next(
        (route.path for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE),
        None,
    )


class ErrorBoundary:
    """Turns every exception, before and after routing, into the envelope.

    It is inside the layers that add headers, so that a 500, too, has its request id and CORS headers; Starlette's
    handler of last resort is outside of them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; if the answer has already begun, the server refuses a second one and closes."""
        try:
            await self.app(scope, receive, send)
        except (
            Exception,
            CancelledError,
        ) as exception:  # uvicorn cancels what a stop does not wait for
            response = await handle(Request(scope), exception)
            await response(scope, receive, send)
