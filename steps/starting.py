"""The steps about starting the service: with unsafe settings, and with none."""

import os
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pytest_bdd import given, parsers, then, when

from app.core.settings import load_settings
from steps.answers import shown
from tests.support.cluster import Cluster
from tests.support.people import Cast, Person
from tests.support.processes import TODO_API, Run, todo_api
from tests.support.service import SECRET, Service, service_in_process
from tests.support.tokens import token

GOOD = {"ENVIRONMENT": "production", "DATABASE_URL": "postgresql://127.0.0.1/todo", "BETTER_AUTH_SECRET": SECRET}


UNSAFE: dict[str, dict[str, str]] = {
    "no address of a database": {"DATABASE_URL": ""},
    "no way to sign in": {"BETTER_AUTH_SECRET": ""},
    "a secret of 31 bytes": {"BETTER_AUTH_SECRET": SECRET[:31]},
    "Better Auth's well-known secret": {"BETTER_AUTH_SECRET": "better-auth-secret-12345678901234567890"},
    "a secret of one letter": {"BETTER_AUTH_SECRET": "x" * 44},
    "a weak secret beside Better Auth": {
        "BETTER_AUTH_URL": "https://auth.example.com",
        "BETTER_AUTH_SECRET": SECRET[:31],
    },
    "every site allowed to call": {"CORS_ORIGINS": "*"},
    "one site and every site": {"CORS_ORIGINS": "https://app.example.com,*"},
    "a database of white space alone": {"DATABASE_URL": " \n"},
    "quotes around the database": {"DATABASE_URL": '"postgresql://127.0.0.1/todo"'},
    "a Better Auth without encryption": {"BETTER_AUTH_URL": "http://auth.example.com"},
}


@when(parsers.parse("an operator starts the service in production with {what}"), target_fixture="start")
def starts_in_production(folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # one that would start all the same ends here
        return todo_api(folder, "serve", **(GOOD | {"PORT": str(taken.getsockname()[1])} | UNSAFE[what]))


@then(parsers.re('it does not start, and says only "(?P<message>[^"]+)"'))
def does_not_start(start: subprocess.CompletedProcess[str], message: str) -> None:
    assert (start.returncode, start.stdout, start.stderr) == (1, "", message + "\n")


ISSUER = "https://auth.example.com"


@given("a service whose JWT_ISSUER begins with a space and ends with a line break")
def issuer_has_white_space(cast: Cast, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    variables = {"DATABASE_URL": cluster.url, "BETTER_AUTH_SECRET": SECRET, "JWT_ISSUER": f" {ISSUER}\n"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with service_in_process(load_settings()) as cast.service:
        yield


@when("Alice lists her tasks with a token of that issuer")
def lists_with_token_of_issuer(cast: Cast) -> None:
    alice = cast("Alice")
    alice.token = token("alice", iss=ISSUER)
    alice.ask("GET", alice.tasks_path())


@given("an empty folder, and nothing configured")
def empty_folder(folder: Path) -> None:
    assert list(folder.iterdir()) == []


@when("a developer starts the service", target_fixture="run")
def developer_starts(folder: Path, serve: Callable[..., Run]) -> Run:
    return serve(folder).wait_until_up()


@then("it says with which command to get a token for anybody")
def says_how_to_get_a_token(run: Run) -> None:
    assert run.process.stderr
    # written before it serves, so it is all in the pipe
    greeting = os.read(run.process.stderr.fileno(), 65536).decode()
    assert greeting.splitlines()[-1] == f"A token for Alice: {shlex.join([*TODO_API, 'token', 'alice'])}"


@then("with such a token the developer can create a task and list it")
def can_use_the_token(cast: Cast, run: Run) -> None:
    with httpx.Client(base_url=run.url, timeout=30) as client:
        # apart from the scenarios' database
        developer = Person("alice", Service(client, cast.service.settings), run.token("alice"))
        created = developer.ask("POST", developer.tasks_path(), json={"title": "Buy milk"})
        assert shown(developer, 201)["title"] == "Buy milk"
        developer.ask("GET", developer.tasks_path())
        assert shown(developer) == {"tasks": [created.json()], "count": 1}
