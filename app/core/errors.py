"""The errors that several rooms share, and the base of all that a caller can get."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_unicode": "must be Unicode text, without lone surrogates",
    "model_attributes_type": "must be an object",
}
"""Our messages for some types of pydantic's errors, by the type.

pydantic's own would not read well behind a field's name.
"""
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

    It is an HTTPException, because FastAPI replaces any other exception that is raised while it
    reads a body. `reason` is for the log alone, never for the answer.
    """

    status: ClassVar[int] = 500
    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR
    default_detail: ClassVar[str] = "Something went wrong; please try again later."
    default_headers: ClassVar[Mapping[str, str] | None] = None
    errors: Sequence[Mapping[str, Any]] | None = None

    def __init__(self, detail: str | None = None, *, reason: str = "") -> None:
        super().__init__(self.status, detail or self.default_detail, self.default_headers)
        self.reason = reason


class AuthMissing(ApiError):
    """No bearer token was sent; then WWW-Authenticate has no `error` (RFC 6750, section 3)."""

    status = 401
    code = ErrorCode.AUTH_MISSING
    default_detail = "Sign in first: no bearer token was sent."
    default_headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class AuthInvalid(ApiError):
    """A token was sent that is not valid; which rule it breaks is logged and not disclosed."""

    status = 401
    code = ErrorCode.AUTH_INVALID
    default_detail = "Sign in again: the token is not valid."
    default_headers: ClassVar = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class AuthForbidden(ApiError):
    """Signing in again would not help: the path is another user's, or the request is not HTTPS."""

    status = 403
    code = ErrorCode.AUTH_FORBIDDEN
    default_detail = "You have no access to another user's data."


class NotFound(ApiError):
    """The user has no such resource, or there is no such route."""

    status = 404
    code = ErrorCode.NOT_FOUND
    default_detail = "There is nothing at this address."


class RequestRefused(ApiError):
    """The caller has to change the request: the base of 400, 405, 412, 413, 422 and 501."""

    code = ErrorCode.VALIDATION_ERROR


class BadRequest(RequestRefused):
    """The request can't be read, or as a whole makes no sense, such as a change of nothing."""

    status = 400
    default_detail = "The request can't be read."


class PayloadTooLarge(RequestRefused):
    """The body is over the limit."""

    status = 413
    default_detail = "The body must have at most 64 KiB."  # requests.BODY_MAX


class Invalid(RequestRefused):
    """The request can be read, but breaks a rule.

    It is made of errors as pydantic has them, each with `loc`, `msg` and `type`; `unlisted` is the
    number of further ones, which are only counted. The attribute `errors` has the first ERRORS_MAX
    as they are answered.
    """

    status = 422
    default_detail = "The request breaks a rule."

    def __init__(self, errors: Sequence[Mapping[str, Any]], unlisted: int = 0) -> None:
        self.errors = [_shown(error) for error in errors[:ERRORS_MAX]]
        sentences = [_sentence(error) for error in self.errors]
        hidden = len(errors) - len(self.errors) + unlisted
        if hidden:
            sentences.append(f"and {hidden} more")
        super().__init__("; ".join(sentences))

    @classmethod
    def at(cls, source: str, name: str, msg: str, kind: str) -> Self:
        """One field of `source` (body, query, path or header) that breaks one rule."""
        return cls([{"loc": (source, name), "msg": msg, "type": kind}])

    @classmethod
    def unknown(cls, source: str, names: Sequence[str]) -> Self:
        """Names that `source` must not have; those that are not listed are only counted."""
        listed = names[:ERRORS_MAX]
        errors = [{"loc": (source, name), "msg": "", "type": "extra_forbidden"} for name in listed]
        return cls(errors, unlisted=len(names) - len(listed))


class KeysUnavailable(ApiError):
    """A token's key can't be fetched, so it can't be verified; a 401 would sign the user out."""

    status = 500  # 503 is for /health/ready alone (documenting_the_api.feature)
    default_detail = "Your sign-in can't be checked right now; please try again."
    default_headers: ClassVar = {"Retry-After": "1"}


class DatabaseError(ApiError):
    """The database failed or does not answer."""

    status = 500  # 503 is for /health/ready alone (documenting_the_api.feature)
    code = ErrorCode.DATABASE_ERROR
    default_detail = "Your data can't be reached right now; please try again."
    default_headers: ClassVar = {"Retry-After": "1"}


class DatabaseUnavailable(DatabaseError):
    """The same at `/health/ready`, with the status that load balancers expect."""

    status = 503


def _shown(error: Mapping[str, Any]) -> dict[str, Any]:
    """One of pydantic's errors without the input, which is never echoed."""
    return {
        "loc": [_shortened(part) for part in error["loc"]],
        "msg": _message(error),
        "type": error["type"],
    }


def _shortened(part: str | int) -> str | int:
    """A part of a location; a name comes from the caller and may be long."""
    if isinstance(part, str):
        return part[:NAME_MAX]
    return part


def _message(error: Mapping[str, Any]) -> str:
    """What is wrong, to be read after the field's name."""
    message = MESSAGES.get(error["type"])
    if message is None:
        # pydantic's own begin with "Input should" or "String should"; it puts "Value error" before
        # the words of a ValueError that a validator raises
        message = re.sub(r"^\w+ should ", "must ", error["msg"]).removeprefix("Value error, ")
    return message


def _sentence(error: Mapping[str, Any]) -> str:
    """The field and what is wrong with it; the source (body, query) alone if no field is named."""
    source, *field = error["loc"]
    name = ".".join(str(part) for part in field or [source])
    return f"{name}: {error['msg']}"
