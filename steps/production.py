"""The steps about production: https, and settings with which it does not start; and about a first start without any."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pytest_bdd import given, parsers, then, when

from steps.answers import shown
from steps.promises import OK, ask_for_health
from steps.vocabulary import said
from tests.support.cluster import Cluster
from tests.support.people import Cast, Person
from tests.support.processes import Run, todo_api
from tests.support.service import SECRET, Service, default_settings, service_in_process

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


# Starting

GOOD = {"ENVIRONMENT": "production", "DATABASE_URL": "postgresql://127.0.0.1/todo", "BETTER_AUTH_SECRET": SECRET}
UNSAFE: dict[str, dict[str, str]] = {
    "no database": {"DATABASE_URL": ""},
    "no way to sign in": {"BETTER_AUTH_SECRET": ""},
    "a secret of 31 characters": {"BETTER_AUTH_SECRET": SECRET[:31]},
    "Better Auth's well-known secret": {"BETTER_AUTH_SECRET": "better-auth-secret-12345678901234567890"},
    "every site allowed to call": {"CORS_ORIGINS": "*"},
    "a Better Auth without encryption": {"BETTER_AUTH_URL": "http://auth.example.com"},
}


@when(parsers.parse("an operator starts the service in production with {what}"), target_fixture="start")
def starts_in_production(folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    return todo_api(folder, "serve", **(GOOD | UNSAFE[what]))


@then(parsers.re('it does not start, and says only "(?P<message>[^"]+)"'))
def does_not_start(start: subprocess.CompletedProcess[str], message: str) -> None:
    assert (start.returncode, start.stdout, start.stderr) == (1, "", message + "\n")


@given("an empty folder, and nothing configured")
def empty_folder(folder: Path) -> None:
    assert list(folder.iterdir()) == []


@when("a developer starts the service", target_fixture="run")
def developer_starts(folder: Path, serve: Callable[..., Run]) -> Run:
    return serve(folder).wait_until_up()


@then("it says how to get a token for anybody")
def says_how_to_get_a_token(run: Run) -> None:
    assert run.process.stderr
    # written before it serves, so it is all in the pipe
    greeting = os.read(run.process.stderr.fileno(), 65536).decode()
    assert greeting.splitlines()[-1] == "A token for Alice: .venv/bin/todo-api token alice"


@then("with such a token the developer can create a task and list it")
def can_use_the_token(cast: Cast, run: Run) -> None:
    with httpx.Client(base_url=run.url, timeout=30) as client:
        # apart from the scenarios' database
        developer = Person("alice", Service(client, cast.service.settings), run.token("alice"))
        created = developer.ask("POST", developer.tasks_path(), json={"title": "Buy milk"})
        assert shown(developer, 201)["title"] == "Buy milk"
        developer.ask("GET", developer.tasks_path())
        assert shown(developer) == {"tasks": [created.json()], "count": 1}
