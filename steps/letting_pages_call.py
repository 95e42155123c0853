"""The steps about pages of the frontend and of other sites: what a browser lets them send and read."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, then, when

from steps.answering import ANSWERS
from tests.support.cluster import Cluster
from tests.support.log import Log
from tests.support.people import Cast
from tests.support.service import ORIGIN, default_settings, service_in_process

TASKS = "/api/alice/tasks"


ORIGIN_HEADER = "access-control-allow-origin"


CREDENTIALS_HEADER = "access-control-allow-credentials"


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


REQUEST_HEADERS = {
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
    # which a browser may send to anybody
    "Accept",
    "Accept-Language",
    "Content-Language",
}


@pytest.fixture
def other_services() -> Iterator[ExitStack]:
    """Services with settings of their own; they end with the scenario."""
    with ExitStack() as stack:
        yield stack


@given(parsers.parse("the frontend is at {origin}"))
def frontend_is_at(cast: Cast, cluster: Cluster, other_services: ExitStack, origin: str) -> None:
    if origin != ORIGIN:
        settings = default_settings(cluster.url, cors_origins=(origin,))
        cast.service = other_services.enter_context(service_in_process(settings))


@given("the service lets any page call, as in development")
def any_page_may_call(cast: Cast, cluster: Cluster, other_services: ExitStack) -> None:
    settings = default_settings(cluster.url, cors_origins=("*",))
    cast.service = other_services.enter_context(service_in_process(settings))


@when(
    parsers.parse("a page of {origin} asks whether it may send {method:w} with {header}"), target_fixture="log_of_page"
)
def asks_whether_it_may_send(
    cast: Cast, capsys: pytest.CaptureFixture[str], origin: str, method: str, header: str
) -> str:
    asked = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": header.lower(),
    }
    log = Log(capsys, cast.service.log)
    cast("the page").ask("OPTIONS", TASKS, headers=asked)
    return log.read()


@then("the browser is told that it may not")
def browser_is_told_no(cast: Cast) -> None:
    # no browser shows this text, and the page gets none of it: what refuses is the missing permission
    answer = cast("the page").answer
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")
    assert ORIGIN_HEADER not in answer.headers


@when(parsers.parse("a page of {origin} lists the tasks as Alice"))
def page_lists_as_alice(cast: Cast, origin: str) -> None:
    page = cast("the page")
    page.token = cast("Alice").token
    page.ask("GET", TASKS, headers={"origin": origin, "cookie": "session=alice"})


@when(parsers.parse("a page of {origin} asks as Alice for {what}"))
def page_asks_as_alice(cast: Cast, origin: str, what: str) -> None:
    page, alice = cast("the page"), cast("Alice")
    page.id_at_better_auth, page.token, page.tasks, page.origin = alice.user_id, alice.token, alice.tasks, origin
    ANSWERS[what](page)


@then("no cache gives the answer to a page of another site")
def no_cache_confuses_pages(cast: Cast) -> None:
    assert cast("the page").answer.headers["vary"] == "Origin"


@when(parsers.parse("a page of {origin} lists the tasks without a token"))
def page_lists_without_token(cast: Cast, origin: str) -> None:
    cast("the page").ask("GET", TASKS, headers={"origin": origin})


@then("the page may send it, and its browser's credentials too")
def may_send_with_credentials(cast: Cast) -> None:
    answer = cast("the page").answer
    asked = answer.request.headers
    assert answer.status_code == 200
    assert answer.headers[ORIGIN_HEADER] == asked["origin"]
    assert answer.headers[CREDENTIALS_HEADER] == "true"
    assert answer.headers["access-control-allow-methods"].split(", ") == METHODS
    assert set(answer.headers["access-control-allow-headers"].split(", ")) == REQUEST_HEADERS
    assert asked["access-control-request-method"] in METHODS
    assert asked["access-control-request-headers"] in {name.lower() for name in REQUEST_HEADERS}


@then("the page may send it, but not its browser's credentials")
def may_send_without_credentials(cast: Cast) -> None:
    answer = cast("the page").answer
    assert answer.status_code == 200
    assert answer.headers[ORIGIN_HEADER] == "*"
    assert CREDENTIALS_HEADER not in answer.headers


@then("the page can read the answer, though its browser sent credentials")
def can_read_with_credentials(cast: Cast) -> None:
    answer = cast("the page").answer
    # a browser gives a page no answer to a request with credentials without both
    assert answer.headers[ORIGIN_HEADER] == answer.request.headers["origin"]
    assert answer.headers[CREDENTIALS_HEADER] == "true"


@then(parsers.parse("the page can read the headers {names}"))
def can_read_headers(cast: Cast, names: str) -> None:
    exposed = cast("the page").answer.headers["access-control-expose-headers"]
    assert exposed == names.replace(" and ", ", ")


@then("the page may not send it, and its browser can say why")
def may_not_send(cast: Cast) -> None:
    answer = cast("the page").answer
    asked = answer.request.headers
    # a browser compares what was asked with what is allowed, where it may read the answer
    assert answer.status_code == 200
    assert answer.headers[ORIGIN_HEADER] == asked["origin"]
    methods = answer.headers["access-control-allow-methods"].split(", ")
    headers = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert methods == METHODS
    assert asked["access-control-request-method"] not in methods or (
        asked["access-control-request-headers"] not in headers
    )


@then("the page can read no answer")
def can_read_nothing(cast: Cast) -> None:
    assert ORIGIN_HEADER not in cast("the page").answer.headers


@then(parsers.re(r'the line of the request in the log gives the reason "(?P<reason>[^"]*)"'))
def log_gives_reason(log_of_page: str, reason: str) -> None:
    (line,) = [json.loads(line) for line in log_of_page.splitlines()]
    assert line["reason"] == reason
