"""The steps of signing in with a real Better Auth, which signs all their tokens."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Barrier

import httpx
import jwt
import pytest
from pytest_bdd import given, parsers, then, when
from sqlalchemy import Engine

from steps.answers import shown, still_has, titles_of
from steps.people import has
from steps.vocabulary import said
from tests.support.better_auth import Account, BetterAuth, running_better_auth
from tests.support.clock import PATIENCE
from tests.support.cluster import Cluster
from tests.support.key_server import Key, KeyServer, key_server
from tests.support.movable_loop import MovableLoop
from tests.support.people import Cast, Person
from tests.support.service import SECRET, Service, default_settings, running_service
from tests.support.watch import Watch

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


ENOUGH = 13
"""Requests that each device makes, however busy the machine is."""
AT_ONCE = 0.5
"""Seconds; waiting for a fetch of the keys would take longer."""


@dataclass
class Scene:
    """A Better Auth, a service that accepts its tokens, and the accounts there."""

    stack: ExitStack
    cluster: Cluster
    loop: MovableLoop = field(init=False)
    """The service's; a scenario may move its clock."""
    accounts: dict[str, Account] = field(default_factory=dict)
    answers: list[httpx.Response] = field(default_factory=list)
    _auth: BetterAuth | None = None
    _service: Service | None = None

    def open(self, setup: str) -> None:
        """Start both; the service has a shared secret too, as if it accepted both kinds of tokens."""
        self._auth = self.stack.enter_context(running_better_auth(**SETUPS[setup]))
        settings = default_settings(self.cluster.url, better_auth_url=self._auth.url)
        self._service = self.stack.enter_context(running_service(settings, self._new_loop))
        # a connection that waits for another request is closed when the service's clock moves, perhaps beneath one
        self._service.http.headers["connection"] = "close"

    def _new_loop(self) -> MovableLoop:
        self.loop = MovableLoop()
        return self.loop

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


@given(parsers.re(rf"a Better Auth that (?P<does>{'|'.join(SETUPS)})"))
def runs_better_auth(scene: Scene, does: str) -> None:
    scene.open(does)


@given(said("{who:Person} has signed up there"))
def has_signed_up(scene: Scene, cast: Cast, who: str) -> None:
    sign_up(scene, cast, who)


@given(said("{who:Person} has signed up there and has the task {title:Quoted}"))
def has_signed_up_with_task(scene: Scene, cast: Cast, database: Engine, who: str, title: str) -> None:
    sign_up(scene, cast, who)
    has(cast(who), database, title=title)


@given("Alice and Bob have signed up there")
def both_have_signed_up(scene: Scene, cast: Cast) -> None:
    sign_up(scene, cast, "Alice")
    sign_up(scene, cast, "Bob")


@given(said("{who:Person} has signed up there with a large picture in her profile"))
def has_signed_up_with_picture(scene: Scene, cast: Cast, who: str) -> None:
    sign_up(scene, cast, who, image=LARGE_PICTURE)


def sign_up(scene: Scene, cast: Cast, who: str, **profile: str) -> None:
    """Sign up; from now on the person sends the token of that account."""
    account = scene.accounts[who] = scene.auth.sign_up(who, **profile)
    person = cast(who)
    person.service, person.id_at_better_auth, person.token = scene.service, account.user_id, account.token()


@given("Better Auth has changed its key")
def has_changed_its_key(scene: Scene) -> None:
    scene.auth.tell("rotate")


@given(parsers.re(rf"Better Auth (?P<away>{ONE_OF_AWAY})"))
def is_away(scene: Scene, away: str) -> None:
    AWAY[away](scene.auth)


@given(parsers.re(rf"Alice has a new token and Better Auth (?P<away>{ONE_OF_AWAY})"))
def has_new_token_and_is_away(scene: Scene, cast: Cast, away: str) -> None:
    time.sleep(1)  # two tokens of one second are the same
    old, cast("Alice").token = cast("Alice").token, scene.accounts["Alice"].token()
    assert cast("Alice").token != old
    AWAY[away](scene.auth)


@when("Alice lists her tasks with a new token, signed with a new key")
def lists_with_new_key(scene: Scene, cast: Cast) -> None:
    alice = cast("Alice")
    old, new = alice.token, scene.accounts["Alice"].token()
    assert old
    assert key_of(old) != key_of(new)
    alice.token = new
    alice.ask("GET", alice.tasks_path())


@when(said("Alice's {devices:Number} devices list her tasks for {seconds:Number} seconds, with a new token each time"))
def lists_on_many_devices(scene: Scene, cast: Cast, devices: int, seconds: int) -> None:
    alice, account = cast("Alice"), scene.accounts["Alice"]
    until = time.monotonic() + seconds

    def device(_: int) -> list[httpx.Response]:
        phone = alice.on_another_device()
        answers: list[httpx.Response] = []
        while time.monotonic() < until or len(answers) < ENOUGH:
            phone.token = account.token()
            answers.append(phone.send("GET", phone.tasks_path()))
        return answers

    with alice.ledger.at_once(), ThreadPoolExecutor(devices) as pool:
        scene.answers = [answer for answers in pool.map(device, range(devices)) for answer in answers]


@then("none of the requests has failed")
def no_request_has_failed(scene: Scene) -> None:
    assert {answer.status_code for answer in scene.answers} == {200}


@then(said("their tokens were signed with at least {count:Number} different keys"))
def were_signed_with_keys(scene: Scene, count: int) -> None:
    tokens = [answer.request.headers["authorization"].removeprefix("Bearer ") for answer in scene.answers]
    assert len({key_of(token) for token in tokens}) >= count


FETCH = 3
"""Seconds of those that pass in which the service can fetch the keys."""


@when(said("Better Auth withdraws its key, and Alice lists her tasks again and again for {seconds:Number} seconds"))
def withdraws_key(scene: Scene, cast: Cast, seconds: int) -> None:
    alice = cast("Alice")
    scene.auth.tell("withdraw")
    scene.loop.move(seconds - FETCH)
    with Watch() as watch:
        while alice.ask("GET", alice.tasks_path()).status_code == 200 and watch.seconds < FETCH:
            time.sleep(0.1)


@then(said("Alice sees exactly the task {title:Quoted} within half a second"))
def sees_at_once(cast: Cast, title: str) -> None:
    alice = cast("Alice")
    assert titles_of(shown(alice)["tasks"]) == [title]
    assert alice.waited < AT_ONCE


@then(said("once Better Auth is back, {who:Person} still has exactly the {titles:Tasks}"))
def still_has_once_better_auth_is_back(scene: Scene, cast: Cast, who: str, titles: list[str]) -> None:
    scene.auth.come_back()
    assert cast(who).ask("GET", cast(who).tasks_path()).status_code == 200
    still_has(cast(who), titles)


@given("Mallory has signed up at a Better Auth of her own")
def has_own_better_auth(scene: Scene, cast: Cast) -> None:
    own = scene.stack.enter_context(running_better_auth())
    mallory = cast("Mallory")
    mallory.service, mallory.token = scene.service, own.sign_up("Mallory").token()


@when("Mallory tries to list Alice's tasks with the token that she got there")
def tries_with_own_token(cast: Cast) -> None:
    cast("Mallory").ask("GET", cast("Alice").tasks_path())


@given("a Better Auth that counts how often it is asked for its keys", target_fixture="counting")
def counts_fetches(scene: Scene, cast: Cast) -> KeyServer:
    counting = scene.stack.enter_context(key_server(Key("published")))
    settings = default_settings(scene.cluster.url, better_auth_url=counting.url)
    cast.service = scene.stack.enter_context(running_service(settings))
    return counting


MADE_UP = (
    "Mallory tries to list Alice's tasks with {count:Number} tokens at once,"
    " each signed with a key under another made-up name"
)


@when(said(MADE_UP))
def tries_made_up_keys(scene: Scene, cast: Cast, counting: KeyServer, count: int) -> None:
    mallory, alice = cast("Mallory"), cast("Alice")
    key = Key("made-up")
    devices = [mallory.on_another_device() for _ in range(count)]
    for number, device in enumerate(devices):
        device.token = key.token(counting.url, headers={"kid": f"made-up-{number}"})
    all_are_ready = Barrier(count)

    def attempt(device: Person) -> httpx.Response:
        all_are_ready.wait(PATIENCE)
        return device.send("GET", alice.tasks_path())

    with alice.ledger.at_once(), ThreadPoolExecutor(count) as hands:
        scene.answers = list(hands.map(attempt, devices))


@then("each of them is told to sign in again")
def each_is_told_to_sign_in_again(scene: Scene) -> None:
    assert len(scene.answers) == 50
    assert {(answer.status_code, answer.json()["error_code"]) for answer in scene.answers} == {(401, "AUTH_INVALID")}


@then(said("Better Auth was asked for its keys at most {count:Number} times"))
def was_asked_seldom(counting: KeyServer, count: int) -> None:
    assert 1 <= counting.fetches <= count


@when(parsers.re(r"Mallory shows (?P<thing>the .+) and tries to list Alice's tasks"))
def shows_what_was_signed_for_something_else(scene: Scene, cast: Cast, thing: str) -> None:
    mallory, alice = cast("Mallory"), cast("Alice")
    if thing == "the link in Alice's welcome email":
        (shown_token,) = scene.auth.tell("mails")
    else:
        assert thing in (
            "the cookie of Alice's session",
            "the cookie of Alice's session, signed with Better Auth's keys",
        )
        shown_token = scene.accounts["Alice"].session_cookie()
    if "kid" not in jwt.get_unverified_header(shown_token):
        # it is what it looks like: a JWT that is signed with the service's secret
        jwt.decode(shown_token, SECRET, algorithms=["HS256"])
    mallory.service, mallory.token = scene.service, shown_token
    mallory.ask("GET", alice.tasks_path())
