"""The steps about https in production."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pytest_bdd import given, then, when

from steps.answers import shown
from steps.failing import OK, ask_for_health
from steps.vocabulary import said
from tests.support.cluster import Cluster
from tests.support.people import Cast, Person
from tests.support.service import default_settings, service_in_process

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


@when(said("{who:Person} tries to list Alice's tasks over http"))
def tries_to_list_over_http(cast: Cast, who: str) -> None:
    cast(who).ask("GET", HTTP + cast("Alice").tasks_path())


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
