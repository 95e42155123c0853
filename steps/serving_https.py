"""The steps about https in production."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, then, when

from steps.answers import shown
from steps.failing import OK, ask_for_health
from steps.keeping_private import attempt
from steps.vocabulary import said
from tests.support.cluster import Cluster
from tests.support.log import Log
from tests.support.people import Cast, Person
from tests.support.service import default_settings, running_service, service_in_process

HSTS = "strict-transport-security"


YEAR = 365 * 24 * 3600


HTTP, HTTPS = "http://testserver", "https://testserver"
"""The same service at two addresses, as the proxy before it tells them apart."""


@pytest.fixture
def production() -> Iterator[ExitStack]:
    """A service of the scenario's own."""
    with ExitStack() as stack:
        yield stack


@given("a service in production")
def service_in_production(cast: Cast, cluster: Cluster, production: ExitStack) -> None:
    settings = default_settings(cluster.url, environment="production")
    cast.service = production.enter_context(service_in_process(settings))


TRUSTED = {"a trusted proxy": "127.0.0.1", "an unknown proxy": "192.0.2.1"}
"""FORWARDED_ALLOW_IPS; the steps themselves are the proxy."""


@given(parsers.re(rf"a service in production behind (?P<proxy>{'|'.join(TRUSTED)})"), target_fixture="log")
def service_behind_proxy(  # noqa: PLR0913, PLR0917 - what a service of the scenario's own needs
    cast: Cast,
    cluster: Cluster,
    production: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    proxy: str,
) -> Log:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", TRUSTED[proxy])
    settings = default_settings(cluster.url, environment="production")
    cast.service = production.enter_context(running_service(settings))
    return Log(capsys)


@when(parsers.re("Alice (?:lists|tries to list) her tasks, and the proxy says (?P<what>.+)"))
def lists_through_proxy(cast: Cast, what: str) -> None:
    headers = {} if what == "nothing" else {"x-forwarded-proto": what}
    cast("Alice").ask("GET", cast("Alice").tasks_path(), headers=headers)


@then(parsers.re('the log gives the reason "(?P<reason>[^"]*)"'))
def log_gives_reason(log: Log, reason: str) -> None:
    (line,) = map(json.loads, log.read().splitlines())
    assert line["reason"] == reason


@when(said("{who:Person} tries to list Alice's tasks over http"))
def tries_to_list_over_http(cast: Cast, who: str) -> None:
    cast(who).ask("GET", HTTP + cast("Alice").tasks_path())


@when(said("Alice tries to {action:Action} over http"))
def tries_over_http(cast: Cast, action: str) -> None:
    # the address of a service of the scenario's own is http
    attempt(cast("Alice"), action, cast("Alice"), in_list_of=cast("Alice"))


@when(said("{who:Person} tries to list Alice's tasks over https"))
def tries_to_list_over_https(cast: Cast, who: str) -> None:
    cast(who).ask("GET", HTTPS + cast("Alice").tasks_path())


@then(said("{who:Person}'s browser is told to use https alone for a year"))
def their_browser_is_told_https(cast: Cast, who: str) -> None:
    assert cast(who).answer.headers[HSTS] == f"max-age={YEAR}"


@when("Alice lists her tasks over https")
def lists_over_https(cast: Cast) -> None:
    cast("Alice").ask("GET", HTTPS + cast("Alice").tasks_path())


@when("the load balancer asks over http whether the service is up, and whether it is ready")
def asks_for_health_over_http(cast: Cast, probes: dict[str, Person]) -> None:
    ask_for_health(cast, probes, HTTP)


@then("it is told that the service is up, and that it is ready")
def is_told_up_and_ready(probes: dict[str, Person]) -> None:
    assert [shown(probe) for probe in probes.values()] == [OK, OK]


@then("her browser is told to use https alone for a year")
def browser_is_told_https(cast: Cast) -> None:
    assert cast("Alice").answer.headers[HSTS] == f"max-age={YEAR}"


@then("her browser is not told to use https")
def browser_is_not_told_https(cast: Cast) -> None:
    assert HSTS not in cast("Alice").answer.headers
