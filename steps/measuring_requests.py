"""The steps about the metrics."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_bdd import parsers, then, when

from tests.support.people import Cast, Person

METRICS_AGE = 1.1
"""Seconds: what is scraped may be a second old (docs/operations.md)."""
Labels = tuple[str, str, str]
"""Method, endpoint and status."""


PATHS: dict[str, Callable[[Person], str]] = {
    "her list": lambda alice: alice.tasks_path(),
    "her task": lambda alice: alice.tasks_path(next(iter(alice.tasks.values()))),
    "a task that does not exist": lambda alice: alice.tasks_path(2**60),
    "somebody else's list": lambda _: "/api/bob/tasks",
}


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


@when(parsers.parse("Alice asks for {what} three times"))
def asks_three_times(cast: Cast, metrics: dict[str, str], what: str) -> None:
    alice: Person = cast("Alice")
    metrics["before"] = read(cast)
    for _ in range(3):
        alice.ask("GET", PATHS[what](alice))
    time.sleep(METRICS_AGE)
    metrics["after"] = read(cast)


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
    # the operator's own requests are counted too
    assert {place: number for place, number in (after - before).items() if place[1] != "/metrics"} == expected


@then("the metrics have neither her name, nor the number or the title of the task")
def metrics_name_nobody(cast: Cast, metrics: dict[str, str]) -> None:
    alice = cast("Alice")
    (task,) = alice.tasks.values()
    assert alice.user_id not in metrics["after"]
    assert task["title"] not in metrics["after"]
    labels = "".join(re.findall(r"\{.*\}", metrics["after"]))
    # a bound of the histogram, a status or a part of the version may be the same number
    labels = re.sub(r'\b(le|status|version)="[^"]*"', "", labels)
    assert not re.search(rf"\b{task['id']}\b", labels)
