"""The contract, `docs/openapi.json`: it is what the application generates, and what the service does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query
from fastapi import Path as InPath
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from sqlalchemy import Engine

from app.core.errors import ApiError, DatabaseError
from app.core.http import health
from app.core.http.requests import StrictRoute
from app.models import ID_MAX
from tests.support import contract
from tests.support.cluster import Cluster
from tests.support.factories import make_task
from tests.support.key_server import Key
from tests.support.processes import todo_api
from tests.support.service import Service, service_in_process, settings_for
from tests.support.tokens import token

NOWHERE = "http://127.0.0.1:1"
ALICE = {"authorization": f"Bearer {token('alice')}"}
TASKS, PATHS = "/api/{user_id}/tasks", contract.DOCUMENT["paths"]
TASK_SCHEMAS = {"TaskCreate", "TaskUpdate", "TaskPatch", "TaskResponse"}
UNREACHABLE, UNEXPECTED = DatabaseError.default_detail, ApiError.default_detail

RESPONSES: dict[str, dict[str, Any]] = {
    "200": {},
    "201": {},
    "204": {},
    "304": {"headers": ALICE | {"if-none-match": "*"}},
    "The body is not valid JSON.": {"content": b"{"},
    "Sign in first: no bearer token was sent.": {"headers": {}},
    "Sign in again: the token is not valid.": {"headers": {"authorization": "Bearer open-sesame"}},
    "You have no access to another user's data.": {"user": "bob"},
    "You have no such task.": {"task": ID_MAX},
    "The task has changed in the meantime: look at it again.": {"headers": ALICE | {"if-match": '"older"'}},
    "The body must have at most 64 KiB.": {"content": b" " * (64 * 1024 + 1)},
    "title: must have at most 200 characters": {"change": {"title": "x" * 201}},
    "limit: must be less than or equal to 500": {"limit": 501},
    "task_id: must be a whole number, in digits": {"task": "one"},
    "Your sign-in can't be checked right now; please try again.": {
        "headers": {"authorization": f"Bearer {Key('unknown').token(NOWHERE)}"}
    },
    "Your data can't be reached right now; please try again.": {},
    "Something went wrong; please try again later.": {},
}
"""How each documented response is caused: what the request has that differs from one that succeeds."""


def documented() -> Iterator[Any]:
    """Every response of every operation; of an error, each of its examples."""
    for path, operations in contract.DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                examples = response.get("content", {}).get("application/json", {}).get("examples", {})
                assert bool(examples) == (int(status) >= 400), f"{method} {path}: {status} has no example"
                for name in examples or [status]:
                    yield pytest.param(
                        method, path, int(status), name, id=f"{operation['operationId']}-{status}-{name}"
                    )


@pytest.fixture(scope="module")
def both_modes(cluster: Cluster) -> Iterator[Service]:
    """The service with both kinds of tokens, which can't fetch Better Auth's keys."""
    with service_in_process(settings_for(cluster.url, better_auth_url=NOWHERE)) as service:
        yield service


@pytest.fixture(scope="module")
def without_database() -> Iterator[Service]:
    """The service, where no database listens."""
    settings = settings_for("postgresql://127.0.0.1:1/none").model_copy(update={"request_timeout": 0.2})
    with pytest.MonkeyPatch.context() as patch, service_in_process(settings) as service:
        patch.setattr(health, "READY_WITHIN", 0.5)
        yield service


@pytest.mark.parametrize(("method", "path", "status", "name"), list(documented()))
def test_every_documented_response_is_given(  # noqa: PLR0913, PLR0917 - a response, and what causes it
    both_modes: Service,
    without_database: Service,
    database: Engine,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    status: int,
    name: str,
) -> None:
    """With the documented headers; an error in the words of its example."""
    differs, operation = RESPONSES[name], contract.DOCUMENT["paths"][path][method]
    tasks = [make_task(database, user_id="alice") for _ in range(2)]
    place = path.format(user_id=differs.get("user", "alice"), task_id=differs.get("task", tasks[0]["id"]))
    request: dict[str, Any] = {"headers": differs.get("headers", ALICE)}
    if "requestBody" in operation:
        example = contract.example_of(contract.schema_of(operation["requestBody"]))
        content = differs.get("content", json.dumps(example | differs.get("change", {})))
        request |= {"content": content, "headers": request["headers"] | {"content-type": "application/json"}}
    if path.endswith("/tasks") and method == "get":
        request["params"] = {"limit": differs.get("limit", 1)}
    service = without_database if name == UNREACHABLE else both_modes
    if name == UNEXPECTED:
        assert both_modes.app
        monkeypatch.setitem(both_modes.app.state._state, "store", None)
    answer = service.http.request(method, place, **request)
    contract.hold(answer)
    assert answer.status_code == status
    described = operation["responses"][str(status)]
    if status >= 400:
        example = described["content"]["application/json"]["examples"][name]["value"]
        assert answer.json() | {"timestamp": ""} == example | {"timestamp": ""}
    rare = {"Retry-After"} if name == UNEXPECTED else set()
    assert [one for one in described["headers"] if one not in answer.headers and one not in rare] == []


def test_the_contract_is_up_to_date(folder: Path) -> None:
    """Byte for byte what `todo-api openapi` prints."""
    said = todo_api(folder, "openapi").stdout
    assert not (folder / "data").exists()  # it needs no database and no secret
    assert contract.FILE.read_text("utf-8") == said, "docs/openapi.json is out of date: run `make contract`"


def test_every_example_keeps_to_its_schema() -> None:
    """Those of errors, and those of a task's fields: each field has one."""
    schemas = contract.DOCUMENT["components"]["schemas"]
    tasks = {name: [contract.example_of(schemas[name])] for name in schemas if name in TASK_SCHEMAS}
    assert len(tasks) == len(TASK_SCHEMAS)
    errors = [
        example["value"]
        for operations in contract.DOCUMENT["paths"].values()
        for operation in operations.values()
        for response in operation["responses"].values()
        for example in response.get("content", {}).get("application/json", {}).get("examples", {}).values()
    ]
    assert {error["error_code"] for error in errors} == set(schemas["ErrorCode"]["enum"])
    for name, examples in {**tasks, "Problem": errors}.items():
        validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}"} | contract.DOCUMENT)
        for example in examples:
            validator.validate(example)
            assert example.keys() <= schemas[name]["properties"].keys()


def test_ids_are_64_bit_integers_and_health_needs_no_token() -> None:
    """As generators of clients and linters want it said."""
    document = contract.DOCUMENT
    (in_path,) = [one for one in PATHS[f"{TASKS}/{{task_id}}"]["get"]["parameters"] if one["name"] == "task_id"]
    (after,) = [one for one in PATHS[TASKS]["get"]["parameters"] if one["name"] == "after"]
    in_task = document["components"]["schemas"]["TaskResponse"]["properties"]["id"]
    assert [one["format"] for one in (in_path["schema"], after["schema"], in_task)] == ["int64"] * 3
    assert (in_path["schema"]["minimum"], in_path["schema"]["maximum"]) == (1, ID_MAX)
    assert [PATHS[path]["get"]["security"] for path in ("/health", "/health/ready")] == [[], []]
    assert document["servers"] == [{"url": "/"}]
    assert document["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert [tag["name"] for tag in document["tags"] if tag["description"]] == ["tasks", "health"]


def test_the_parameters_of_a_path_are_in_its_order() -> None:
    """Generated clients take them by position."""
    for path, operations in PATHS.items():
        for operation in operations.values():
            names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            assert names == re.findall(r"{(\w+)}", path)


def test_every_operation_has_a_short_name_of_its_own() -> None:
    """Generated clients name their functions after it: a change of a name breaks them."""
    named = {
        operation["operationId"]: f"{method} {path}"
        for path, operations in contract.DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert named == {
        "list_tasks": "get /api/{user_id}/tasks",
        "create_task": "post /api/{user_id}/tasks",
        "fetch_task": "get /api/{user_id}/tasks/{task_id}",
        "update_task": "put /api/{user_id}/tasks/{task_id}",
        "patch_task": "patch /api/{user_id}/tasks/{task_id}",
        "delete_task": "delete /api/{user_id}/tasks/{task_id}",
        "health": "get /health",
        "ready": "get /health/ready",
    }


def test_a_new_route_keeps_what_it_says_and_may_leave_things_out() -> None:
    """Nothing of its own `openapi_extra` is lost, and a parameter without a description starts all the same.

    What it does not hide from FastAPI is described by FastAPI, and not twice.
    """

    class Bare(BaseModel):
        wanted: bool = False

    def plain(number: int, bare: Annotated[Bare, Query()]) -> None:
        """A route as it is first written."""

    def hiding(
        number: Annotated[int, InPath(include_in_schema=False)], bare: Annotated[Bare, Query(include_in_schema=False)]
    ) -> None:
        """A route as those in router.py."""

    described = {plain: ["number", "wanted", "user_id"], hiding: ["user_id", "number", "wanted"]}
    for endpoint, names in described.items():
        app = FastAPI()
        app.router.route_class = StrictRoute
        app.get("/api/{user_id}/{number}", openapi_extra={"x-internal": True})(endpoint)
        operation = app.openapi()["paths"]["/api/{user_id}/{number}"]["get"]
        assert operation["x-internal"]
        assert [one["name"] for one in operation["parameters"]] == names


def test_a_route_takes_its_query_as_one_model() -> None:
    """Parameter by parameter, an unknown one would be passed over."""

    def endpoint(wanted: Annotated[bool, Query()] = False) -> None:
        """A route as FastAPI alone would take it."""

    with pytest.raises(TypeError, match="wanted: a route must declare its query as one model"):
        StrictRoute("/api/{user_id}", endpoint)


def test_a_route_takes_its_query_itself() -> None:
    """Of a dependency's query, FastAPI would refuse what it does not know, while the endpoint may know it."""

    class Wanted(BaseModel):
        wanted: bool = False

    def dependency(query: Annotated[Wanted, Query()]) -> None:
        """As FastAPI alone would take it."""

    def endpoint(needed: Annotated[None, Depends(dependency)]) -> None:
        """A route that takes no query itself."""

    with pytest.raises(TypeError, match="query: a query is the endpoint's own parameter, not a dependency's"):
        StrictRoute("/api/{user_id}", endpoint)
