"""The steps of signing in with a token."""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from pytest_bdd import given, parsers, then, when

from steps.answers import shown, titles_of
from steps.listing import read_all_pages
from steps.vocabulary import said
from tests.acceptance.redaction import keep_secret
from tests.support.log import Log
from tests.support.people import Cast, Person
from tests.support.service import SECRET
from tests.support.tokens import claims, token


def changed(good: str) -> str:
    """The token with other claims and the same signature."""
    head, _, signature = good.split(".")
    body = jwt.utils.base64url_encode(str(claims("alice", exp=10**10)).encode()).decode()
    return f"{head}.{body}.{signature}"


def typed(typ: str) -> str:
    """A token of Alice's that says of itself what it is (RFC 7515, 4.1.9)."""
    return keep_secret(jwt.encode(claims("alice"), SECRET, algorithm="HS256", headers={"typ": typ}))


MONTH = 31 * 24 * 3600
"""Seconds."""


LEEWAY = 10
"""Seconds for which a token is still accepted once it has expired."""


FRESH = 1.0
"""Seconds from a token's signature to its answer: a busy machine may take longer, and time makes a token older."""


def now() -> int:
    """The time as tokens have it: whole seconds since the epoch."""
    return int(time.time())


TOKENS: dict[str, Callable[[], str]] = {
    "names her as subject and user": lambda: token("alice"),
    "names her as its subject alone": lambda: token("alice", user_id=None),
    "names her as its user alone": lambda: token("alice", sub=None),
    "expired 8 seconds ago": lambda: token("alice", exp=now() - 8),
    "becomes valid in 8 seconds": lambda: token("alice", nbf=now() + 8),
    "is issued 8 seconds from now": lambda: token("alice", iat=now() + 8),
    "expires in 31 days": lambda: token("alice", exp=now() + MONTH),
    "is not a token at all": lambda: "open-sesame",
    "is signed with another secret": lambda: token("alice", secret="mallory-" * 8),
    "is not signed": lambda: jwt.encode(claims("alice"), "", algorithm="none"),
    "was changed after it was signed": lambda: changed(token("bob")),
    "expired 11 seconds ago": lambda: token("alice", exp=now() - 11),
    "never expires": lambda: token("alice", exp=None),
    "expires in 31 days and a minute": lambda: token("alice", exp=now() + MONTH + 60),
    "becomes valid in a minute": lambda: token("alice", nbf=now() + 60),
    "is issued a minute from now": lambda: token("alice", iat=now() + 60),
    "names nobody": lambda: token("alice", sub=None, user_id=None, email=None),
    "names her by email address alone": lambda: token("alice", sub=None, user_id=None),
    "names two different people": lambda: token("alice", sub="mallory"),
    "says that it is of the type JWT": lambda: typed("JWT"),
    "says that it is of the type jwt": lambda: typed("jwt"),
    "says that it is of the type application/jwt": lambda: typed("application/jwt"),
    "says that it is of the type at+jwt": lambda: typed("at+jwt"),
    "says that it is of the type application/at+jwt": lambda: typed("application/at+jwt"),
    "says that it is of the type dpop+jwt": lambda: typed("dpop+jwt"),
    "is far too long": lambda: token("alice", padding="x" * 8192),
}


@when(said("Alice lists her tasks with a token that {what}"))
def lists_with_token(cast: Cast, what: str) -> None:
    alice = cast("Alice")
    signed = 0.0
    while time.monotonic() - signed > FRESH:
        signed = time.monotonic()
        alice.token = TOKENS[what]()
        alice.ask("GET", alice.tasks_path())


@when(said("Mallory tries to list Alice's tasks with a token that {what}"))
def tries_with_token(cast: Cast, what: str) -> None:
    mallory = cast("Mallory")
    mallory.token = TOKENS[what]()
    mallory.ask("GET", cast("Alice").tasks_path())


@given("Alice has listed her tasks with a token that expires within some seconds", target_fixture="expires_at")
def has_listed_with_token(cast: Cast) -> int:
    lists_with_token(cast, "expired 8 seconds ago")
    shown(cast("Alice"))
    expires_at: int = jwt.decode(str(cast("Alice").token), options={"verify_signature": False})["exp"]
    return expires_at


@when("Alice tries that token again after it has expired")
def tries_token_again(cast: Cast, expires_at: int) -> None:
    time.sleep(max(0.0, expires_at + LEEWAY + 0.1 - time.time()))
    cast("Alice").ask("GET", cast("Alice").tasks_path())


BASIC = "YWxpY2U6c2VzYW1l"


@when("Mallory tries to list Alice's tasks with two tokens at once", target_fixture="log_of_attempt")
def tries_with_two_tokens(cast: Cast, capsys: pytest.CaptureFixture[str]) -> str:
    alice, mallory = cast("Alice"), cast("Mallory")
    log = Log(capsys, cast.service.log)
    # each of the two would be accepted alone
    mallory.ask("GET", alice.tasks_path(), headers=[("authorization", f"Bearer {alice.token}")])
    return log.read()


@when("Mallory tries to list Alice's tasks with a password", target_fixture="log_of_attempt")
def tries_with_password(cast: Cast, capsys: pytest.CaptureFixture[str]) -> str:
    mallory = cast("Mallory")
    mallory.token = None
    log = Log(capsys, cast.service.log)
    mallory.ask("GET", cast("Alice").tasks_path(), headers={"authorization": f"Basic {BASIC}"})
    return log.read()


@then("the log has nothing with which anybody could sign in")
def log_has_no_token(cast: Cast, log_of_attempt: str) -> None:
    assert "AUTH_" in log_of_attempt
    secrets = [BASIC, *f"{cast('Alice').token}.{cast('Mallory').token or BASIC}".split(".")]
    assert not [secret for secret in secrets if secret in log_of_attempt]


IDS: dict[str, Any] = {
    "is one letter": "a",
    "has 255 characters": "x" * 255,
    "has 255 umlauts": "ü" * 255,
    "has a space inside": "alice b",
    "has an accent and a quote": "Zoë O'Hara",
    "has a question mark": "who?",
    "a careless search takes for Alice's": "ALIC_",
    "is empty": "",
    "has 256 characters": "x" * 256,
    "begins with a space": " alice",
    "ends with a space": "alice ",
    "ends with a line break": "alice\n",
    "has an invisible line end": "ali\x85ce",
    "has a slash": "alice/tasks",
    "has an invisible NUL character": "ali\0ce",
    "has a broken character": "ali\ud800ce",
    "is a number": 4711,
}


@given(parsers.parse("somebody is signed in whose id {what}"), target_fixture="somebody")
def somebody_is_signed_in(cast: Cast, what: str) -> Person:
    somebody = cast("somebody")
    somebody.id_at_better_auth, somebody.token = IDS[what], token(IDS[what])
    return somebody


@when(said("they create the task {title:Quoted}"))
def they_create(somebody: Person, title: str) -> None:
    somebody.ask("POST", somebody.tasks_path(), json={"title": title})


@then(said("they have exactly the task {title:Quoted}, at an address of their own"))
def they_have(somebody: Person, title: str) -> None:
    task = shown(somebody, 201)
    assert task["user_id"] == somebody.user_id
    assert somebody.ledger.tasks_of(somebody.user_id) == [task]
    place = somebody.answer.headers["location"]
    assert place == f"{somebody.tasks_path()}/{task['id']}"
    assert titles_of([somebody.send("GET", place).json()]) == [title]


@then("once they have a second task, they can turn the pages of their list")
def they_can_turn_pages(somebody: Person) -> None:
    somebody.ask("POST", somebody.tasks_path(), json={"title": "Pay the rent"})
    read_all_pages(somebody, {"limit": "1"})
    assert [titles_of(page["tasks"]) for page in somebody.pages] == [["Pay the rent"], ["Buy milk"]]


@when(said("Mallory tries to list Alice's tasks with a token for somebody whose id {what}"))
def tries_with_bad_id(cast: Cast, what: str) -> None:
    mallory = cast("Mallory")
    mallory.token = sign({"sub": IDS[what], "user_id": IDS[what]})
    mallory.ask("GET", cast("Alice").tasks_path())


def sign(values: dict[str, Any]) -> str:
    """Sign claims that PyJWT itself would refuse."""
    body = jwt.utils.base64url_encode(json.dumps(claims("alice") | values).encode()).decode()
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256"}).encode()).decode()
    signature = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{body}".encode(), SECRET.encode())
    return keep_secret(f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}")
