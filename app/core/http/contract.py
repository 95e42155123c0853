"""What OpenAPI can't learn from a route's signature."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from app.core.errors import USER_ERRORS, ApiError, Problem
from app.core.http.answers import problem
from app.core.http.requests import KEY_PATTERN
from app.core.limits import USER_ID_MAX

Json = dict[str, Any]

HEADERS = {
    "ETag": "The entity tag of this state, for `If-Match` and `If-None-Match`.",
    "Link": 'The path of the next page, as `</api/…>; rel="next"`; sent while more remain.',
    "Location": "The path of what was created.",
    "Retry-After": "The number of seconds after which to try again; sent if that may help.",
    "WWW-Authenticate": 'The scheme, `Bearer`; with `error="invalid_token"` if a token was sent.',
    "X-Request-ID": "The request's id in the log: the caller's own, or a new one.",
}
"""The response headers that are documented."""


def parameter(place: str, name: str, description: str, **schema: Any) -> Json:
    """A parameter of the query, the path or a header; a string, unless the schema says otherwise."""
    return {
        "name": name,
        "in": place,
        "description": description,
        "schema": {"type": "string"} | schema,
    }


USER_PARAMETER = parameter("path", "user_id", "The token's user.", maxLength=USER_ID_MAX) | {
    "required": True
}
IF_MATCH_HEADER = parameter(
    "header", "If-Match", "Entity tags; the current state must have one of them."
)
IF_NONE_MATCH_HEADER = parameter(
    "header", "If-None-Match", "Entity tags of known states, which are not sent again."
)
IDEMPOTENCY_KEY_HEADER = parameter(
    "header",
    "Idempotency-Key",
    "A retry with the same key gets the first answer and creates nothing.",
    pattern=KEY_PATTERN,
)


def query_parameters(model: type[BaseModel]) -> list[Json]:
    """The model's fields as parameters of the query: an optional one may be left out, but not be null."""
    found = []
    for name, schema in model.model_json_schema()["properties"].items():
        del schema["title"]
        found.append(
            parameter("query", name, schema.pop("description"), **schema.get("anyOf", [schema])[0])
        )
    return found


def describe(
    *parameters: Json, sends: Iterable[str] = (), fails: Iterable[ApiError] = (), status: int = 200
) -> Json:
    """The arguments `status_code`, `responses` and `openapi_extra` of a route under `/api/{user_id}`.

    `parameters` are those that the route reads by itself (FastAPI's solving of a query or a header takes up to a
    tenth of a request's time), `sends` the headers of a success, and `fails` the errors beside USER_ERRORS.
    """
    answers = {status: headers(*sends)} | responses(*USER_ERRORS, *fails)
    if IF_NONE_MATCH_HEADER in parameters:
        answers[304] = headers(*sends)
    return {
        "status_code": status,
        "responses": answers,
        "openapi_extra": {"parameters": [USER_PARAMETER, *parameters]},
    }


def headers(*names: str) -> Json:
    """A response's headers; every response has its request's id."""
    text = {"schema": {"type": "string"}}
    return {
        "headers": {
            name: {"description": HEADERS[name]} | text for name in (*names, "X-Request-ID")
        }
    }


def responses(*failures: ApiError) -> dict[int | str, Json]:
    """A route's error responses, with each error as an example of itself."""
    described: dict[int | str, Json] = {}
    for status in sorted({error.status for error in failures}):
        same = [error for error in failures if error.status == status]
        kinds = dict.fromkeys(f"`{error.code}`: {error.default_detail}" for error in same)
        examples = {
            error.detail: {"value": problem(error, "2025-12-20T11:30:00Z")} for error in same
        }
        described[status] = {
            "model": Problem,
            "description": " ".join(kinds),
            "content": {"application/json": {"examples": examples}},
            **headers(*(name for error in same for name in error.headers or ())),
        }
    return described
