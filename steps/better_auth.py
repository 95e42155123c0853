"""The steps of signing in with a real Better Auth, which signs all their tokens."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import jwt
import pytest
from pytest_bdd import given, parsers, then, when
from sqlalchemy import Engine

from app.core.auth import jwks
from app.core.errors import KeysUnavailable
from steps.answers import has_exactly, refused, shown, titles_of
from steps.people import has
from steps.vocabulary import said
from tests.support import contract
from tests.support.better_auth import Account, BetterAuth, running_better_auth
from tests.support.cluster import Cluster
from tests.support.factories import rows
from tests.support.people import Cast
from tests.support.service import SECRET, Service, running_service, settings_for

SETUPS: dict[str, dict[str, object]] = {
    "is just installed": {},
    "tells the user's id and email address only": {"definePayload": True},
    "signs with ES256": {"algorithm": "ES256"},
    "signs with ES256 and tells id and email only": {"algorithm": "ES256", "definePayload": True},
    "signs with RS256": {"algorithm": "RS256"},
    "signs with RS256 and tells id and email only": {"algorithm": "RS256", "definePayload": True},
    "changes its key every second": {"rotationInterval": 1},
    "keeps sessions in the browser": {"sessionCookie": "secret"},
    "keeps sessions in the browser, signed with its keys": {"sessionCookie": "keys"},
}
AWAY: dict[str, Callable[[BetterAuth], object]] = {
    "is down": lambda auth: auth.tell("close"),
    "no longer answers": BetterAuth.freeze,
}
ONE_OF_AWAY = "|".join(AWAY)
LARGE_PICTURE = "data:image/png;base64," + "A" * 9000
AT_ONCE = 0.5
"""Seconds; waiting for a fetch of the keys would take longer."""


@dataclass
class Scene:
    """A Better Auth, a service that accepts its tokens, and the accounts there."""

    stack: ExitStack
    cluster: Cluster
    accounts: dict[str, Account] = field(default_factory=dict)
    answers: list[httpx.Response] = field(default_factory=list)
    _auth: BetterAuth | None = None
    _service: Service | None = None

    def open(self, setup: str) -> None:
        """Start both; the service has a shared secret too, as if it accepted both kinds of tokens."""
        self._auth = self.stack.enter_context(running_better_auth(**SETUPS[setup]))
        settings = settings_for(self.cluster.url, better_auth_url=self._auth.url)
        self._service = self.stack.enter_context(running_service(settings))

    @property
    def auth(self) -> BetterAuth:
        """The running Better Auth."""
        assert self._auth
        return self._auth

    @property
    def service(self) -> Service:
        """The running service."""
        assert self._service
        return self._service


@pytest.fixture
def scene(cluster: Cluster) -> Iterator[Scene]:
    """The Better Auth and the service of a scenario."""
    with ExitStack() as stack:
        yield Scene(stack, cluster)


def key_of(token: str) -> str:
    """The id of the key that a token is signed with."""
    return str(jwt.get_unverified_header(token)["kid"])


@given(parsers.re(r"a Better Auth that (?P<does>.+)"))
def _(scene: Scene, does: str) -> None:
    scene.open(does)


@given("the service looks for withdrawn keys every second")
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "REFRESH", 1.0)


@given(said("{who:Person} has signed up there"))
def _(scene: Scene, cast: Cast, who: str) -> None:
    sign_up(scene, cast, who)


@given(said("{who:Person} has signed up there and has the task {title:Quoted}"))
def _(scene: Scene, cast: Cast, database: Engine, who: str, title: str) -> None:
    sign_up(scene, cast, who)
    has(cast(who), database, title=title)


@given("Alice and Bob have signed up there")
def _(scene: Scene, cast: Cast) -> None:
    sign_up(scene, cast, "Alice")
    sign_up(scene, cast, "Bob")


@given(said("{who:Person} has signed up there with a large picture in her profile"))
def _(scene: Scene, cast: Cast, who: str) -> None:
    sign_up(scene, cast, who, image=LARGE_PICTURE)


def sign_up(scene: Scene, cast: Cast, who: str, **profile: str) -> None:
    """Sign up; from now on the person sends the token of that account."""
    account = scene.accounts[who] = scene.auth.sign_up(who, **profile)
    person = cast(who)
    person.service, person.id_at_better_auth, person.token = scene.service, account.user_id, account.token()


@given("Better Auth has changed its key")
def _(scene: Scene) -> None:
    scene.auth.tell("rotate")


@given(parsers.re(rf"Better Auth (?P<away>{ONE_OF_AWAY})"))
def _(scene: Scene, away: str) -> None:
    AWAY[away](scene.auth)


@given(parsers.re(rf"Alice has a new token and Better Auth (?P<away>{ONE_OF_AWAY})"))
def _(scene: Scene, cast: Cast, away: str) -> None:
    time.sleep(1)  # two tokens of one second are the same
    old, cast("Alice").token = cast("Alice").token, scene.accounts["Alice"].token()
    assert cast("Alice").token != old
    AWAY[away](scene.auth)


@when("Alice lists her tasks with a new token, signed with a new key")
def _(scene: Scene, cast: Cast) -> None:
    alice = cast("Alice")
    old, new = alice.token, scene.accounts["Alice"].token()
    assert old
    assert key_of(old) != key_of(new)
    alice.token = new
    alice.ask("GET", alice.tasks_path())


@when(said("Alice's {devices:Number} devices list her tasks for {seconds:Number} seconds, with a new token each time"))
def _(scene: Scene, cast: Cast, devices: int, seconds: int) -> None:
    url, account = scene.service.url + cast("Alice").tasks_path(), scene.accounts["Alice"]
    until = time.monotonic() + seconds

    def device(_: int) -> list[httpx.Response]:
        answers = []
        with httpx.Client() as client:
            while time.monotonic() < until:
                headers = {"authorization": f"Bearer {account.token()}"}
                answers.append(client.get(url, headers=headers, timeout=30))
        return answers

    with ThreadPoolExecutor(devices) as pool:
        scene.answers = [answer for answers in pool.map(device, range(devices)) for answer in answers]


@then("none of the requests has failed")
def _(scene: Scene) -> None:
    assert len(scene.answers) > 100
    assert {answer.status_code for answer in scene.answers} == {200}
    for answer in scene.answers:
        contract.hold(answer)


@then(said("their tokens were signed with at least {count:Number} keys"))
def _(scene: Scene, count: int) -> None:
    tokens = [answer.request.headers["authorization"].removeprefix("Bearer ") for answer in scene.answers]
    assert len({key_of(token) for token in tokens}) >= count


@when("Better Auth withdraws its key")
def _(scene: Scene) -> None:
    scene.auth.tell("withdraw")


@then(said("within {seconds:Number} seconds {who:Person} is told to sign in again"))
def _(cast: Cast, seconds: int, who: str) -> None:
    person, until = cast(who), time.monotonic() + seconds
    while person.ask("GET", person.tasks_path()).status_code == 200 and time.monotonic() < until:
        time.sleep(0.1)
    refused(person, 401, "AUTH_INVALID")


@then("Alice sees no tasks, and was not kept waiting")
def _(cast: Cast) -> None:
    alice = cast("Alice")
    assert shown(alice)["tasks"] == []
    assert alice.answer.elapsed.total_seconds() < AT_ONCE


@then("Alice is told that she can't be recognized right now")
def _(cast: Cast) -> None:
    error = refused(cast("Alice"), 500, "INTERNAL_ERROR")
    assert error["detail"] == KeysUnavailable.default_detail


@then(said("once Better Auth is back, {who:Person} still has exactly the tasks {titles:Titles}"))
def _(scene: Scene, cast: Cast, database: Engine, who: str, titles: list[str]) -> None:
    scene.auth.come_back()
    has_exactly(cast(who), database, titles)


@then(said("the database still has exactly the tasks {titles:Titles} of {who:Person}'s"))
def _(cast: Cast, database: Engine, titles: list[str], who: str) -> None:
    assert titles_of(rows(database, cast(who).user_id)) == titles


@when(parsers.re(r"Mallory shows (?P<thing>the .+) and tries to list Alice's tasks"))
def _(scene: Scene, cast: Cast, thing: str) -> None:
    mallory, alice = cast("Mallory"), cast("Alice")
    if thing == "the link in Alice's welcome email":
        (shown_token,) = scene.auth.tell("mails")
    else:
        assert thing in ("the cookie of Alice's session", "the signed cookie of her session")
        shown_token = scene.accounts["Alice"].session_cookie()
    if "kid" not in jwt.get_unverified_header(shown_token):
        # it is what it looks like: a JWT that is signed with the service's secret
        jwt.decode(shown_token, SECRET, algorithms=["HS256"])
    mallory.service, mallory.token = scene.service, shown_token
    mallory.ask("GET", alice.tasks_path())
