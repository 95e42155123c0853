"""The steps about the metrics."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_bdd import parsers, then, when

from steps.inputs import NEVER_EXISTED, TASK, WHOLE_TASK
from tests.support.people import Cast, Person

METRICS_AGE = 1.1
"""Seconds: what is scraped may be a second old (docs/operations.md)."""
Labels = tuple[str, str, str]
"""Method, endpoint and status."""


ASKED: dict[str, tuple[str, Callable[[Person], str], Any]] = {
    "her list": ("GET", lambda alice: alice.tasks_path(), None),
    "her task": ("GET", lambda alice: alice.tasks_path(alice.task), None),
    "a task that does not exist": ("GET", lambda alice: alice.tasks_path(NEVER_EXISTED), None),
    "somebody else's list": ("GET", lambda _: "/api/bob/tasks", None),
    "a new task": ("POST", lambda alice: alice.tasks_path(), TASK),
    "a task with a wrong field": ("POST", lambda alice: alice.tasks_path(), {"titel": "Buy milk"}),
    "a replacement of her task": ("PUT", lambda alice: alice.tasks_path(alice.task), WHOLE_TASK),
    "a completion of her task": ("PATCH", lambda alice: alice.tasks_path(alice.task), {"complete": True}),
    "a deletion of her whole list": ("DELETE", lambda alice: alice.tasks_path(), None),
    "an address that nobody has": ("GET", lambda _: "/no/such/address", None),
    "that part": ("GET", lambda _: "/api/alice/part", None),
}
"""Method, path and body."""


@pytest.fixture
def metrics() -> dict[str, str]:
    """What the operator reads before and after."""
    return {}


def read(cast: Cast) -> str:
    """The metrics as they are now."""
    answer = cast("the operator").ask("GET", "/metrics")
    assert answer.status_code == 200
    return answer.text


def count(text: str, name: str) -> Counter[Labels]:
    """The values of one metric, by method, endpoint and status; an error's codes are added up."""
    values: Counter[Labels] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                labels = (sample.labels["method"], sample.labels["endpoint"], sample.labels["status"])
                values[labels] += int(sample.value)
    return values


@when("an operator reads the metrics and the documentation")
def reads_metrics_and_documentation(cast: Cast, metrics: dict[str, str]) -> None:
    metrics["now"] = read(cast)
    metrics["documentation"] = cast("the operator").ask("GET", "/openapi.json").text


@then("both name the version of the service that is installed")
def both_name_the_version(metrics: dict[str, str]) -> None:
    installed = version("todo-api")
    assert f'todo_api_info{{version="{installed}"}} 1.0' in metrics["now"].splitlines()
    assert json.loads(metrics["documentation"])["info"]["version"] == installed


@when(parsers.parse("Alice asks for {what} three times"), target_fixture="waited")
def asks_three_times(cast: Cast, metrics: dict[str, str], what: str) -> float:
    """Give the seconds that she has waited."""
    alice: Person = cast("Alice")
    method, path, body = ASKED[what]
    metrics["before"] = read(cast)
    waited = 0.0
    for _ in range(3):
        alice.ask(method, path(alice), **({"json": body} if body else {}))
        waited += alice.waited
    time.sleep(METRICS_AGE)
    metrics["after"] = read(cast)
    return waited


NAMES = {
    "requests": "http_requests_total",
    "response times": "http_request_duration_seconds_count",
    "errors": "http_errors_total",
}


COUNTED = (
    r"the metrics count (?P<more>\d+) more (?P<what>requests|response times|errors) (?:by|of)"
    r" (?P<labels>\w+ to \S+ with the status \d+)"
)


LABELS = re.compile(r"(\w+) to (\S+) with the status (\d+)")


@then(parsers.re(COUNTED))
def metrics_count(metrics: dict[str, str], more: str, what: str, labels: str) -> None:
    before = count(metrics["before"], NAMES[what])
    after = count(metrics["after"], NAMES[what])
    match = LABELS.fullmatch(labels)
    assert match
    method, endpoint, status = match.groups()
    expected = {(method, endpoint, status): int(more)} if int(more) else {}
    counted = {place: number for place, number in (after - before).items() if not _is_beside(place, method)}
    assert counted == expected


def _is_beside(place: Labels, method: str) -> bool:
    """Whether these are the operator's requests, or those by which `Person.ask` looks at what was written."""
    return place[1] == "/metrics" or (method != "GET" and place[0] == "GET" and place[2] == "200")


@then("the response times that the metrics add up are some, and no longer than Alice has waited")
def response_times_are_true(metrics: dict[str, str], waited: float) -> None:
    before, after = (seconds_of_lists(metrics[when]) for when in ("before", "after"))
    assert 0 < after - before <= waited


def seconds_of_lists(text: str) -> float:
    """All response times of lists that were shown, in seconds."""
    labels = {"method": "GET", "endpoint": "/api/{user_id}/tasks", "status": "200"}
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_sum" and sample.labels == labels
    )


@then("the metrics have neither her name, nor the number or the title of the task")
def metrics_name_nobody(cast: Cast, metrics: dict[str, str]) -> None:
    alice = cast("Alice")
    assert alice.user_id not in metrics["after"]
    assert alice.task["title"] not in metrics["after"]
    labels = "".join(re.findall(r"\{.*\}", metrics["after"]))
    # a bound of the histogram, a status or a part of the version may be the same number
    labels = re.sub(r'\b(le|status|version)="[^"]*"', "", labels)
    assert not re.search(rf"\b{alice.task['id']}\b", labels)
