"""What is answered: rows as JSON, or the envelope of every error."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import RouteContext, iter_route_contexts
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from app.core.errors import REASON_MAX, ApiError, BadRequest, Invalid, NotFound, RequestRefused
from app.core.exchange import exchange_of


class JsonAnswer(Response):
    """Rows as JSON, without white space.

    An endpoint could return the rows themselves. FastAPI would then validate them by the route's
    `response_model`, and a page of 20 rows would be 10 % slower (docs/performance.md). Here
    `response_model` is for OpenAPI alone: a row has the columns that its statement selects, and the
    tests compare every answer with the schema.
    """

    media_type = "application/json"

    def render(self, content: dict[str, Any]) -> bytes:
        """Return the content as UTF-8."""
        return to_json(content)


class MethodNotAllowed(RequestRefused):
    """The path exists, but not with this method."""

    status = 405
    default_detail = "This method is not allowed here."


def _as_api_error(exception: BaseException, scope: Scope) -> ApiError:
    """The error that the caller is told of.

    Endpoints raise ApiErrors. Of Starlette's HTTPException only the statuses that the framework
    itself raises have an error of their own; another status is a mistake of ours, and so a 500.
    """
    match exception:
        case ApiError():
            return exception
        case RequestValidationError():
            return Invalid(exception.errors())
        case HTTPException(status_code=404):
            return NotFound()
        case HTTPException(status_code=405):
            error = MethodNotAllowed()
            # FastAPI's Allow has the methods of one route; all routes of the path count (RFC 9110,
            # 10.2.1)
            error.headers = {"Allow": ", ".join(_allowed_methods(scope))}
            return error
        case HTTPException(status_code=400):  # FastAPI's, if a body can't be read
            return BadRequest()
    return ApiError()


def _allowed_methods(scope: Scope) -> list[str]:
    methods: set[str] = set()
    for route in routes_of_path(scope):
        methods |= route.methods or set()
    return sorted(methods)


def routes_of_path(scope: Scope) -> Iterator[RouteContext]:
    """The routes whose path is the request's, whatever their method."""
    for route in iter_route_contexts(scope["app"].routes):
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            yield route


async def answer_exception(request: Request, exception: BaseException) -> Response:
    """Answer any exception with the envelope; leave what the log needs in the exchange."""
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
    body: dict[str, Any] = {
        "detail": error.detail,
        "error_code": error.code,
        "timestamp": timestamp,
    }
    if error.errors is not None:
        body["errors"] = error.errors
    return body
