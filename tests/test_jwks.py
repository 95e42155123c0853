"""The key cache: fetched when needed, never hammered, and known keys go on whatever the auth server does."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest

from app.core import auth, jwks
from app.core.errors import AuthInvalid
from tests.support.cluster import Cluster
from tests.support.home import Home, home, unavailable
from tests.support.key_server import HABITS, Key
from tests.support.service import Service, settings_for
from tests.support.tokens import token

BAD_HABITS = sorted(HABITS.keys() - {"serve", "serve slowly"})
QUICK = 0.9
"""Seconds within which an answer has not waited for any fetch that hangs, nor out the pause of a second."""


@pytest.fixture(scope="module")
def first() -> Key:
    """The key that is known from the start."""
    return Key("first")


@pytest.fixture(scope="module")
def second() -> Key:
    """The key that comes by rotation."""
    return Key("second")


@pytest.fixture
def at_home(cluster: Cluster, first: Key) -> Iterator[Home]:
    """Both, with the first key served."""
    with home(cluster, first) as here:
        yield here


@pytest.fixture
def known(at_home: Home, first: Key) -> Home:
    """The same, and the first key has been fetched."""
    assert at_home.status(first) == 200
    return at_home


def bogus(here: Home, count: int, *, clients: int) -> list[httpx.Response]:
    """Send tokens of Mallory's, each with another key id, and return the answers."""
    mallory = Key("bogus")
    tokens = [here.token(mallory, headers={"kid": f"bogus-{place}"}) for place in range(count)]

    def send(some: list[str]) -> list[httpx.Response]:
        return [here.ask(one) for one in some]

    with ThreadPoolExecutor(clients) as pool:
        return [
            answer for answers in pool.map(send, [tokens[n::clients] for n in range(clients)]) for answer in answers
        ]


# Which keys


@pytest.mark.parametrize("algorithm", jwks.ALGORITHMS)
def test_a_token_under_each_of_better_auths_algorithms_is_good(cluster: Cluster, algorithm: str) -> None:
    """EdDSA, ES256, ES512, RS256 and PS256."""
    key = Key("key", algorithm)
    with home(cluster, key) as here:
        assert here.status(key) == 200


def test_eddsa_may_be_on_the_other_curve(cluster: Cluster) -> None:
    """Better Auth offers Ed448 too."""
    key = Key("key", "EdDSA", "Ed448")
    with home(cluster, key) as here:
        assert here.status(key) == 200


def test_a_served_key_that_is_too_short_is_not_used(cluster: Cluster, first: Key) -> None:
    """RFC 7518, section 3.3: 2,048 bits at least."""
    key = Key("key", "RS256", "RSA of 1,024 bits")
    with home(cluster, first, key) as here:
        assert here.status(first) == 200
        assert here.status(key) == 401


@pytest.mark.parametrize("algorithm", ["ES384", "ES256K", "RS512", "PS512"])
def test_a_served_key_of_another_algorithm_is_not_used(cluster: Cluster, algorithm: str, first: Key) -> None:
    """Not even where Better Auth would serve it."""
    key = Key("key", algorithm)
    with home(cluster, first, key) as here:
        assert here.status(first) == 200
        assert here.status(key) == 401
        # nor as what it says it is not
        here.server.keys[1]["alg"] = "EdDSA"
        assert here.status(key) == 401


def test_a_weak_key_is_not_used(cluster: Cluster, first: Key) -> None:
    """A 1,024-bit RSA key."""
    key = Key("weak", "RS256", "weak")
    with home(cluster, first, key) as here:
        assert here.status(key) == 401


@pytest.mark.parametrize(
    "odd",
    [
        {"alg": "none", "kty": "OKP"},
        {"alg": ["EdDSA"], "kty": "OKP"},
        {"alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": 5},
        {"alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"alg": "RS256", "kty": "RSA", "n": "", "e": ""},
        {"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"},
        None,
    ],
)
def test_an_odd_key_does_not_cost_the_others(cluster: Cluster, first: Key, odd: Any) -> None:
    """One that can't be read, or may not be used, is left out."""
    with home(cluster, first) as here:
        here.server.keys.insert(0, odd and odd | {"kid": "odd"})
        assert here.status(first) == 200
        assert here.status(first, headers={"kid": "odd"}) == 401


@pytest.mark.parametrize("key_id", [None, 5, ["first"]])
def test_a_key_without_a_proper_id_is_not_used(cluster: Cluster, first: Key, key_id: Any) -> None:
    """A token names its key by a text."""
    with home(cluster) as here:
        here.server.keys = [first.public | {"kid": key_id}, Key("other").public]
        assert here.status(first) == 401
        assert here.status(first, headers={"kid": None}) == 401


# Which tokens


def test_each_token_is_judged_by_one_mode(cluster: Cluster, first: Key) -> None:
    """Both are configured, and the algorithm chooses; the secret's tokens name no origin, and cause no fetch."""
    with home(cluster, first) as here:
        assert here.ask(token("alice")).status_code == 200
        assert here.ask(token("alice", headers={"kid": "first"})).status_code == 200
        assert here.server.fetches == 0
        assert here.status(first) == 200


def test_without_a_mode_its_tokens_are_not_good(cluster: Cluster, service: Service, first: Key) -> None:
    """A token of one mode is nothing where only the other is configured."""
    with home(cluster, first, better_auth_secret=None) as here:
        assert here.ask(token("alice")).status_code == 401
        assert here.server.fetches == 0
        assert here.status(first) == 200
        here.service = service
        assert here.status(first) == 401


def test_issuer_and_audience_are_the_urls_origin(cluster: Cluster, first: Key) -> None:
    """The URL may have a path; the tokens don't, and the keys are behind it."""
    with home(cluster, first, path="/app/") as here:
        assert here.status(first) == 200
        assert here.server.paths == ["/app/api/auth/jwks"]
        assert here.status(first, aud=["x", here.server.url]) == 200
        for other in (None, "https://evil.example", here.server.url + "/", here.server.url + "/app", ""):
            assert here.status(first, iss=other) == 401, other
            assert here.status(first, aud=other) == 401, other


def test_issuer_and_audience_may_be_configured(cluster: Cluster, first: Key) -> None:
    """Then the origin is nothing any more."""
    with home(cluster, first, jwt_issuer="todo", jwt_audience="api") as here:
        assert here.status(first, iss="todo", aud="api") == 200
        assert here.status(first) == here.status(first, iss="todo") == here.status(first, aud="api") == 401
        assert here.ask(token("alice", iss="todo", aud="api")).status_code == 200
        assert here.ask(token("alice")).status_code == 401


# Rotation


def test_a_rotated_key_is_good_at_its_first_use(known: Home, first: Key, second: Key) -> None:
    """And the old one, still served, too."""
    known.server.serve(first, second)
    assert known.status(second) == known.status(first) == 200
    third = Key("third")
    known.server.serve(second, third)
    assert known.status(third) == 200
    assert known.server.fetches == 3


def test_many_who_need_a_key_cause_one_fetch(known: Home, second: Key) -> None:
    """It is awaited by all."""
    known.server.serve(second)
    known.server.habit = "serve slowly"
    tokens = [known.token(second, number=number) for number in range(40)]
    with ThreadPoolExecutor(len(tokens)) as pool:
        assert {answer.status_code for answer in pool.map(known.ask, tokens)} == {200}
    assert known.server.fetches == 2


def test_a_fetch_under_way_does_not_condemn_a_key_that_came_after_it(known: Home, first: Key, second: Key) -> None:
    """What was served before the question doesn't answer it."""
    known.server.habit = "serve slowly"
    with ThreadPoolExecutor(2) as pool:
        mallory = pool.submit(bogus, known, 1, clients=1)
        while known.server.fetches < 2:
            time.sleep(0.01)
        time.sleep(0.2)
        known.server.keys = [first.public, second.public]
        assert known.status(second) == 200
        assert [answer.status_code for answer in mallory.result()] == [401]


def test_a_withdrawn_key_is_refused(known: Home, first: Key, second: Key) -> None:
    """By the next fetch, and with it the tokens that were verified before; nobody needs to ask for that."""
    good = known.token(first)
    assert known.ask(good).status_code == 200
    known.server.serve(second)
    assert known.ask(good).status_code == 200
    assert known.status(second) == 200  # this fetches
    assert known.ask(good).status_code == 401


def test_keys_are_fetched_again_without_being_asked_for(
    cluster: Cluster, first: Key, second: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a withdrawn key is refused after half a minute at most, here a part of a second."""
    assert jwks.REFRESH + jwks.FETCH_WITHIN <= 30
    monkeypatch.setattr(jwks, "REFRESH", 0.3)
    monkeypatch.setattr(jwks, "PAUSE_MAX", 0.2)
    with home(cluster, first) as here:
        good = here.token(first)
        assert here.ask(good).status_code == 200
        here.server.serve(second)
        wait_for(lambda: here.server.fetches >= 3)
        assert here.ask(good).status_code == here.status(first) == 401


def test_another_key_under_the_same_id_ends_the_old_ones_tokens(known: Home, first: Key, second: Key) -> None:
    """Also those that were verified before."""
    good = known.token(first)
    assert known.ask(good).status_code == 200
    other = Key("first")
    known.server.serve(other, second)
    assert known.status(second) == 200
    assert known.ask(good).status_code == 401
    assert known.status(other) == 200


# Bogus key ids


def test_a_thousand_bogus_key_ids_cause_a_handful_of_fetches(known: Home, first: Key, second: Key) -> None:
    """And keep a rotated key out for three seconds at most, while known keys go on."""
    answers = bogus(known, 1000, clients=16)
    assert {answer.status_code for answer in answers} <= {401, 500}
    assert all(unavailable(answer) for answer in answers if answer.status_code == 500)
    assert known.server.fetches - 1 <= 6
    assert known.ask(known.token(first, number=1)).elapsed.total_seconds() < QUICK
    known.server.serve(first, second)
    began = time.monotonic()
    while unavailable(answer := known.ask(known.token(second))):
        time.sleep(0.1)
    assert answer.status_code == 200
    assert time.monotonic() - began < 3


def test_bogus_key_ids_one_after_another_are_each_judged(known: Home) -> None:
    """The first few within a second, each by a fetch after a pause."""
    began = time.monotonic()
    assert [answer.status_code for answer in bogus(known, 3, clients=1)] == [401] * 3
    assert time.monotonic() - began > 0.25 + 0.5
    assert known.server.fetches == 4


def test_a_hundred_wait_for_a_pause_and_the_next_one_does_not(
    cluster: Cluster, first: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told to come again; here ten may wait."""
    assert jwks.WAITERS_MAX == 100
    monkeypatch.setattr(jwks, "WAITERS_MAX", 10)
    monkeypatch.setattr(jwks, "PAUSE_MIN", 0.9)
    with home(cluster, first) as here:
        assert here.status(first) == 200
        answers = bogus(here, 25, clients=25)
        judged = [answer for answer in answers if not unavailable(answer)]
        assert [answer.status_code for answer in judged] == [401] * 10
        assert all(answer.elapsed.total_seconds() < 0.7 for answer in answers if unavailable(answer))
        assert here.server.fetches == 2


def test_who_would_wait_too_long_is_told_at_once(cluster: Cluster, first: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a second is too long."""
    monkeypatch.setattr(jwks, "PAUSE_MIN", 1.5)
    with home(cluster, first) as here:
        assert here.status(first) == 200
        (answer,) = bogus(here, 1, clients=1)
        assert unavailable(answer)
        assert answer.elapsed.total_seconds() < QUICK
        time.sleep(0.6)
        assert [answer.status_code for answer in bogus(here, 1, clients=1)] == [401]


def test_after_a_quiet_time_the_pause_is_short_again(
    cluster: Cluster, first: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever Mallory did before."""
    for name, seconds in {"PAUSE_MIN": 0.1, "PAUSE_MAX": 0.6, "WAIT_MAX": 0.3}.items():
        monkeypatch.setattr(jwks, name, seconds)
    with home(cluster, first) as here:
        assert here.status(first) == 200
        assert unavailable(bogus(here, 5, clients=1)[-1])
        time.sleep(1.4)
        assert [answer.status_code for answer in bogus(here, 2, clients=1)] == [401, 401]


# A server that misbehaves


@pytest.mark.parametrize("habit", BAD_HABITS)
def test_while_keys_cant_be_had_nobody_is_signed_out(
    cluster: Cluster, first: Key, second: Key, habit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known keys go on, unknown ones can't be judged, and after it all is well without a restart."""
    monkeypatch.setattr(jwks, "REFRESH", 0.2)
    monkeypatch.setattr(jwks, "PAUSE_MAX", 0.3)
    monkeypatch.setattr(jwks, "FETCH_WITHIN", 0.5)
    with home(cluster, first) as here:
        here.server.habit = habit
        assert unavailable(here.ask(here.token(first)))
        here.server.habit = "serve"
        wait_for(lambda: here.status(first) == 200)
        here.server.serve(second)
        here.server.habit = habit
        fetches = here.server.fetches
        wait_for(lambda: here.server.fetches > fetches)
        time.sleep(0.1)
        assert here.status(first, number=2) == 200
        assert unavailable(here.ask(here.token(second)))
        here.server.serve(first, second)
        wait_for(lambda: here.status(second) == 200)


def wait_for(happened: Callable[[], bool], seconds: float = 3) -> None:
    """Fail unless it has happened within three seconds."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_redirect_is_not_followed(at_home: Home, first: Key) -> None:
    """Keys come from where the configuration says."""
    at_home.server.habit = "a redirect"
    assert unavailable(at_home.ask(at_home.token(first)))
    assert set(at_home.server.paths) == {"/api/auth/jwks"}


def test_a_huge_body_is_not_read_to_its_end(at_home: Home, first: Key) -> None:
    """Nor held in memory."""
    at_home.server.habit = "a huge body"
    assert unavailable(at_home.ask(at_home.token(first)))
    assert at_home.server.sent < 50 * jwks.SET_MAX  # the machine's buffers have taken some of it


def test_while_nothing_listens_known_keys_go_on(known: Home, first: Key, second: Key) -> None:
    """The auth server is stopped."""
    known.server.close()
    assert known.status(first, number=1) == 200
    assert unavailable(known.ask(known.token(second)))


def test_a_hanging_server_delays_nobody_whose_key_is_known(
    cluster: Cluster, first: Key, second: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While others wait for it and it is asked again and again; verified before or not."""
    monkeypatch.setattr(jwks, "REFRESH", 0.2)
    with home(cluster, first, request_timeout=5) as here, ThreadPoolExecutor(20) as pool:
        assert here.status(first) == 200
        here.server.habit = "hang"
        waiting = [pool.submit(here.ask, here.token(second, number=number)) for number in range(20)]
        until = time.monotonic() + 1.5
        number = 0
        while time.monotonic() < until:
            number += 1
            answer = here.ask(here.token(first, number=number))
            assert answer.status_code == 200
            assert answer.elapsed.total_seconds() < QUICK
        assert not any(one.done() for one in waiting)
        assert all(unavailable(one.result()) for one in waiting)
        assert all(one.result().elapsed.total_seconds() < jwks.DECIDED_WITHIN + QUICK for one in waiting)


def test_the_wait_for_keys_is_part_of_the_requests_time(cluster: Cluster, first: Key) -> None:
    """REQUEST_TIMEOUT, here one second."""
    with home(cluster, first, request_timeout=1) as here:
        here.server.habit = "hang"
        answer = here.ask(here.token(first))
        assert unavailable(answer)
        assert answer.elapsed.total_seconds() < 1


def test_the_wait_for_keys_has_an_end_of_its_own(cluster: Cluster, first: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds, here half a one."""
    monkeypatch.setattr(jwks, "DECIDED_WITHIN", 0.5)
    with home(cluster, first, request_timeout=30) as here:
        here.server.habit = "hang"
        answer = here.ask(here.token(first))
        assert unavailable(answer)
        assert 0.4 < answer.elapsed.total_seconds() < 0.5 + QUICK


def test_one_who_gives_up_does_not_end_the_fetch_of_the_others(cluster: Cluster, first: Key) -> None:
    """It goes on, and brings the key."""
    with home(cluster, first, request_timeout=1) as here, ThreadPoolExecutor(2) as pool:
        here.server.habit = "serve slowly"
        # the first has used up much of its second on the server's side by the time the key is there
        both = [pool.submit(here.status, first, number=number) for number in range(2)]
        assert [one.result() for one in both] == [200, 200]
        assert here.server.fetches == 1


# The tokens that were verified


def test_a_verified_token_ends_when_it_expires(known: Home, first: Key) -> None:
    """Though it was good a moment ago; with both modes."""
    soon = int(time.time()) - auth.LEEWAY + 2
    tokens = [known.token(first, exp=soon), token("alice", exp=soon)]
    assert [known.ask(one).status_code for one in tokens] == [200, 200]
    time.sleep(2.1)
    assert [known.ask(one).status_code for one in tokens] == [401, 401]


def test_a_verified_token_opens_its_users_list_alone(known: Home, first: Key) -> None:
    """What is remembered is whose it is."""
    for user in ("alice", "bob"):
        theirs = known.token(first, user)
        assert known.ask(theirs, user=user).status_code == 200
        assert [known.ask(theirs, user=other).status_code for other in ("alice", "bob") if other != user] == [403]


def test_a_token_is_verified_once(known: Home, first: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good one; a bad one each time."""
    verified = []
    decode = jwt.decode

    def counted(token: str, *key: Any, **rules: Any) -> Any:
        verified.append(token)
        return decode(token, *key, **rules)

    monkeypatch.setattr(jwt, "decode", counted)
    good, bad = known.token(first, number=1), known.token(first, iss="x")
    for _ in range(3):
        assert (known.ask(good).status_code, known.ask(bad).status_code) == (200, 401)
    assert verified.count(good) == 1
    assert verified.count(bad) == 3


def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first, and bad ones take no place."""
    monkeypatch.setattr(auth, "VERIFIED_MAX", 3)
    verifier = auth.Verifier(settings_for("postgresql://nowhere"))
    tokens = [token("alice", number=number) for number in range(5)]

    async def verify() -> None:
        for one in tokens:
            assert await verifier.user(one) == "alice"
            with pytest.raises(AuthInvalid):
                await verifier.user(one + "A")

    asyncio.run(verify())
    assert list(verifier._verified) == tokens[2:]
