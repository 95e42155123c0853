"""Every error that a caller can get: one base, one handler, one envelope (spec: Errors)."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, ClassVar, Self

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_pattern_mismatch": "must not contain NUL",
    "string_unicode": "must be Unicode text, without lone surrogates",
    "model_attributes_type": "must be an object",
}
"""Where pydantic's own words would not end a sentence that a person can read."""
NAME_MAX = 64
"""How much of an unknown field's name is told back."""
ERRORS_MAX = 20
"""How many of a request's errors are told."""
HEADERS = {
    "ETag": "The tag of the task's state, for `If-Match` and `If-None-Match`.",
    "Link": 'The next page, relative to this one, as `<URL>; rel="next"`; there while more tasks remain.',
    "Location": "The new task's URL.",
    "Retry-After": "After how many seconds to try again; there where trying again may help.",
    "WWW-Authenticate": 'The scheme, `Bearer`; with `error="invalid_token"` where a token was sent.',
    "X-Request-ID": "What the log calls this request: the caller's own reference, or a new one.",
}
"""The headers of answers that the documentation describes."""


class ErrorCode(StrEnum):
    """What a program can tell errors apart by."""

    AUTH_MISSING = "AUTH_MISSING"
    AUTH_INVALID = "AUTH_INVALID"
    AUTH_FORBIDDEN = "AUTH_FORBIDDEN"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    NOT_FOUND = "NOT_FOUND"
    DATABASE_ERROR = "DATABASE_ERROR"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Field(description="Where: `body`, `query`, `path` or `header`, then the field.")
    msg: str
    type: str


class Error(BaseModel):
    """The one envelope of every error."""

    detail: str = Field(description="One sentence that can be shown to a person as it is.")
    error_code: ErrorCode
    timestamp: datetime
    errors: list[FieldError] | None = Field(None, description="Validation failures only.")


class ApiError(HTTPException):
    """An error as the caller sees it: a status, a code and one sentence.

    An HTTPException, since FastAPI lets nothing else through that is raised while it reads a body.
    """

    status: ClassVar[int] = 500
    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR
    sentence: ClassVar[str] = "something went wrong here; please try again later"
    with_headers: ClassVar[Mapping[str, str] | None] = None
    errors: Sequence[Mapping[str, Any]] | None = None

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.status, detail or self.sentence, headers or self.with_headers)


class AuthMissing(ApiError):
    """No bearer token was sent (RFC 6750, section 3: no error code then)."""

    status, code, sentence = 401, ErrorCode.AUTH_MISSING, "sign in first: no bearer token was sent"
    with_headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class AuthInvalid(ApiError):
    """A token was sent that is not good; which rule it breaks is nobody's business."""

    status, code, sentence = 401, ErrorCode.AUTH_INVALID, "sign in again: the token is not valid"
    with_headers: ClassVar = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class AuthForbidden(ApiError):
    """The token is good, but for somebody else."""

    status, code, sentence = 403, ErrorCode.AUTH_FORBIDDEN, "these tasks are not yours"


class NotFound(ApiError):
    """No such task for this user, or no such route."""

    status, code, sentence = 404, ErrorCode.NOT_FOUND, "you have no such task"


class BadRequest(ApiError):
    """The request can't be read."""

    status, code, sentence = 400, ErrorCode.VALIDATION_ERROR, "the request can't be understood"


class MethodNotAllowed(BadRequest):
    """The route exists, but not with this method."""

    status, sentence = 405, "this can't be done here"


class PreconditionFailed(BadRequest):
    """The task is there, but not as the caller has seen it."""

    status, sentence = 412, "the task has changed meanwhile: look at it again"


class PayloadTooLarge(BadRequest):
    """The body is over the limit."""

    status, sentence = 413, "the body must have at most 64 KiB"


class Invalid(BadRequest):
    """The request can be read, but breaks a rule; `errors` says which field breaks which, of the first ERRORS_MAX."""

    status, sentence = 422, "the request breaks a rule"

    def __init__(self, errors: Iterable[Mapping[str, Any]]) -> None:
        first, others = (found := list(errors))[:ERRORS_MAX], len(found) - ERRORS_MAX
        self.errors = [{"loc": [*map(_told, e["loc"])], "msg": _message(e), "type": e["type"]} for e in first]
        sentences = [f"{_field(e['loc'])}: {e['msg']}" for e in self.errors]
        super().__init__("; ".join([*sentences, f"and {others} more"] if others > 0 else sentences))

    @classmethod
    def at(cls, source: str, name: str, msg: str, kind: str) -> Self:
        """One field that breaks one rule."""
        return cls([{"loc": (source, name), "msg": msg, "type": kind}])


class KeysUnavailable(ApiError):
    """A token can't be judged, since its key can't be had; a 401 would sign the user out."""

    sentence = "who you are can't be checked right now; please try again"
    with_headers: ClassVar = {"Retry-After": "1"}


class DatabaseError(ApiError):
    """The database failed or is silent."""

    code, sentence = ErrorCode.DATABASE_ERROR, "the tasks can't be reached right now; please try again"
    with_headers: ClassVar = {"Retry-After": "1"}


class DatabaseUnavailable(DatabaseError):
    """The same, as a load balancer is told it at `/health/ready`."""

    status = 503


def headers(*names: str) -> dict[str, Any]:
    """Describe an answer's headers to OpenAPI; every answer has its request's id."""
    text = {"schema": {"type": "string"}}
    return {"headers": {name: {"description": HEADERS[name]} | text for name in (*names, "X-Request-ID")}}


def responses(*errors: ApiError) -> dict[int | str, dict[str, Any]]:
    """What a route can answer besides success, for its OpenAPI `responses`; each error is an example of itself."""
    told: dict[int | str, dict[str, Any]] = {}
    for status in sorted({error.status for error in errors}):
        ones = [error for error in errors if error.status == status]
        said = dict.fromkeys(f"`{one.code}`: {one.sentence}" for one in ones)
        examples = {one.detail: {"value": _body(one, "2025-12-20T11:30:00Z")} for one in ones}
        sent = headers(*(name for one in ones for name in one.headers or ()))
        content = {"application/json": {"examples": examples}}
        told[status] = {"model": Error, "description": "; ".join(said), "content": content} | sent
    return told


def _told(part: str | int) -> str | int:
    """A part of a location as it may be told: a name has an end."""
    return part[:NAME_MAX] if isinstance(part, str) else part


def _field(loc: Sequence[str | int]) -> str:
    """A location as a person reads it, without its source (`body`, `query`, `path`) where a name follows."""
    return ".".join(map(str, loc[1:] or loc))


def _message(error: Mapping[str, Any]) -> str:
    """What is wrong, as the end of a sentence that starts with the field."""
    return MESSAGES.get(error["type"]) or re.sub(r"^\w+ should ", "must ", error["msg"])


def _allowed_methods(scope: Scope) -> str:
    """The methods of all routes at this path (RFC 9110, 10.2.1); Starlette tells those of the first only."""
    here = [route for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in here for method in getattr(route, "methods", None) or ("GET",)}))


def _as_api_error(exception: Exception, scope: Scope) -> ApiError:
    match exception:
        case ApiError():
            return exception
        case RequestValidationError():
            return Invalid(exception.errors())
        case HTTPException(status_code=404):
            return NotFound("there is nothing here")
        case HTTPException(status_code=405):
            return MethodNotAllowed(headers={"Allow": _allowed_methods(scope)})
        case HTTPException(status_code=400):
            return BadRequest()
    return ApiError()


async def handle(request: Request, exception: Exception) -> Response:
    """The one handler: any exception as the envelope. The log finds the error in the request's state."""
    error = _as_api_error(exception, request.scope)
    request.state.error_code = error.code.value
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        request.state.exception = exception
    return envelope(error)


def envelope(error: ApiError) -> Response:
    """Put an error into the one body that all errors have."""
    body = _body(error, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return Response(json.dumps(body), error.status, error.headers, media_type="application/json")


def _body(error: ApiError, timestamp: str) -> dict[str, Any]:
    body = {"detail": error.detail, "error_code": error.code, "timestamp": timestamp}
    return body | ({"errors": error.errors} if error.errors is not None else {})
