"""CORS: Starlette's middleware, with a reason in the log for each preflight that it refuses."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.errors import REASON_MAX
from app.core.exchange import exchange_of


class CORS(CORSMiddleware):
    """Starlette's, with refusals of a preflight that the browser and the log can explain (R-35)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; add headers to the answer of any other request."""
        if _is_preflight(scope):
            response = self._answer_preflight(scope)
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _answer_preflight(self, scope: Scope) -> Response:
        """Starlette's answer; the exchange gets the reason if it is a refusal."""
        headers = Headers(scope=scope)
        response = self.preflight_response(headers)
        if response.status_code == HTTPStatus.OK:
            return response
        refusal = bytes(response.body).decode()
        origin = headers["origin"]
        if self.is_allowed_origin(origin):
            # The browser refuses by the headers of this answer, whatever its status. With a status
            # of success it also names, in its console, the header or method that is not allowed.
            response.status_code = HTTPStatus.OK.value
            asked = {
                name: headers[name]
                for name in headers
                if name.startswith("access-control-request-")
            }
            reason = f"{refusal}: {origin!a} asked for {asked!a}"
        else:
            reason = f"{refusal}: CORS_ORIGINS does not name {origin!a}"
        exchange_of(scope).reason = reason[:REASON_MAX]
        return response


def _is_preflight(scope: Scope) -> bool:
    """Whether a browser asks before it sends the request itself (Fetch standard, CORS protocol)."""
    if scope.get("method") != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers
