"""The outer middleware: what each request has and leaves behind, and an answer to every exception.

RequestContext gives a request its deadline and its id, and leaves its line in the log and its count
in the metrics. ErrorBoundary answers exceptions.
"""

import re
import time
from asyncio import CancelledError
from random import getrandbits

from fastapi import Request
from starlette._utils import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.auth.gate import is_under_api
from app.core.deadline import set_deadline
from app.core.exchange import exchange_of
from app.core.http.answers import answer_exception, routes_of_path
from app.core.observability.logs import traceback_lines, write_line
from app.core.observability.metrics import Metrics
from app.core.settings import Settings

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ANSWER_SHARE = 0.1
"""The share of REQUEST_TIMEOUT that is kept for the answer: a request's deadline is that much
earlier."""
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that hung up before its answer; RFC 9110 has none.

It is logged and counted. There is nobody to send it to.
"""
API_HEADERS = [(b"cache-control", b"private, no-cache"), (b"x-content-type-options", b"nosniff")]
HSTS = (b"strict-transport-security", b"max-age=31536000")


class RequestContext:
    """Sets each request's deadline and its answer's headers, and logs and counts it.

    It is around all other middleware of this application that answers or refuses; only Redaction,
    where traces are made, is outside of it.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        # the rest of REQUEST_TIMEOUT is kept for the answer after a statement has timed out
        self._seconds_to_deadline = settings.request_timeout * (1 - ANSWER_SHARE)
        self._always = [HSTS] if settings.production else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the request's deadline, run the application, then log and count the request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began_at = time.perf_counter()
        set_deadline(self._seconds_to_deadline)
        exchange = exchange_of(scope)
        request_id = _request_id(scope)
        headers = [(b"x-request-id", request_id), *self._always]
        if is_under_api(get_route_path(scope)):  # without what a server's --root-path adds
            headers += API_HEADERS
        status = 0  # logged and counted if no answer begins

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if exchange.is_disconnected():
                    status = CLIENT_CLOSED_REQUEST
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self._report(scope, request_id.decode(), status, time.perf_counter() - began_at)

    def _report(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        """Count the request and write its line of the log."""
        exchange = exchange_of(scope)
        endpoint = _endpoint(scope)
        self._metrics.count(
            scope["method"], endpoint or "none", status, exchange.error_code, seconds
        )
        optional_fields = {
            "error_code": exchange.error_code,
            "reason": exchange.reason,
            "exception": traceback_lines(exchange.exception),
        }
        write_line(
            request_id=request_id,
            user_id=exchange.user_id,
            method=scope["method"],
            endpoint=endpoint,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            **{name: value for name, value in optional_fields.items() if value},
        )


def _request_id(scope: Scope) -> bytes:
    """The caller's own id if it is safe in a log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%032x" % getrandbits(128)


def _endpoint(scope: Scope) -> str | None:
    """The template of the request's route; None if no route has its path."""
    if "route" in scope:
        return str(scope["route"].path)
    # refused before it was routed
    for route in routes_of_path(scope):
        return route.path
    return None


class ErrorBoundary:
    """Answers the exceptions of the middleware inside it, and of routes.

    HTTPException and RequestValidationError of routes have a handler inside of this one (main.py),
    which answers by the same function, `answer_exception`.

    It is inside the middleware that adds headers, so a 500 has its request id and CORS headers.
    Starlette's handler of last resort is outside of them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and answer the exception that it raises.

        If its answer has already begun, the server refuses a second one and closes the connection.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        # At shutdown uvicorn cancels the requests that are still running. They are answered too.
        # The cancellation is not raised on: uvicorn would log it as an error, and nothing comes
        # after the answer.
        except (Exception, CancelledError) as exception:
            response = await answer_exception(Request(scope), exception)
            await response(scope, receive, send)
