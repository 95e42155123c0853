"""The steps about what every answer carries."""

from collections.abc import Callable

import httpx
import pytest
from pytest_bdd import parsers, then, when

from steps.inputs import BODY_MAX, JSON, NEVER_EXISTED, UNREADABLE
from tests.support.people import Cast, Person

TRANSPORT = {"connection", "content-length", "content-type", "date", "server"}
"""They say how the answer is sent, and are left to the server."""


def _unchanged(alice: Person) -> httpx.Response:
    path = alice.tasks_path(alice.task)
    return alice.ask("GET", path, headers={"if-none-match": alice.ask("GET", path).headers["etag"]})


def _page(alice: Person) -> httpx.Response:
    alice.ask("POST", alice.tasks_path(), json={"title": "Pay the rent"})
    return alice.ask("GET", alice.tasks_path(), params={"limit": 1})


def _without_token(alice: Person, token: str | None) -> httpx.Response:
    alice.token = token
    return alice.ask("GET", alice.tasks_path())


ANSWERS: dict[str, Callable[[Person], httpx.Response]] = {
    "a list": lambda alice: alice.ask("GET", alice.tasks_path()),
    "a page of a longer list": _page,
    "a task": lambda alice: alice.ask("GET", alice.tasks_path(alice.task)),
    "a new task": lambda alice: alice.ask("POST", alice.tasks_path(), json={"title": "Pay the rent"}),
    "a changed task": lambda alice: alice.ask("PATCH", alice.tasks_path(alice.task), json={"complete": True}),
    "the news that a task has not changed": _unchanged,
    "the confirmation of a deletion": lambda alice: alice.ask("DELETE", alice.tasks_path(alice.task)),
    "a refusal for want of a token": lambda alice: _without_token(alice, None),
    "a refusal of a bad token": lambda alice: _without_token(alice, "open-sesame"),
    "a refusal of somebody else's list": lambda alice: alice.ask("GET", "/api/bob/tasks"),
    "a refusal of something unreadable": lambda alice: alice.ask(
        "POST", alice.tasks_path(), content=UNREADABLE, headers=JSON
    ),
    "a refusal of something too large": lambda alice: alice.ask(
        "POST", alice.tasks_path(), content=b" " * (BODY_MAX + 1), headers=JSON
    ),
    "a refusal of a wrong field": lambda alice: alice.ask("POST", alice.tasks_path(), json={"titel": "Buy milk"}),
    "a refusal of a task that is not there": lambda alice: alice.ask("GET", alice.tasks_path(NEVER_EXISTED)),
    "a refusal of an older version": lambda alice: alice.ask(
        "DELETE", alice.tasks_path(alice.task), headers={"if-match": '"older"'}
    ),
    "a refusal of an unsupported action": lambda alice: alice.ask("DELETE", alice.tasks_path()),
}


@pytest.fixture
def carried() -> dict[str, str]:
    """The headers of the answer that matters, those that are not yet accounted for."""
    return {}


@when(parsers.re(rf"the service (?:gives|is asked for) (?P<what>{'|'.join(ANSWERS)})"))
def service_gives(cast: Cast, carried: dict[str, str], what: str) -> None:
    answer = ANSWERS[what](cast("Alice"))
    carried.update({name: value for name, value in answer.headers.items() if name not in TRANSPORT})


@then(parsers.re('the answer carries a request id, "(?P<first>[^"]+)", "(?P<second>[^"]+)" and "(?P<third>[^"]+)"'))
def carries_always(carried: dict[str, str], first: str, second: str, third: str) -> None:
    assert carried.pop("x-request-id")
    for header in (first, second, third):
        name, _, value = header.partition(": ")
        assert carried.pop(name.lower()) == value


@then(parsers.parse("beside these it carries exactly {headers}"))
def carries_beside(carried: dict[str, str], headers: str) -> None:
    expected = [] if headers == "no more headers" else headers.split(", ")
    if headers.startswith("Allow"):
        expected = [headers]
    assert sorted(carried) == sorted(header.partition(": ")[0].lower() for header in expected)
    for header in expected:
        name, _, value = header.partition(": ")
        assert value in {"", carried[name.lower()]}
