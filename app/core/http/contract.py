"""What OpenAPI can't learn from a route's signature.

The headers of each answer, the errors with their examples, and the parameters in the form that
generators of clients read best.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from app.core.errors import (
    ApiError,
    AuthForbidden,
    AuthInvalid,
    AuthMissing,
    BadRequest,
    DatabaseError,
    KeysUnavailable,
    PayloadTooLarge,
    Problem,
)
from app.core.http.answers import problem
from app.core.limits import USER_ID_MAX

Json = dict[str, Any]
Responses = dict[int | str, Json]

HEADERS = {
    "ETag": "The entity tag of this state, for `If-Match` and `If-None-Match`.",
    "Link": 'The path of the next page, as `</api/…>; rel="next"`; sent while more remain.',
    "Location": "The path of what was created.",
    "Retry-After": "The number of seconds after which to try again; sent if that may help.",
    "WWW-Authenticate": 'The scheme, `Bearer`; with `error="invalid_token"` if a token was sent.',
    "X-Request-ID": "The request's id in the log: the caller's own, or a new one.",
}
"""The response headers that are documented."""
USER_ERRORS = (
    AuthMissing(),
    AuthInvalid(),
    AuthForbidden(),
    DatabaseError(),
    KeysUnavailable(),
    ApiError(),
)
"""What any route with a signed-in user may answer."""
BODY_ERRORS = (BadRequest("The body is not valid JSON."), PayloadTooLarge())
"""What any route with a body may answer too."""


def describe_answer(status: int, *header_names: str) -> Responses:
    """Describe the answer with this status by the headers that it has."""
    return {status: describe_headers(*header_names)}


def describe_user_errors(*failures: ApiError) -> Responses:
    """Describe the errors of a route under `/api/{user_id}`: these and those of all of them."""
    return describe_errors(*USER_ERRORS, *failures)


def describe_headers(*names: str) -> Json:
    """Describe a response's headers; every response has its request's id."""
    described = {}
    for name in (*names, "X-Request-ID"):
        described[name] = {"description": HEADERS[name], "schema": {"type": "string"}}
    return {"headers": described}


def describe_errors(*failures: ApiError) -> Responses:
    """Describe a route's errors, by status; each error is shown as an example."""
    by_status: dict[int, list[ApiError]] = {}
    for error in sorted(failures, key=lambda error: error.status):
        by_status.setdefault(error.status, []).append(error)
    described: Responses = {}
    for status, same_status in by_status.items():
        described[status] = _response(same_status)
    return described


def _response(failures: list[ApiError]) -> Json:
    """The response of these errors, which have one status."""
    kinds: list[str] = []
    examples: Json = {}
    header_names: list[str] = []
    for error in failures:
        kind = f"`{error.code}`: {error.default_detail}"
        if kind not in kinds:
            kinds.append(kind)
        examples[error.detail] = {"value": problem(error, "2025-12-20T11:30:00Z")}
        header_names += error.headers or ()
    return {
        "model": Problem,
        "description": " ".join(kinds),
        "content": {"application/json": {"examples": examples}},
        **describe_headers(*header_names),
    }


def parameters(dependant: Dependant) -> list[Json]:
    """The user in the path, then the parameters of path, query and headers that a route declares.

    A route hides its parameters from FastAPI's description (`include_in_schema=False`), for two
    reasons. `user_id`, which no endpoint takes, must be the first, because generated clients take
    the path's parameters by their position. And FastAPI would describe an optional parameter as
    "string or null", but nobody can send null in a URL or a header.

    Raises TypeError for a query that StrictRoute could not read strictly: one that is not declared
    as one model, or by a dependency.
    """
    described = [
        _parameter("path", "user_id", "The token's user.", maxLength=USER_ID_MAX)
        | {"required": True}
    ]
    for declared in _dependants(dependant):
        described += [
            _path_parameter(path.alias, path.field_info)
            for path in declared.path_params
            if _is_hidden(path)
        ]
        for query in declared.query_params:
            model: Any = query.field_info.annotation
            if not (isinstance(model, type) and issubclass(model, BaseModel)):
                raise TypeError(f"{query.name}: a route must declare its query as one model")
            if declared is not dependant:
                raise TypeError(
                    f"{query.name}: a query is the endpoint's own parameter, not a dependency's"
                )
            if _is_hidden(query):
                described += _query_parameters(model)
        for header in declared.header_params:
            if _is_hidden(header):
                info = header.field_info
                extra: Any = info.json_schema_extra or {}
                described.append(_parameter("header", header.alias, info.description, **extra))
    return described


def _is_hidden(field: Any) -> bool:
    """Whether FastAPI is told to leave the parameter out."""
    return not getattr(field.field_info, "include_in_schema", True)


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    """The endpoint's own declarations, and those of its dependencies."""
    yield dependant
    for dependency in dependant.dependencies:
        yield from _dependants(dependency)


def _path_parameter(name: str, info: FieldInfo) -> Json:
    """A parameter of the path, with the schema of its type."""
    annotated: Any = Annotated[info.annotation, info]
    schema = TypeAdapter(annotated).json_schema()
    description = schema.pop("description", "")
    return _parameter("path", name, description, **schema) | {"required": True}


def _query_parameters(model: type[BaseModel]) -> list[Json]:
    """The model's fields as parameters of the query."""
    described = []
    for name, schema in model.model_json_schema()["properties"].items():
        del schema["title"]
        description = schema.pop("description", "")
        # an optional parameter may be left out, but not be null
        for alternative in schema.pop("anyOf", []):
            if alternative != {"type": "null"}:
                schema.update(alternative)
        described.append(_parameter("query", name, description, **schema))
    return described


def _parameter(place: str, name: str, description: str | None, **schema: Any) -> Json:
    """A parameter of the path, the query or a header; by default a string."""
    return {
        "name": name,
        "in": place,
        "description": description or "",
        "schema": {"type": "string"} | schema,
    }
