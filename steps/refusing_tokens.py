"""The steps about the reasons that the log gives for a refusal."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from pytest_bdd import given, parsers, then, when

from steps.signing_in import typed
from tests.support.key_server import Key, KeyServer, key_server
from tests.support.log import Log
from tests.support.people import Cast
from tests.support.service import SECRET, Service, default_settings, service_in_process
from tests.support.tokens import token

PORT = "3000"
"""What the sentences call the key server's port."""


@dataclass
class Trusted:
    """A key server, and the service that is told of it."""

    keys: KeyServer
    key: Key
    service: Service
    log: Log

    def url(self, text: str) -> str:
        """A URL of a sentence, as it really is."""
        return text.replace(PORT, self.keys.url.rpartition(":")[2])

    def reason(self) -> tuple[str, str]:
        """The reason in the line of the request, as a sentence has it, and all that was logged."""
        text = self.log.read()
        (line,) = [line for line in map(json.loads, text.splitlines()) if "request_id" in line]
        assert "exception" not in line
        reason = line["reason"].replace(self.keys.url.rpartition(":")[2], PORT)
        # a busy machine may take some seconds to send it
        return re.sub(r"expired 1\d s ago", "expired 12 s ago", reason), text


TOKENS: dict[str, Callable[[Trusted], str]] = {
    "one issued by http://localhost:3000": lambda at: at.key.token(at.url("http://localhost:3000")),
    "one issued by http://127.0.0.1:3000": lambda at: at.key.token(at.keys.url),
    "one that expired 12 s ago": lambda _: token("alice", exp=int(time.time()) - 12),
    "one that lasts for a year": lambda _: token("alice", exp=int(time.time()) + 365 * 24 * 3600),
    "one that names two people": lambda _: token("alice", sub="mallory"),
    "one of the type at+jwt": lambda _: typed("at+jwt"),
    "the token that sign-in answers with": lambda _: "KCo9zNwzXnF8cTwWdVbmGs2Zy5eQ4rLh",
    "the word undefined": lambda _: "undefined",
    "one made with todo-api token": lambda _: token("alice"),
    "one made with todo-api token elsewhere": lambda _: token("alice", secret="elsewhere" * 5),
    "one under a key that is not published": lambda at: Key("another").token(at.keys.url),
}


WITH = r"a service with (?P<variables>\S+=[^\s,]+(?: \S+=\S+)*)(?:, whose key server answers with (?P<habit>.+))?"


@given(parsers.re(WITH), target_fixture="trusted")
def runs_service_with_settings(
    cast: Cast, capsys: pytest.CaptureFixture[str], variables: str, habit: str | None
) -> Iterator[Trusted]:
    with ExitStack() as stack:
        key = Key("known")
        keys = stack.enter_context(key_server(key))
        keys.habit = habit or "serve"
        port = keys.url.rpartition(":")[2]
        chosen = {name.lower(): value for name, value in (one.split("=") for one in variables.split())}
        chosen = {name: SECRET if value == "…" else value.replace(PORT, port) for name, value in chosen.items()}
        settings = default_settings(
            cast.service.settings.required_database_url, **{"better_auth_secret": None} | chosen
        )
        service = stack.enter_context(service_in_process(settings))
        cast.service = service
        yield Trusted(keys, key, service, Log(capsys))


@when(parsers.re(r"Alice tries to list her tasks, sending (?P<what>.+)"))
def tries_to_list_sending(cast: Cast, trusted: Trusted, what: str) -> None:
    alice = cast("Alice")
    alice.token = TOKENS[what](trusted)
    alice.ask("GET", alice.tasks_path())


@then(parsers.re(r'the log gives the reason "(?P<reason>[^"]*)", and nothing with which anybody could sign in'))
def log_gives_reason_without_token(cast: Cast, trusted: Trusted, reason: str) -> None:
    told, log = trusted.reason()
    assert told.strip() == reason
    for part in (cast("Alice").token or "").split("."):
        assert part == "undefined" or part not in log
