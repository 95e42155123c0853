"""The key cache: fetched when needed, never hammered, and known keys go on whatever the auth server does.

Tokens are judged by the application's verifier against a real key server. What a caller is told over HTTP is the
same for all of them, and stands at the end.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from app.core.auth import jwks
from app.core.auth.tokens import LEEWAY
from app.core.deadline import set_deadline
from app.core.errors import REASON_MAX, AuthInvalid, KeysUnavailable
from tests.support import contract
from tests.support.clock import PATIENCE, allowed, wait_until
from tests.support.cluster import Cluster
from tests.support.home import Home, Verdict, home
from tests.support.key_server import HABITS, Key, key_server
from tests.support.service import service_in_process, settings_for
from tests.support.tokens import token

FIRST, SECOND, MALLORYS = Key("first"), Key("second"), Key("bogus")
WITHOUT_KEYS = [
    "an empty set",
    "no JSON Web Keys",
    "an oct key",
    "a key without an id",
    "a key for encryption",
    "a key for signing",
]
"""What a server may serve that is a set, with no usable key in it."""
GOOD_HABITS = ["serve", "serve slowly", "serve when released"]
ENDLESS_HABITS = ["hang", "a dripping body"]
BAD_HABITS = sorted(HABITS.keys() - {*GOOD_HABITS, *WITHOUT_KEYS})
PRODUCTION_PAUSE_MIN = jwks.PAUSE_MIN
PRODUCTION_PAUSE_MAX = jwks.PAUSE_MAX
STALE_MAX = jwks.REFRESH + jwks.FETCH_WITHIN
"""Seconds for which a withdrawn key may go on."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pauses between fetches are a tenth of what they are in production, in the same proportion."""
    for name in ("PAUSE_MIN", "PAUSE_MAX"):
        monkeypatch.setattr(jwks, name, getattr(jwks, name) / 10)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown key ids are looked for one after another."""
    monkeypatch.setattr(jwks, "PAUSE_MIN", 0.001)
    monkeypatch.setattr(jwks, "PAUSE_MAX", 0.001)


@pytest.fixture
def at_home() -> Iterator[Home]:
    """A verifier and a server of the first key."""
    with home(FIRST) as here:
        yield here


@pytest.fixture
def known(at_home: Home) -> Home:
    """The same, and the first key has been fetched."""
    assert at_home.judge_new(FIRST) == "alice"
    return at_home


def bogus(here: Home, count: int) -> list[str]:
    """Tokens of Mallory's, each with another key id."""
    return [here.token(MALLORYS, headers={"kid": f"bogus-{place}"}) for place in range(count)]


def wait_for(here: Home, happened: Callable[[], bool]) -> None:
    """Let time pass until it has happened."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until
        here.sleep(0.01)


# Which keys

USED = [*(Key(name, name) for name in jwks.ALGORITHMS), Key("Ed448", "EdDSA", "Ed448")]
NOT_USED = [
    Key("too short", "RS256", "RSA of 1,024 bits"),  # RFC 7518, section 3.3: 2,048 at least
    *(Key(name, name) for name in ("ES384", "ES256K", "RS512", "PS512")),
]
ODD: list[Any] = [
    {"alg": "none", "kty": "OKP"},
    {"alg": ["EdDSA"], "kty": "OKP"},
    {"alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": 5},
    {"alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
    {"alg": "RS256", "kty": "RSA", "n": "", "e": ""},
    {"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"},
]


@pytest.mark.usefixtures("no_pauses")
def test_of_a_set_of_all_kinds_better_auths_own_are_used() -> None:
    """A key that can't be read, may not be used or says what it is not is left out, and costs no other."""
    odd = [entry | {"kid": f"odd {place}"} for place, entry in enumerate(ODD)]
    mislabelled = [key.public | {"alg": "EdDSA", "kid": f"mislabelled {key.key_id}"} for key in NOT_USED]
    with home() as here:
        here.server.keys = [None, *odd, *(key.public for key in NOT_USED), *mislabelled, *(key.public for key in USED)]
        assert [here.judge_new(key) for key in USED] == ["alice"] * len(USED)
        for key in NOT_USED:
            assert here.judge_new(key) is AuthInvalid, key
            assert here.judge_new(key, headers={"kid": f"mislabelled {key.key_id}"}) is AuthInvalid, key
        for entry in odd:
            assert here.judge_new(FIRST, headers={"kid": entry["kid"]}) is AuthInvalid, entry


@pytest.mark.usefixtures("no_pauses")
def test_a_key_without_a_proper_id_is_not_used() -> None:
    """A token names its key by a text."""
    with home(SECOND) as here:
        here.server.keys += [FIRST.public | {"kid": key_id} for key_id in (None, 5, ["first"], "")]
        for key_id in ("first", None, "None", "5", ""):
            assert here.judge_new(FIRST, headers={"kid": key_id}) is AuthInvalid, key_id


USES: dict[str, dict[str, Any]] = {
    "to verify": {"use": "sig", "key_ops": ["verify"]},
    "to verify and more": {"key_ops": ["sign", "verify"]},
}
OTHER_USES: dict[str, dict[str, Any]] = {
    "use enc": {"use": "enc"},
    "use in capitals": {"use": "SIG"},
    "use null": {"use": None},
    "use a list": {"use": ["sig"]},
    "key_ops without verify": {"key_ops": ["sign"]},
    "key_ops of nothing": {"key_ops": []},
    "key_ops null": {"key_ops": None},
    "key_ops a text": {"key_ops": "verify"},
    "use sig, and key_ops without verify": {"use": "sig", "key_ops": ["encrypt"]},
    "use enc, and key_ops with verify": {"use": "enc", "key_ops": ["verify"]},
}


@pytest.mark.usefixtures("no_pauses")
def test_a_key_for_another_use_verifies_nothing() -> None:
    """RFC 7517, sections 4.2 and 4.3; Better Auth's say nothing of it."""
    with home(SECOND) as here:
        here.server.keys += [FIRST.public | use | {"kid": name} for name, use in (USES | OTHER_USES).items()]
        for name in USES:
            assert here.judge_new(FIRST, headers={"kid": name}) == "alice", name
        for name in OTHER_USES:
            assert here.judge_new(FIRST, headers={"kid": name}) is AuthInvalid, name


# Which tokens


def test_each_token_is_judged_by_one_mode(at_home: Home) -> None:
    """Both are configured, and the algorithm chooses; the secret's tokens, or one without a key id, cause no fetch."""
    assert at_home.judge(token("alice")) == "alice"
    assert at_home.judge(token("alice", headers={"kid": "first"})) == "alice"
    assert at_home.judge_new(FIRST, headers={"kid": None}) is AuthInvalid
    assert at_home.server.fetches == 0
    assert at_home.judge_new(FIRST) == "alice"


def test_without_a_mode_its_tokens_are_not_good() -> None:
    """A token of one mode is nothing where only the other is configured; an empty secret is never the key."""
    with home(FIRST, better_auth_secret=None) as here:
        assert here.judge(token("alice")) is AuthInvalid
        assert here.server.fetches == 0
        assert here.judge_new(FIRST) == "alice"
    with home(FIRST, better_auth_url=None) as here:
        assert here.judge_new(FIRST) is AuthInvalid
        assert here.judge(token("alice")) == "alice"
    with home(FIRST, better_auth_url=None, better_auth_secret=None) as here:
        assert here.judge_new(FIRST) is here.judge(token("alice")) is AuthInvalid


def test_issuer_and_audience_are_the_urls_origin() -> None:
    """The URL may have a path; the tokens don't, and the keys are behind it."""
    with home(FIRST, path="/app/") as here:
        assert here.judge_new(FIRST) == "alice"
        assert here.server.paths == ["/app/api/auth/jwks"]
        assert here.judge_new(FIRST, aud=["x", here.server.url]) == "alice"
        for other in (None, "https://evil.example", here.server.url + "/", here.server.url + "/app", ""):
            assert here.judge_new(FIRST, iss=other) is AuthInvalid, other
            assert here.judge_new(FIRST, aud=other) is AuthInvalid, other


def test_issuer_and_audience_may_be_configured() -> None:
    """Then the origin is nothing any more, and the secret's tokens must name them too."""
    ours: dict[str, Any] = {"iss": "todo", "aud": "api"}
    elsewhere: list[dict[str, Any]] = [{}, {"iss": "todo"}, {"aud": "api"}, ours | {"iss": "x"}, ours | {"aud": "x"}]
    with home(FIRST, jwt_issuer="todo", jwt_audience="api") as here:
        assert here.judge_new(FIRST, **ours) == here.judge(token("alice", **ours)) == "alice"
        assert here.judge(token("alice", iss="todo", aud=["x", "api"])) == "alice"
        for other in elsewhere:
            assert here.judge_new(FIRST, **other) is here.judge(token("alice", **other)) is AuthInvalid, other


# Rotation


def test_a_rotated_key_is_good_at_its_first_use(known: Home) -> None:
    """And the old one, still served, too."""
    known.server.serve(FIRST, SECOND)
    assert known.judge_new(SECOND) == known.judge_new(FIRST) == "alice"
    third = Key("third")
    known.server.serve(SECOND, third)
    assert known.judge_new(third) == "alice"
    assert known.server.fetches == 3


def test_many_who_need_a_key_cause_one_fetch(known: Home) -> None:
    """It is awaited by all."""
    known.server.serve(SECOND)
    known.server.habit = "serve slowly"
    tokens = [known.token(SECOND, number=number) for number in range(40)]
    assert known.judge_all(tokens) == ["alice"] * 40
    assert known.server.fetches == 2


def test_a_fetch_under_way_is_enough_for_who_comes_during_it(known: Home) -> None:
    """It brings the key that they need: they wait for no other one."""
    known.server.serve(SECOND)
    known.server.habit = "serve slowly"
    first = known.start([known.token(SECOND, number=1)])
    wait_for(known, lambda: known.server.fetches == 2)
    later = known.start([known.token(SECOND, number=2)])
    assert [known.run(one) for one in first + later] == ["alice", "alice"]
    assert known.server.fetches == 2


def test_a_fetch_under_way_does_not_condemn_a_key_that_came_after_it(known: Home) -> None:
    """What was served before the question doesn't answer it."""
    known.server.habit = "serve slowly"
    mallory = known.start(bogus(known, 1))
    wait_for(known, lambda: known.server.fetches == 2)
    known.server.serve(FIRST, SECOND)
    assert known.judge_new(SECOND) == "alice"
    assert [known.run(one) for one in mallory] == [AuthInvalid]


def test_a_withdrawn_key_is_refused(known: Home) -> None:
    """By the next fetch, and with it the tokens that were verified before."""
    good = known.token(FIRST)
    assert known.judge(good) == "alice"
    known.server.serve(SECOND)
    assert known.judge(good) == "alice"
    assert known.judge_new(SECOND) == "alice"  # this fetches
    assert known.judge(good) is AuthInvalid


@pytest.mark.parametrize("habit", WITHOUT_KEYS)
def test_a_set_without_a_usable_key_withdraws_all(known: Home, habit: str, caplog: pytest.LogCaptureFixture) -> None:
    """A set that was read is the truth; the log says it once, because nobody can sign in."""
    good = known.token(FIRST)
    assert known.judge(good) == "alice"
    known.server.habit = habit
    assert known.judge_new(SECOND) is AuthInvalid  # this fetches
    assert known.judge(good) is AuthInvalid
    assert known.judge_new(FIRST, number=1) is AuthInvalid
    assert caplog.messages == [f"no usable key at {known.server.url}/api/auth/jwks"]
    known.server.habit = "serve"
    assert known.judge_new(FIRST, number=2) == known.judge(good) == "alice"


@pytest.mark.usefixtures("no_pauses")
def test_keys_are_fetched_again_without_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a withdrawn key is refused after half a minute at most, though nobody comes with a new one."""
    assert STALE_MAX <= 30
    monkeypatch.setattr(jwks, "REFRESH", 0.05)
    with home(FIRST) as here:
        good = here.token(FIRST)
        assert here.judge(good) == "alice"
        here.server.habit = "a 500"
        wait_for(here, lambda: here.server.fetches >= 3)
        assert here.judge(good) == "alice"
        here.server.serve(SECOND)
        seen = here.server.fetches
        wait_for(here, lambda: here.server.fetches >= seen + 2)
        assert here.judge(good) is AuthInvalid


def test_one_task_keeps_the_keys_up_to_date(known: Home) -> None:
    """However many tokens are verified."""
    assert known.verifier.keys
    task = known.verifier.keys._task
    assert [known.judge_new(FIRST, number=number) for number in range(3)] == ["alice"] * 3
    assert known.verifier.keys._task is task


def test_keys_are_fetched_once_in_another_event_loop_too(known: Home) -> None:
    """The task ended with the first loop, and what it waited for there can't be waited for in another one."""
    known._runner.close()
    with asyncio.Runner() as runner:
        there = Home(known.server, known.verifier, runner)
        for number in range(3):
            assert there.judge_new(FIRST, number=number) == "alice"
            there.sleep(0.02)
        assert there.server.fetches == 2
        there.server.serve(FIRST, SECOND)
        assert there.judge_new(SECOND) == "alice"


@pytest.mark.parametrize("steps", range(5))
def test_the_task_ends_with_its_loop_also_where_a_key_is_needed_just_then(known: Home, steps: int) -> None:
    """The loop's end waits for it: the process would never stop."""
    keys = known.verifier.keys
    assert keys
    task = keys._task
    assert task
    known.sleep(0.01)

    async def need_and_cancel() -> bool:
        keys._fetch_wanted.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        return bool((await asyncio.wait([task], timeout=PATIENCE))[0])

    assert known.run(need_and_cancel())


def test_another_key_under_the_same_id_ends_the_old_ones_tokens(known: Home) -> None:
    """Also those that were verified before."""
    good = known.token(FIRST)
    assert known.judge(good) == "alice"
    other = Key("first")
    known.server.serve(other, SECOND)
    assert known.judge_new(SECOND) == "alice"
    assert known.judge(good) is AuthInvalid
    assert known.judge_new(other) == "alice"


@pytest.mark.usefixtures("no_pauses")
def test_a_token_before_its_key_is_not_remembered_as_bad(known: Home) -> None:
    """Nor is anything else that was refused."""
    early = known.token(SECOND)
    assert known.judge(early) is AuthInvalid
    known.server.serve(FIRST, SECOND)
    assert known.judge(early) == "alice"


# Bogus key ids


def flood(here: Home, tokens: list[str], clients: int = 16) -> list[asyncio.Task[list[Verdict]]]:
    """So many clients, each of which sends its share of the tokens one after another."""

    async def client(share: list[str]) -> list[Verdict]:
        return [await task for token in share for task in here.start([token])]

    return [here.spawn(client(tokens[place::clients])) for place in range(clients)]


def test_a_thousand_bogus_key_ids_cause_a_handful_of_fetches(known: Home) -> None:
    """They are not valid, and no failure of the service; known keys go on."""
    began = time.monotonic()
    clients = flood(known, bogus(known, 1000), clients=250)
    assert known.judge_new(FIRST, number=1) == "alice"
    verdicts = [verdict for client in clients for verdict in known.run(client)]
    assert verdicts == [AuthInvalid] * 1000
    assert known.server.fetches - 1 <= 5 + (time.monotonic() - began) / jwks.PAUSE_MAX


def test_during_a_flood_a_rotated_key_is_good_at_its_first_use(known: Home) -> None:
    """By the next fetch but one at the latest: within five seconds, as fast as the requests wait."""
    clients = flood(known, bogus(known, 3000), clients=200)
    wait_for(known, lambda: known.server.fetches > 3)
    for number in range(3):
        rotated = Key(f"rotated-{number}")
        known.server.serve(FIRST, rotated)
        fetches = known.server.fetches
        assert known.judge_new(rotated) == "alice"
        assert known.server.fetches <= fetches + 2
    for client in clients:
        client.cancel()


def test_a_request_has_time_for_the_longest_pause_and_a_fetch() -> None:
    """Within five seconds, and within its own time: REQUEST_TIMEOUT, of which a tenth is the answer's."""
    assert PRODUCTION_PAUSE_MAX + jwks.FETCH_WITHIN < 5 * 0.9
    assert jwks.FETCH_WITHIN + PRODUCTION_PAUSE_MIN + jwks.FETCH_WITHIN < 5 * 0.9
    assert jwks.PAUSE_SHARE <= 0.45


def test_where_requests_have_less_time_the_pauses_are_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a rotated key is good at its first use there too, and a made-up one no failure."""
    monkeypatch.setattr(jwks, "PAUSE_MAX", 60)
    with home(FIRST, request_timeout=1) as here:
        # with pauses that double without an end, the last one would be over long after the test
        assert [here.judge(one) for one in bogus(here, 10)] == [AuthInvalid] * 10
        here.server.serve(FIRST, SECOND)
        assert here.judge_new(SECOND) == "alice"


def test_bogus_key_ids_one_after_another_are_each_judged(known: Home) -> None:
    """The first few within a second, each by a fetch after a pause that is twice the one before."""
    began = time.monotonic()
    assert [known.judge(one) for one in bogus(known, 3)] == [AuthInvalid] * 3
    assert time.monotonic() - began > (2 + 4) * jwks.PAUSE_MIN
    assert known.server.fetches == 4


def test_the_pause_between_fetches_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many key ids were bogus before, the next one is looked for after PAUSE_MAX."""
    for name, seconds in {"PAUSE_MIN": 0.01, "PAUSE_MAX": 0.04}.items():
        monkeypatch.setattr(jwks, name, seconds)
    with home(FIRST) as here:
        began = time.monotonic()
        assert [here.judge(one) for one in bogus(here, 8)] == [AuthInvalid] * 8
        assert time.monotonic() - began < allowed(1)  # doubled each time, the pauses would take more than two seconds


def test_a_thousand_wait_for_a_pause_and_the_next_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token is not valid, and the log says that too many waited; here ten may wait."""
    assert jwks.WAITERS_MAX == 1000
    for name, value in {"WAITERS_MAX": 10, "PAUSE_MIN": 0.25, "PAUSE_MAX": 0.25}.items():
        monkeypatch.setattr(jwks, name, value)
    with home(FIRST) as here:
        tokens = bogus(here, 35)
        assert here.judge_new(FIRST) == "alice"
        asked = here.start(tokens[:25])
        here.sleep(0)
        refused = [task for task in asked if task.done()]
        assert [here.run(task) for task in refused] == [AuthInvalid] * 15
        assert here.reason(tokens[24]) == "kid is 'bogus-24', and 10 requests wait for newer keys already"
        assert here.judge_new(FIRST, number=1) == "alice"
        assert [here.run(task) for task in asked if task not in refused] == [AuthInvalid] * 10
        assert here.server.fetches == 2
        assert here.judge_all(tokens[25:]) == [AuthInvalid] * 10


def test_before_the_first_set_all_wait(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who comes just after the start is told that their token is not valid."""
    monkeypatch.setattr(jwks, "WAITERS_MAX", 10)
    tokens = [at_home.token(FIRST, number=number) for number in range(30)]
    assert at_home.judge_all(tokens) == ["alice"] * 30


def test_while_keys_cant_be_had_none_of_many_is_invalid(known: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who may not wait are told what the others are told."""
    monkeypatch.setattr(jwks, "WAITERS_MAX", 10)
    known.server.habit = "a 500"
    assert known.judge_new(SECOND) is KeysUnavailable
    tokens = [known.token(SECOND, number=number) for number in range(30)]
    assert known.judge_all(tokens) == [KeysUnavailable] * 30


def test_an_unknown_key_is_waited_for_however_long_the_pause_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the request's time."""
    monkeypatch.setattr(jwks, "PAUSE_MIN", allowed(0.6))
    monkeypatch.setattr(jwks, "PAUSE_MAX", allowed(0.6))
    with home(FIRST) as here:
        assert here.judge_new(FIRST) == "alice"
        here.server.serve(FIRST, SECOND)
        assert here.judge_new(SECOND) == "alice"
        assert here.server.fetches == 2


def last_pause(here: Home) -> float:
    """Seconds between the last two fetches."""
    before, last = here.server.times[-2:]
    return last - before


def eventually(here: Home, happened: Callable[[], bool]) -> None:
    """It happens in one of five trials, whatever else the machine does; each makes the pauses long first."""
    for _ in range(5):
        for one in bogus(here, 5):
            here.judge(one)
        if happened():
            return
    raise AssertionError


def test_after_a_quiet_time_the_pause_is_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Mallory did before."""
    unit = allowed(1)
    for name, seconds in {"PAUSE_MIN": 0.05, "PAUSE_MAX": 0.3}.items():
        monkeypatch.setattr(jwks, name, seconds * unit)
    with home(FIRST) as here:

        def short_after_quiet() -> bool:
            if last_pause(here) < jwks.PAUSE_MAX:
                return False  # the fetch before the last one was late at the server
            here.sleep(2 * jwks.PAUSE_MAX)
            assert [here.judge(one) for one in bogus(here, 2)] == [AuthInvalid, AuthInvalid]
            return last_pause(here) < jwks.PAUSE_MAX

        eventually(here, short_after_quiet)


def test_after_a_new_key_the_pause_is_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows only with fetches that bring none."""
    unit = allowed(1)
    for name, seconds in {"PAUSE_MIN": 0.05, "PAUSE_MAX": 0.3}.items():
        monkeypatch.setattr(jwks, name, seconds * unit)
    with home(FIRST) as here:

        def short_after_a_new_key() -> bool:
            if last_pause(here) < jwks.PAUSE_MAX:
                return False  # the fetch before the last one was late at the server
            rotated = Key(f"rotated-{here.server.fetches}")
            here.server.serve(FIRST, rotated)
            assert here.judge_new(rotated) == "alice"
            assert here.judge(bogus(here, 6)[5]) is AuthInvalid
            return last_pause(here) < jwks.PAUSE_MAX

        eventually(here, short_after_a_new_key)


def test_a_slow_fetch_does_not_make_the_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause runs from the start of one fetch to the start of the next."""
    for name, seconds in {"PAUSE_MIN": 0.1, "PAUSE_MAX": 0.8, "FETCH_WITHIN": PATIENCE}.items():
        monkeypatch.setattr(jwks, name, seconds)
    with home(FIRST) as here:
        here.server.delay = 0.6

        def from_start_to_start() -> bool:
            here.server.habit = "serve slowly"
            assert [here.judge(one) for one in bogus(here, 3)] == [AuthInvalid] * 3
            here.server.habit = "serve"
            return last_pause(here) < here.server.delay + jwks.PAUSE_MAX

        eventually(here, from_start_to_start)


def test_a_fetch_that_fills_the_pause_is_not_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow auth server gets some rest too."""
    for name, seconds in {"PAUSE_MIN": 0.1, "PAUSE_MAX": 0.1, "FETCH_WITHIN": PATIENCE}.items():
        monkeypatch.setattr(jwks, name, seconds)
    with home(FIRST) as here:
        here.server.habit = "serve slowly"
        assert [here.judge(one) for one in bogus(here, 3)] == [AuthInvalid] * 3
        assert last_pause(here) >= here.server.delay + jwks.PAUSE_MIN


def test_a_fetch_that_nobody_asked_for_is_enough_during_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs its key waits for it, and not for the pause."""
    for name, seconds in {"PAUSE_MIN": 60, "PAUSE_MAX": 60, "REFRESH": 0.1, "FETCH_WITHIN": PATIENCE}.items():
        monkeypatch.setattr(jwks, name, seconds)
    with home(FIRST) as here:
        assert here.judge_new(FIRST) == "alice"
        here.server.serve(FIRST, SECOND)
        here.server.habit = "serve slowly"
        wait_for(here, lambda: here.server.fetches == 2)
        assert here.judge_new(SECOND) == "alice"


# A server that misbehaves


@pytest.mark.parametrize("habit", BAD_HABITS)
def test_while_keys_cant_be_had_known_ones_go_on(at_home: Home, habit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown ones can't be judged, one fetch is enough to say so, and after it all is well without a restart."""

    def misbehave() -> None:
        monkeypatch.setattr(jwks, "FETCH_WITHIN", allowed(0.3) if habit in ENDLESS_HABITS else PATIENCE)
        at_home.server.habit = habit

    def behave() -> None:
        monkeypatch.setattr(jwks, "FETCH_WITHIN", PATIENCE)
        at_home.server.habit = "serve"

    misbehave()
    assert at_home.judge_new(FIRST) is KeysUnavailable
    assert at_home.server.fetches == 1
    behave()
    assert at_home.judge_new(FIRST) == "alice"
    at_home.server.serve(SECOND)
    misbehave()
    assert at_home.judge_new(SECOND) is KeysUnavailable
    assert at_home.server.fetches == 3
    assert at_home.judge_new(FIRST, number=1) == "alice"
    behave()
    at_home.server.serve(FIRST, SECOND)
    assert at_home.judge_new(SECOND) == "alice"
    # a redirect is not followed, and a huge body is not read to its end: the machine's buffers have taken some of it
    assert set(at_home.server.paths) == {"/api/auth/jwks"}
    assert at_home.server.sent < 50 * jwks.SET_MAX


def test_the_reason_says_where_a_key_server_redirects_to(at_home: Home) -> None:
    """To mend BETTER_AUTH_URL by it."""
    at_home.server.habit = "a redirect"

    async def ask() -> None:
        set_deadline(5)
        await at_home.verifier.verify(at_home.token(FIRST))

    with pytest.raises(KeysUnavailable) as unavailable:
        at_home.run(ask())
    told = f"no keys from {at_home.server.url}/api/auth/jwks: status 302: redirected to /elsewhere/api/auth/jwks"
    assert unavailable.value.reason == told


def test_the_limit_of_a_set_is_exact(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more is not read, and the next set is."""
    assert jwks.SET_MAX == 2**20
    size = len(json.dumps({"keys": at_home.server.keys}))
    monkeypatch.setattr(jwks, "SET_MAX", size - 1)
    assert at_home.judge_new(FIRST) is KeysUnavailable
    monkeypatch.setattr(jwks, "SET_MAX", size)
    assert at_home.judge_new(FIRST) == "alice"


@pytest.mark.parametrize(
    ("habit", "failure"),
    [
        ("a 404", "status 404: is the JWT plugin there, and its table?"),
        ("nothing", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_the_log_says_why_keys_cant_be_had(
    at_home: Home, caplog: pytest.LogCaptureFixture, habit: str, failure: str
) -> None:
    """Where they were looked for, and the failure: its kind too, unless the sentence is our own."""
    at_home.server.habit = habit
    assert at_home.judge_new(FIRST) is KeysUnavailable
    assert caplog.messages == [f"no keys from {at_home.server.url}/api/auth/jwks: {failure}"]


def test_the_logs_warning_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """However long the URL is."""
    with home(FIRST, path="/" + "x" * REASON_MAX) as here:
        here.server.habit = "a 404"
        assert here.judge_new(FIRST) is KeysUnavailable
    assert [len(message) for message in caplog.messages] == [REASON_MAX]


def test_while_nothing_listens_known_keys_go_on(known: Home) -> None:
    """The auth server is stopped."""
    known.server.close()
    assert known.judge_new(FIRST, number=1) == "alice"
    assert known.judge_new(SECOND) is KeysUnavailable


def test_a_hanging_server_delays_nobody_whose_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """While others wait for it and it is asked again and again; verified before or not."""
    for name, seconds in {"REFRESH": 0.05, "FETCH_WITHIN": PATIENCE}.items():
        monkeypatch.setattr(jwks, name, seconds)
    with home(FIRST) as here:
        assert here.judge_new(FIRST) == "alice"
        here.server.habit = "hang"
        waiting = here.start([here.token(SECOND, number=number) for number in range(20)], PATIENCE)
        wait_for(here, lambda: here.server.fetches == 2)
        for number in range(20):
            (known,) = here.start([here.token(FIRST, number=number)])
            here.sleep(0)
            assert known.done()
            assert here.run(known) == "alice"
            here.sleep(0.01)
        assert not any(one.done() for one in waiting)
        here.server.released.set()
        assert {here.run(one) for one in waiting} == {KeysUnavailable}


def test_the_wait_for_keys_ends_with_the_requests_time(at_home: Home) -> None:
    """Though the fetch goes on."""
    at_home.server.habit = "hang"
    began = time.monotonic()
    assert at_home.judge(at_home.token(FIRST), seconds=0.2) is KeysUnavailable
    assert 0.15 < time.monotonic() - began < allowed(jwks.FETCH_WITHIN)


def test_one_who_gives_up_does_not_end_the_fetch_of_the_others(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on, and brings the key; whether a caller's time is over, or the caller is gone."""
    monkeypatch.setattr(jwks, "FETCH_WITHIN", PATIENCE)
    at_home.server.habit = "serve when released"
    (gone,), (hasty,), (patient,) = (at_home.start([at_home.token(FIRST)], seconds) for seconds in (60, 0.1, 60))
    wait_for(at_home, lambda: at_home.server.fetches == 1)
    gone.cancel()
    assert at_home.run(hasty) is KeysUnavailable
    at_home.server.released.set()
    assert at_home.run(patient) == "alice"
    assert at_home.server.fetches == 1


# The tokens that were verified


def test_a_verified_token_ends_when_it_expires(known: Home) -> None:
    """Though it was good a moment ago; with both modes."""
    end = int(time.time() + allowed(0.5)) + 1
    tokens = [known.token(FIRST, exp=end - LEEWAY), token("alice", exp=end - LEEWAY)]
    assert [known.judge(one) for one in tokens] == ["alice", "alice"]
    known.sleep(end + 0.01 - time.time())
    assert [known.judge(one) for one in tokens] == [AuthInvalid, AuthInvalid]


def test_a_verified_token_is_its_users_alone(known: Home) -> None:
    """What is remembered is whose it is."""
    tokens = {user: known.token(FIRST, user) for user in ("alice", "bob")}
    for user in ("alice", "bob", "alice", "bob"):
        assert known.judge(tokens[user]) == user


def test_a_token_is_verified_once(known: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good one, also where the same keys were fetched again; a bad one each time."""
    verified = []
    decode = jwt.decode

    def counted(token: str, *key: Any, **rules: Any) -> Any:
        verified.append(token)
        return decode(token, *key, **rules)

    monkeypatch.setattr(jwt, "decode", counted)
    good, bad = known.token(FIRST, number=1), known.token(FIRST, iss="x")
    for _ in range(3):
        assert (known.judge(good), known.judge(bad)) == ("alice", AuthInvalid)
    assert known.judge(bogus(known, 1)[0]) is AuthInvalid  # this fetches
    assert known.judge(good) == "alice"
    assert known.server.fetches == 2
    assert verified.count(good) == 1
    assert verified.count(bad) == 3


def test_only_so_many_tokens_are_remembered(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first, and bad ones take no place."""
    monkeypatch.setattr("app.core.auth.tokens.VERIFIED_MAX", 3)
    verifier, tokens = at_home.verifier, [token("alice", number=number) for number in range(5)]
    for one in tokens:
        assert (at_home.judge(one), at_home.judge(one + "A")) == ("alice", AuthInvalid)
    assert verifier.hits == 0
    for one in tokens[2:]:
        assert at_home.judge(one) == "alice"
    assert verifier.hits == 3
    for forgotten in (tokens[1], tokens[0]):
        assert at_home.judge(forgotten) == "alice"
    assert verifier.hits == 3


# What a caller is told


def test_who_cant_be_judged_is_told_to_try_again_and_not_signed_out(cluster: Cluster) -> None:
    """A 500 with Retry-After within the request's time, not a 401; then 200 and 401 as ever."""
    with key_server(FIRST) as server:
        settings = settings_for(cluster.url, better_auth_url=server.url).model_copy(update={"request_timeout": 0.5})
        with service_in_process(settings) as service:

            def ask(key: Key) -> tuple[int, str]:
                headers = {"authorization": f"Bearer {key.token(server.url)}"}
                answer = service.http.get("/api/alice/tasks", headers=headers)
                contract.hold(answer)
                return answer.status_code, answer.json().get("detail")

            cant_be_judged = (500, KeysUnavailable.default_detail)
            server.habit = "hang"
            began = time.monotonic()
            assert ask(FIRST) == cant_be_judged
            assert time.monotonic() - began < allowed(jwks.FETCH_WITHIN)
            server.released.set()
            server.habit = "serve"
            wait_until(lambda: ask(FIRST) != cant_be_judged)
            assert ask(FIRST)[0] == 200
            assert ask(SECOND) == (401, AuthInvalid.default_detail)
            server.close()
            assert ask(FIRST)[0] == 200
            assert ask(SECOND) == cant_be_judged
