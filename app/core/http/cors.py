"""CORS, with refusals of a preflight that a browser and the log can explain."""

from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from app.core.errors import REASON_MAX, BadRequest
from app.core.http.answers import handle

PREFLIGHT_HEADERS = {b"origin", b"access-control-request-method"}


class CORS(CORSMiddleware):
    """Starlette's, with refusals of a preflight that the browser and the log can explain."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer a preflight; add headers to the answer of any other request."""
        is_preflight = scope.get("method") == "OPTIONS" and PREFLIGHT_HEADERS.issubset(
            dict(scope["headers"])
        )
        answer = self._answer_preflight if is_preflight else super().__call__
        return answer(
            scope, receive, send
        )  # not awaited here: a coroutine more takes time for each request

    async def _answer_preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin, response = headers["origin"], self.preflight_response(headers)
        refused = bytes(response.body).decode()
        if not self.is_allowed_origin(origin):
            vary, reason = (
                response.headers["Vary"],
                f"{refused}: CORS_ORIGINS does not name {origin!a}",
            )
            response = await handle(Request(scope), BadRequest(f"{refused}.", reason=reason))
            response.headers["Vary"] = vary
        elif response.status_code != HTTPStatus.OK:
            # a browser names the header or the method only if the status is a success
            response.status_code = HTTPStatus.OK.value
            asked = {
                name: headers[name]
                for name in headers
                if name.startswith("access-control-request-")
            }
            scope["state"]["reason"] = f"{refused}: {origin!a} asked for {asked!a}"[:REASON_MAX]
        await response(scope, receive, send)
