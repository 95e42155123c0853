"""From an exception to the envelope of every error."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from app.core.errors import REASON_MAX, ApiError, BadRequest, Invalid, NotFound
from app.core.exchange import exchange_of


class MethodNotAllowed(BadRequest):
    """The path exists, but not with this method; `Allow` has those of all its routes (RFC 9110, 10.2.1)."""

    status, default_detail = 405, "This method is not allowed here."

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        here = [route for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE]
        self.headers = {
            "Allow": ", ".join(sorted({method for route in here for method in route.methods}))
        }


def _as_api_error(exception: BaseException, scope: Scope) -> ApiError:
    match exception:
        case ApiError():
            return exception
        case RequestValidationError():
            return Invalid(exception.errors())
        case HTTPException(status_code=404):
            return NotFound()
        case HTTPException(status_code=405):
            return MethodNotAllowed(scope)
        case HTTPException(status_code=400):  # FastAPI's, if a body can't be read
            return BadRequest()
    return ApiError()


async def handle(request: Request, exception: BaseException) -> Response:
    """Answer any exception with the envelope; leaves what the log needs in the exchange."""
    error = _as_api_error(exception, request.scope)
    exchange = exchange_of(request.scope)
    exchange.error_code = error.code.value
    if error.reason:
        exchange.reason = error.reason[:REASON_MAX]
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        exchange.exception = exception
    return envelope(error)


def envelope(error: ApiError) -> Response:
    """The response for an error."""
    body = problem(error, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return Response(json.dumps(body), error.status, error.headers, media_type="application/json")


def problem(error: ApiError, timestamp: str) -> dict[str, Any]:
    """The response's body, a Problem."""
    body = {"detail": error.detail, "error_code": error.code, "timestamp": timestamp}
    return body | ({"errors": error.errors} if error.errors is not None else {})
