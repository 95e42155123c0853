"""The steps about the line that a request leaves in the log."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pytest_bdd import parsers, then, when

from steps.inputs import SESAME
from steps.vocabulary import said
from tests.support.log import Log
from tests.support.people import Cast
from tests.support.service import Service
from tests.support.tokens import token

TASKS, ONE_TASK = "/api/{user_id}/tasks", "/api/{user_id}/tasks/{task_id}"


SECRET_TASK = json.dumps({"title": SESAME, "description": SESAME})
SECRET_WHOLE_TASK = json.dumps({"title": SESAME, "description": SESAME, "complete": True})


# By what Alice asks for: method, path, body, and the endpoint that the log should name; {number} is her task's.
ASKED = {
    "a new task": ("POST", "/api/alice/tasks", SECRET_TASK, TASKS),
    "her task": ("GET", "/api/alice/tasks/{number}", None, ONE_TASK),
    "her task that has not changed": ("GET", "/api/alice/tasks/{number}", None, ONE_TASK),
    "a replacement of her task": ("PUT", "/api/alice/tasks/{number}", SECRET_WHOLE_TASK, ONE_TASK),
    "a deletion of her task": ("DELETE", "/api/alice/tasks/{number}", None, ONE_TASK),
    "a task with a wrong field": ("POST", "/api/alice/tasks", json.dumps({SESAME: SESAME, "title": [SESAME]}), TASKS),
    "somebody else's list": ("GET", f"/api/bob/tasks?complete={SESAME}", None, TASKS),
    "a task that does not exist": ("PATCH", f"/api/alice/tasks/{2**60}", SECRET_TASK, ONE_TASK),
    "something unreadable": ("PUT", "/api/alice/tasks/1", f'{{"{SESAME}', ONE_TASK),
    "something that is too large": ("POST", "/api/alice/tasks", SESAME * 10_000, TASKS),
}


FORGED = token("alice", secret="mallory-" * 8)


@dataclass
class Traces:
    """What a scenario's requests have left behind in the log."""

    _reader: Log
    """It reads from the scenario's start."""
    endpoint: str = TASKS
    answers: list[httpx.Response] = field(default_factory=list)
    log: str = ""

    def follow(self, *answers: httpx.Response) -> None:
        """Remember these answers, and all that was logged until their lines were."""
        self.answers += answers
        self.log += self._reader.read(len(answers))

    def lines(self) -> list[dict[str, Any]]:
        """The lines about the answers; others are about what `Person.ask` looks at after a success."""
        ids = [answer.headers["x-request-id"] for answer in self.answers]
        return [line for line in map(json.loads, self.log.splitlines()) if line["request_id"] in ids]


@pytest.fixture
def traces(scenario_service: Service, capsys: pytest.CaptureFixture[str]) -> Traces:
    """The traces of this scenario."""
    return Traces(Log(capsys, scenario_service.log))


@when(said("{who:Person} asks for {what}, with a secret in everything that she sends"))
def asks_with_secrets(cast: Cast, traces: Traces, who: str, what: str) -> None:
    method, path, body, traces.endpoint = ASKED[what]
    headers = {"content-type": "application/json", "user-agent": SESAME, "x-request-id": f"{SESAME}/x"}
    person = cast(who)
    path = path.replace("{number}", str(person.task["id"]))
    if what == "her task that has not changed":
        headers["if-none-match"] = person.ask("GET", path).headers["etag"]
    traces.follow(person.ask(method, path, content=body, headers=headers))


@when(parsers.re("Mallory asks for Alice's (?P<what>list|task) with a forged token"))
def asks_with_forged_token(cast: Cast, traces: Traces, what: str) -> None:
    mallory, alice = cast("Mallory"), cast("Alice")
    mallory.token = FORGED
    traces.endpoint = ONE_TASK if what == "task" else TASKS
    traces.follow(mallory.ask("GET", alice.tasks_path(alice.task if what == "task" else None)))


NAMES = (
    "the log has exactly one line about it, with the method, the endpoint, the status {status:Number} and {whom}'s id"
)


@then(said(NAMES))
def log_has_one_line(traces: Traces, whom: str, status: int) -> None:
    (line,) = traces.lines()
    assert line["user_id"] == {"Alice": "alice", "nobody": None}[whom]
    assert line["method"] == traces.answers[0].request.method
    assert line["endpoint"] == traces.endpoint
    assert line["status"] == status
    assert line["duration_ms"] > 0


@then("the secret is nowhere in the log")
def secret_is_not_logged(cast: Cast, traces: Traces) -> None:
    assert SESAME not in traces.log
    # the token that she signed in with is a secret too
    assert not [part for part in str(cast("Alice").token).split(".") if part in traces.log]


@then("the forged token is nowhere in the log")
def token_is_not_logged(traces: Traces) -> None:
    for part in FORGED.split("."):
        assert part not in traces.log


REQUEST_IDS = {
    "no request id": None,
    'the request id "two words"': "two words",
    "a request id of 65 letters": "x" * 65,
    'the request id ""': "",
}


@when(said("{who:Person} lists {_:Whose} tasks with the request id {request_id:Quoted}"))
def lists_with_request_id(cast: Cast, traces: Traces, who: str, request_id: str) -> None:
    traces.follow(cast(who).ask("GET", cast(who).tasks_path(), headers={"x-request-id": request_id}))


@when(parsers.re(r"Alice lists her tasks twice with (?P<what>.+)"))
def lists_twice(cast: Cast, traces: Traces, what: str) -> None:
    alice, request_id = cast("Alice"), REQUEST_IDS[what]
    headers = {} if request_id is None else {"x-request-id": request_id}
    traces.follow(*[alice.ask("GET", alice.tasks_path(), headers=headers) for _ in range(2)])


@then(said("the answer carries the request id {request_id:Quoted}, and so does its line in the log"))
def carries_request_id(traces: Traces, request_id: str) -> None:
    assert [answer.headers["x-request-id"] for answer in traces.answers] == [request_id]
    assert [line["request_id"] for line in traces.lines()] == [request_id]


@then("each answer carries a new request id, and so does its line in the log")
def carries_new_request_ids(traces: Traces) -> None:
    ids = [answer.headers["x-request-id"] for answer in traces.answers]
    assert len(set(ids)) == 2
    for request_id in ids:
        assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert [line["request_id"] for line in traces.lines()] == ids
