"""What holds for every response of the service."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
from pydantic import BaseModel

from app.schemas import TaskListResponse, TaskResponse

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
PATHS = {re.compile(re.sub(r"{\w+}", "[^/]+", path)): operations for path, operations in DOCUMENT["paths"].items()}
HEADERS = {"etag", "link", "location", "retry-after", "www-authenticate", "x-request-id"}
"""The headers that the contract describes for each response that has them."""
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
METHOD_NAMES = "(GET|POST|PUT|PATCH|DELETE)"
ALLOWED_HEADERS = {
    "access-control-allow-credentials": "true",
    "access-control-allow-headers": "[A-Za-z-]+(, [A-Za-z-]+)*",
    "access-control-allow-methods": f"{METHOD_NAMES}(, {METHOD_NAMES})*",
    "access-control-allow-origin": r"\*|[a-z]+://[a-z0-9.:-]+",
    "access-control-expose-headers": "ETag, Link, Location, Retry-After, X-Request-ID",
    "access-control-max-age": r"\d+",
    "allow": f"{METHOD_NAMES}(, {METHOD_NAMES})*",
    "cache-control": "private, no-cache",
    "connection": "close|keep-alive",
    "content-length": r"\d+",
    "content-security-policy": ".+",
    "content-type": "[a-z]+/[a-z+-]+(; ?[a-z0-9=.-]+)*",
    "date": "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT",
    "etag": '"[^"]+"',
    "link": '<[^>]+>; rel="next"',
    "location": "/[!-~]+",
    "retry-after": "1",
    "server": "uvicorn",
    "strict-transport-security": r"max-age=\d+",
    "vary": "[A-Za-z-]+(, [A-Za-z-]+)*",
    "www-authenticate": 'Bearer( error="invalid_token")?',
    "x-content-type-options": "nosniff",
    "x-request-id": "[A-Za-z0-9._-]{1,64}",
}
"""A response has no others: one more, or another value, could disclose something."""
MUST_RETRY = {
    "Your data can't be reached right now; please try again.",
    "Your sign-in can't be checked right now; please try again.",
}
"""The failures that pass."""
SENTENCES: dict[str, dict[str, set[int]]] = {
    "AUTH_MISSING": {"Sign in first: no bearer token was sent.": {401}},
    "AUTH_INVALID": {"Sign in again: the token is not valid.": {401}},
    "AUTH_FORBIDDEN": {"You have no access to another user's data.": {403}, "Use HTTPS.": {403}},
    "NOT_FOUND": {"There is nothing at this address.": {404}, "You have no such task.": {404}},
    "DATABASE_ERROR": {"Your data can't be reached right now; please try again.": {500, 503}},
    "INTERNAL_ERROR": {
        "Something went wrong; please try again later.": {500},
        "Your sign-in can't be checked right now; please try again.": {500},
    },
}
"""By error code: all that people are told, and the status with it; a request that breaks a rule has many sentences."""


def hold(response: httpx.Response) -> None:
    """Fail unless the response keeps to the contract and to the specification's general rules."""
    _hold_headers(response)
    if response.url.path.startswith("/api/"):
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["x-content-type-options"] == "nosniff"
    if response.url.scheme == "https":
        assert response.headers["strict-transport-security"] == "max-age=31536000"
    _hold_documented(response)
    assert ("etag" in response.headers) == _is_one_task(response)
    if response.status_code >= 400 and is_preflight(response):
        _hold_refused_preflight(response)
    elif response.status_code >= 400:
        _hold_error(response)
    elif response.status_code in {204, 304}:
        assert response.content == b""
    elif response.url.path.startswith("/api/") and response.request.method != "OPTIONS":
        _hold_success(response)


def _hold_headers(response: httpx.Response) -> None:
    names = [name for name, _ in response.headers.multi_items()]
    assert len(names) == len(set(names)), names
    for name, value in response.headers.items():
        assert name in ALLOWED_HEADERS, name
        assert re.fullmatch(ALLOWED_HEADERS[name], value), name
    # the caller's own where it is safe, else a new one
    assert response.headers["x-request-id"] in response.request.headers.get_list("x-request-id") or re.fullmatch(
        "[0-9a-f]{32}", response.headers["x-request-id"]
    )


def is_preflight(response: httpx.Response) -> bool:
    """Whether a browser asked before the request itself (Fetch, 4.8)."""
    request = response.request
    return request.method == "OPTIONS" and {"origin", "access-control-request-method"} <= request.headers.keys()


def schema_of(described: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request's or a response's body."""
    name = described["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = DOCUMENT["components"]["schemas"][name]
    return schema


def example_of(schema: dict[str, Any]) -> dict[str, Any]:
    """An object of the examples that a schema has for its properties; KeyError where one has none."""
    kinds = {name: one.get("anyOf", [one])[0] | one for name, one in schema["properties"].items()}
    return {name: kind["examples"][0] for name, kind in kinds.items()}


def _hold_documented(response: httpx.Response) -> None:
    """Fail where the contract has the operation, but not the response's status or one of its headers."""
    for path, operations in PATHS.items():
        operation = operations.get(response.request.method.lower())
        if operation and path.fullmatch(response.url.path):
            answers = operation["responses"]
            assert str(response.status_code) in answers, f"{operation['operationId']}: {response.status_code}"
            described = {name.lower() for name in answers[str(response.status_code)]["headers"]}
            assert HEADERS & response.headers.keys() <= described, operation["operationId"]


def _methods(path: str) -> set[str]:
    """The methods that the contract has for this path; GET alone for one that it does not have."""
    operations = [ones for pattern, ones in PATHS.items() if pattern.fullmatch(path)]
    return {method.upper() for ones in operations for method in ones} or {"GET"}


def _is_one_task(response: httpx.Response) -> bool:
    """Whether the response is one task, or says that the caller's copy of it is current."""
    if not response.url.path.startswith("/api/") or response.request.method == "OPTIONS":
        return False
    return response.status_code in {201, 304} or (response.status_code == 200 and response.url.path[-6:] != "/tasks")


def _hold_success(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    if "tasks" in body:
        _hold_shape(TaskListResponse, body)
        for task in body["tasks"]:
            _hold_task(task)
    else:
        _hold_task(body)
        # a strong tag, of which no two states of a task have the same
        assert response.headers["etag"] == f'"{body["updated_at"]}"'
    if response.status_code == 201:
        assert unquote(response.headers["location"]) == f"{response.url.path}/{body['id']}"


def _hold_task(task: dict[str, object]) -> None:
    _hold_shape(TaskResponse, task)
    for name in ("created_at", "updated_at"):
        assert TIMESTAMP.fullmatch(str(task[name])), task


def _hold_shape(model: type[BaseModel], body: dict[str, object]) -> None:
    model.model_validate_json(json.dumps(body), strict=True)
    assert body.keys() == model.model_fields.keys()


def _hold_refused_preflight(response: httpx.Response) -> None:
    """No browser shows its body, and none lets the page read the answer, which is what refuses it."""
    assert response.status_code == 400
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.startswith("Disallowed CORS ")
    assert "access-control-allow-origin" not in response.headers


def _hold_error(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/json"
    if response.request.method == "HEAD":
        return
    body = response.json()
    detail, code = body["detail"], body["error_code"]
    errors = {"errors"} if response.status_code == 422 else set()
    assert body.keys() == {"detail", "error_code", "timestamp"} | errors
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert abs(datetime.fromisoformat(body["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    if code == "VALIDATION_ERROR":
        assert response.status_code in {400, 405, 412, 413, 422}
    else:
        assert response.status_code in SENTENCES[code][detail]
    if response.status_code == 422:
        _hold_errors(detail, body["errors"])
    assert ("retry-after" in response.headers) == (detail in MUST_RETRY)
    if response.status_code == 405:
        assert response.headers["allow"] == ", ".join(sorted(_methods(response.url.path)))
    if response.status_code == 401:
        told = {"AUTH_MISSING": "Bearer", "AUTH_INVALID": 'Bearer error="invalid_token"'}
        assert response.headers["www-authenticate"] == told[code]


def _hold_errors(detail: str, errors: list[dict[str, Any]]) -> None:
    """Fail unless the fields' errors say what the sentence says, and no more."""
    for one in errors:
        assert one.keys() == {"loc", "msg", "type"}
        assert one["loc"][0] in {"body", "header", "path", "query"}
        assert re.fullmatch(r"[a-z_]{1,40}", one["type"])
    # a location is read without its source, if a name follows
    sentences = [f"{'.'.join(map(str, one['loc'][1:] or one['loc']))}: {one['msg']}" for one in errors]
    assert re.fullmatch(re.escape("; ".join(sentences)) + r"(; and \d+ more)?", detail)
