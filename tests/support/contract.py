"""What holds for every response of the service."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
from pydantic import BaseModel

from app.core.errors import KeysUnavailable, Problem
from app.schemas import TaskListResponse, TaskResponse

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
PATHS = {re.compile(re.sub(r"{\w+}", "[^/]+", path)): operations for path, operations in DOCUMENT["paths"].items()}
HEADERS = {"etag", "link", "location", "retry-after", "www-authenticate", "x-request-id"}
"""The headers that the contract describes for each response that has them."""
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
CODES = {
    "AUTH_MISSING": {401},
    "AUTH_INVALID": {401},
    "AUTH_FORBIDDEN": {403},
    "VALIDATION_ERROR": {400, 405, 412, 413, 422},
    "NOT_FOUND": {404},
    "DATABASE_ERROR": {500, 503},
    "INTERNAL_ERROR": {500},
}


def hold(response: httpx.Response) -> None:
    """Fail unless the response keeps to the contract and to the specification's general rules."""
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", response.headers["x-request-id"])
    if response.url.path.startswith("/api/"):
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["x-content-type-options"] == "nosniff"
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


def _is_one_task(response: httpx.Response) -> bool:
    """Whether the response is one task, or says that the caller's copy of it is current."""
    if not response.url.path.startswith("/api/") or response.request.method == "OPTIONS":
        return False
    return response.status_code in {201, 304} or (response.status_code == 200 and response.url.path[-6:] != "/tasks")


def _hold_success(response: httpx.Response) -> None:
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
    error = Problem.model_validate_json(response.content)
    assert body.keys() - {"errors"} == {"detail", "error_code", "timestamp"}
    assert error.detail
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert abs(error.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    assert response.status_code in CODES[error.error_code]
    assert ("errors" in body) == (response.status_code == 422)
    for one in body.get("errors", []):
        assert one.keys() == {"loc", "msg", "type"}
    passing = error.error_code == "DATABASE_ERROR" or error.detail == KeysUnavailable.default_detail
    assert ("retry-after" in response.headers) == passing
    if response.status_code == 401:
        told = {"AUTH_MISSING": "Bearer", "AUTH_INVALID": 'Bearer error="invalid_token"'}
        assert response.headers["www-authenticate"] == told[error.error_code]
