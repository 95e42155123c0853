"""`docs/openapi.json`, which the frontend's team builds against: it is what the app says, and what the app does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import Engine

from app.core import health
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
UNREACHABLE, UNEXPECTED = (
    "the tasks can't be reached right now; please try again",
    "something went wrong here; please try again later",
)

# how each documented end is brought about: what differs from a request that succeeds
WAYS: dict[str, dict[str, Any]] = {
    "200": {},
    "201": {},
    "204": {},
    "304": {"headers": ALICE | {"if-none-match": "*"}},
    "the body is not valid JSON": {"content": b"{"},
    "sign in first: no bearer token was sent": {"headers": {}},
    "sign in again: the token is not valid": {"headers": {"authorization": "Bearer open-sesame"}},
    "these tasks are not yours": {"user": "bob"},
    "you have no such task": {"task": ID_MAX},
    "the task has changed meanwhile: look at it again": {"headers": ALICE | {"if-match": '"older"'}},
    "the body must have at most 64 KiB": {"content": b" " * (64 * 1024 + 1)},
    "title: must have at most 200 characters": {"change": {"title": "x" * 201}},
    "limit: must be less than or equal to 500": {"limit": 501},
    "task_id: must be a whole number, in digits": {"task": "one"},
    "who you are can't be checked right now; please try again": {
        "headers": {"authorization": f"Bearer {Key('unknown').token(NOWHERE)}"}
    },
    UNREACHABLE: {},
    UNEXPECTED: {},
}


def ends() -> Iterator[Any]:
    """Every operation with every answer that is documented for it, each error by its examples."""
    for path, operations in contract.DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                examples = answer.get("content", {}).get("application/json", {}).get("examples", {})
                assert bool(examples) == (int(status) >= 400), f"{method} {path}: {status} has no example"
                for name in examples or [status]:
                    yield pytest.param(
                        method, path, int(status), name, id=f"{operation['operationId']}-{status}-{name}"
                    )


@pytest.fixture(scope="module")
def open_to_both(cluster: Cluster) -> Iterator[Service]:
    """The service, which takes Better Auth's own tokens too, but can't fetch a key."""
    with service_in_process(settings_for(cluster.url, better_auth_url=NOWHERE)) as service:
        yield service


@pytest.fixture(scope="module")
def without_database() -> Iterator[Service]:
    """The service, where no database listens."""
    settings = settings_for("postgresql://127.0.0.1:1/none").model_copy(update={"request_timeout": 0.2})
    with pytest.MonkeyPatch.context() as patch, service_in_process(settings) as service:
        patch.setattr(health, "READY_WITHIN", 0.5)
        yield service


@pytest.mark.parametrize(("method", "path", "status", "name"), list(ends()))
def test_every_documented_answer_is_really_given(  # noqa: PLR0913, PLR0917 - an end, and what it is brought about with
    open_to_both: Service,
    without_database: Service,
    database: Engine,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    status: int,
    name: str,
) -> None:
    """With the headers that are described; an error in the very words of its example."""
    way, operation = WAYS[name], contract.DOCUMENT["paths"][path][method]
    tasks = [make_task(database, user_id="alice") for _ in range(2)]
    place = path.format(user_id=way.get("user", "alice"), task_id=way.get("task", tasks[0]["id"]))
    request: dict[str, Any] = {"headers": way.get("headers", ALICE)}
    if "requestBody" in operation:
        (example,) = contract.schema_of(operation["requestBody"])["examples"]
        content = way.get("content", json.dumps(example | way.get("change", {})))
        request |= {"content": content, "headers": request["headers"] | {"content-type": "application/json"}}
    if path.endswith("/tasks") and method == "get":
        request["params"] = {"limit": way.get("limit", 1)}
    service = without_database if name == UNREACHABLE else open_to_both
    if name == UNEXPECTED:
        assert open_to_both.app
        monkeypatch.setitem(open_to_both.app.state._state, "database", None)
    answer = service.http.request(method, place, **request)
    contract.hold(answer)
    assert answer.status_code == status
    described = operation["responses"][str(status)]
    if status >= 400:
        example = described["content"]["application/json"]["examples"][name]["value"]
        assert answer.json() | {"timestamp": ""} == example | {"timestamp": ""}
    rare = {"Retry-After"} if name == UNEXPECTED else set()
    assert [one for one in described["headers"] if one not in answer.headers and one not in rare] == []


def test_the_contract_is_what_the_app_says(folder: Path) -> None:
    """To the letter, as the command prints it."""
    said = todo_api(folder, "openapi").stdout
    assert not (folder / "data").exists()  # it needs no database and no secret
    assert contract.FILE.read_text("utf-8") == said, "docs/openapi.json is out of date: run `make contract`"


def test_every_example_keeps_to_its_schema() -> None:
    """Those of bodies and of answers; each schema of a body or a task has one."""
    schemas = contract.DOCUMENT["components"]["schemas"]
    shown = {name: schema["examples"] for name, schema in schemas.items() if "examples" in schema}
    assert shown.keys() == schemas.keys() - {"TaskListResponse", "Error", "ErrorCode", "FieldError"}
    errors = [
        example["value"]
        for operations in contract.DOCUMENT["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for example in answer.get("content", {}).get("application/json", {}).get("examples", {}).values()
    ]
    assert {error["error_code"] for error in errors} == set(schemas["ErrorCode"]["enum"])
    for name, examples in {**shown, "Error": errors}.items():
        validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}"} | contract.DOCUMENT)
        for example in examples:
            validator.validate(example)
            assert example.keys() <= schemas[name]["properties"].keys()


def test_every_operation_has_a_short_name_of_its_own() -> None:
    """Generated clients call their functions so: a name that changes breaks them."""
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
