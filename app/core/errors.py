"""Every error that a caller can get: one base, one handler, one envelope."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_pattern_mismatch": "must not contain NUL",
    "string_unicode": "must be Unicode text, without lone surrogates",
    "model_attributes_type": "must be an object",
}
"""Replacements for pydantic's messages that do not read after a field's name."""
NAME_MAX = 64
"""How many characters of an unknown field's name an error repeats."""
ERRORS_MAX = 20
"""How many of a request's errors are listed."""
REASON_MAX = 300
"""How many characters of a reason the log has."""


class ErrorCode(StrEnum):
    """The kind of an error, for programs."""

    AUTH_MISSING = "AUTH_MISSING"
    AUTH_INVALID = "AUTH_INVALID"
    AUTH_FORBIDDEN = "AUTH_FORBIDDEN"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    NOT_FOUND = "NOT_FOUND"
    DATABASE_ERROR = "DATABASE_ERROR"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Field(
        description="Where: `body`, `query`, `path` or `header`, then the field's name."
    )
    msg: str
    type: str


class Problem(BaseModel):
    """The body of every error."""

    detail: str = Field(
        description="What is wrong, in words that can be shown to a person as they are."
    )
    error_code: ErrorCode
    timestamp: datetime
    errors: list[FieldError] | None = Field(
        None, description="The fields that break a rule; only if there are any."
    )


class ApiError(HTTPException):
    """An error as the caller sees it: a status, a code and one sentence.

    An HTTPException, because FastAPI replaces any other exception that is raised while it reads a body.
    """

    status: ClassVar[int] = 500
    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR
    default_detail: ClassVar[str] = "Something went wrong; please try again later."
    default_headers: ClassVar[Mapping[str, str] | None] = None
    errors: Sequence[Mapping[str, Any]] | None = None

    def __init__(self, detail: str | None = None, *, reason: str = "") -> None:
        super().__init__(self.status, detail or self.default_detail, self.default_headers)
        self.reason = reason
        """For the log alone, never for the answer."""


class AuthMissing(ApiError):
    """No bearer token was sent; the header then names no error (RFC 6750, section 3)."""

    status, code, default_detail = (
        401,
        ErrorCode.AUTH_MISSING,
        "Sign in first: no bearer token was sent.",
    )
    default_headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class AuthInvalid(ApiError):
    """A token was sent that is not valid; which rule it breaks is logged and not disclosed."""

    status, code, default_detail = (
        401,
        ErrorCode.AUTH_INVALID,
        "Sign in again: the token is not valid.",
    )
    default_headers: ClassVar = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class AuthForbidden(ApiError):
    """The token is valid, but its user is not the path's."""

    status, code, default_detail = (
        403,
        ErrorCode.AUTH_FORBIDDEN,
        "You have no access to another user's data.",
    )


class NotFound(ApiError):
    """The user has no such resource, or there is no such route."""

    status, code, default_detail = 404, ErrorCode.NOT_FOUND, "There is nothing at this address."


class BadRequest(ApiError):
    """The request can't be read."""

    status, code, default_detail = 400, ErrorCode.VALIDATION_ERROR, "The request can't be read."


class PayloadTooLarge(BadRequest):
    """The body is over the limit."""

    status, default_detail = 413, "The body must have at most 64 KiB."


class Invalid(BadRequest):
    """The request can be read, but breaks a rule; `errors` says which field breaks which, of the first ERRORS_MAX."""

    status, default_detail = 422, "The request breaks a rule."

    def __init__(self, errors: Iterable[Mapping[str, Any]]) -> None:
        first, others = (found := list(errors))[:ERRORS_MAX], len(found) - ERRORS_MAX
        self.errors = [
            {"loc": [*map(_truncated, e["loc"])], "msg": _message(e), "type": e["type"]}
            for e in first
        ]
        # a location is read without its source (body, query, path), if a name follows
        sentences = [
            f"{'.'.join(map(str, e['loc'][1:] or e['loc']))}: {e['msg']}" for e in self.errors
        ]
        super().__init__("; ".join([*sentences, f"and {others} more"] if others > 0 else sentences))

    @classmethod
    def at(cls, source: str, name: str, msg: str, kind: str) -> Self:
        """One field that breaks one rule."""
        return cls([{"loc": (source, name), "msg": msg, "type": kind}])


class KeysUnavailable(ApiError):
    """A token can't be verified, because its key can't be fetched; a 401 would sign the user out."""

    default_detail = "Your sign-in can't be checked right now; please try again."
    default_headers: ClassVar = {"Retry-After": "1"}


class DatabaseError(ApiError):
    """The database failed or does not answer."""

    code, default_detail = (
        ErrorCode.DATABASE_ERROR,
        "Your data can't be reached right now; please try again.",
    )
    default_headers: ClassVar = {"Retry-After": "1"}


class DatabaseUnavailable(DatabaseError):
    """The same at `/health/ready`, with the status that load balancers expect."""

    status = 503


USER_ERRORS = (
    AuthMissing(),
    AuthInvalid(),
    AuthForbidden(),
    DatabaseError(),
    KeysUnavailable(),
    ApiError(),
)
"""What any route with a signed-in user may answer."""
BODY_ERRORS = BadRequest("The body is not valid JSON."), PayloadTooLarge()
"""What any route with a body may answer too."""


def _truncated(part: str | int) -> str | int:
    """A part of a location; a name comes from the caller and may be long."""
    return part[:NAME_MAX] if isinstance(part, str) else part


def _message(error: Mapping[str, Any]) -> str:
    """What is wrong, to be read after the field's name."""
    return MESSAGES.get(error["type"]) or re.sub(r"^\w+ should ", "must ", error["msg"])
