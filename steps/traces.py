"""The steps about the line that a request leaves in the log."""

import json

import pytest
from pytest_bdd import then, when

from steps.inputs import SECRET
from steps.promises import OUTCOMES
from steps.vocabulary import said
from tests.support.log import Log
from tests.support.people import Cast
from tests.support.service import Service
from tests.support.tokens import token

TASKS, ONE_TASK = "/api/{user_id}/tasks", "/api/{user_id}/tasks/{task_id}"
TASK = json.dumps({"title": SECRET, "description": SECRET})
# By what Alice asks for: method, path, body, and the endpoint that the log should name.
ASKED = {
    "a new task": ("POST", "/api/alice/tasks", TASK, TASKS),
    "a task with a wrong field": ("POST", "/api/alice/tasks", json.dumps({SECRET: SECRET, "title": [SECRET]}), TASKS),
    "somebody else's list": ("GET", f"/api/bob/tasks?complete={SECRET}", None, TASKS),
    "a task that does not exist": ("PATCH", f"/api/alice/tasks/{2**60}", TASK, ONE_TASK),
    "something unreadable": ("PUT", "/api/alice/tasks/1", f'{{"{SECRET}', ONE_TASK),
    "something that is too large": ("POST", "/api/alice/tasks", SECRET * 10_000, TASKS),
}
FORGED = token("alice", secret="mallory-" * 8)


@pytest.fixture
def log(scenario_service: Service, capsys: pytest.CaptureFixture[str]) -> Log:
    """The service's log, from the scenario's start."""
    return Log(capsys, scenario_service.log)


@pytest.fixture
def traces() -> dict[str, str]:
    """The endpoint of the request, and the log since."""
    return {"endpoint": TASKS}


@when(said("{who:Person} asks for {what} with a secret in everything that she sends"))
def _(cast: Cast, log: Log, traces: dict[str, str], who: str, what: str) -> None:
    method, path, body, traces["endpoint"] = ASKED[what]
    headers = {"content-type": "application/json", "user-agent": SECRET, "x-request-id": f"{SECRET}/x"}
    cast(who).ask(method, path, content=body, headers=headers)
    traces["log"] = log.read()


@when("Mallory asks for Alice's list with a forged token")
def _(cast: Cast, log: Log, traces: dict[str, str]) -> None:
    mallory = cast("Mallory")
    mallory.token = FORGED
    mallory.ask("GET", cast("Alice").tasks_path())
    traces["log"] = log.read()


@then(said("the log has exactly one line about it, which names {whom}, the endpoint and the outcome: {outcome}"))
def _(traces: dict[str, str], whom: str, outcome: str) -> None:
    (line,) = [json.loads(line) for line in traces["log"].splitlines()]
    assert line["user_id"] == {"Alice": "alice", "nobody": None}[whom]
    assert line["endpoint"] == traces["endpoint"]
    assert str(line["status"]) in OUTCOMES[outcome]
    assert line["request_id"]
    assert line["duration_ms"] > 0


@then("the secret is nowhere in the log")
def _(traces: dict[str, str]) -> None:
    assert SECRET not in traces["log"]


@then("the forged token is nowhere in the log")
def _(traces: dict[str, str]) -> None:
    for part in FORGED.split("."):
        assert part not in traces["log"]
