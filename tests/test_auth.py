"""Every token that must not open anything, and the few odd ones that must (spec: Authentication)."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Engine

from tests.support import contract
from tests.support.factories import make_task
from tests.support.service import SECRET, Service, running_service, settings_for
from tests.support.tokens import claims, token

DAY = 24 * 3600


def now() -> int:
    """Seconds since the epoch."""
    return int(time.time())


def part(content: object) -> str:
    """One part of a token, as it travels."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: object, payload: object) -> str:
    """Sign anything at all with the right secret, where PyJWT would refuse to."""
    head = f"{part(header)}.{part(payload)}"
    signature = jwt.get_algorithm_by_name("HS256").sign(head.encode(), SECRET.encode())
    return f"{head}.{part(signature)}"


HS256 = {"alg": "HS256", "typ": "JWT"}


def with_alg(alg: object) -> str:
    """A well signed token that claims another algorithm."""
    return signed({"alg": alg, "typ": "JWT"}, claims("alice"))


def with_claims(**others: Any) -> str:
    """A well signed token whose claims PyJWT would not encode."""
    return signed(HS256, claims("alice", **others))


def rs256() -> str:
    """A token under a key of Mallory's own."""
    return jwt.encode(claims("alice"), rsa.generate_private_key(65537, 2048), algorithm="RS256")


BAD_TOKENS: dict[str, Callable[[], str]] = {
    # not a token
    "one part": lambda: "abc",
    "two parts": lambda: "abc.def",
    "three parts of nothing": lambda: "..",
    "four parts": lambda: token("alice") + ".x",
    "a header that is no JSON": lambda: signed(b"{", claims("alice")),
    "a header that is a list": lambda: signed([], claims("alice")),
    "a header without alg": lambda: signed({"typ": "JWT"}, claims("alice")),
    "a payload that is no JSON": lambda: signed(HS256, b"{"),
    "a payload that is a list": lambda: signed(HS256, []),
    "a payload that is no UTF-8": lambda: signed(HS256, b'{"sub": "\xff"}'),
    "a payload nested beyond reading": lambda: signed(HS256, b"[" * 5000),
    "white space inside": lambda: token("alice").replace(".", " .", 1),
    "two tokens in one": lambda: f"{token('alice')} {token('alice')}",
    "letters beyond ASCII": lambda: token("alice") + "é",
    # forged
    "another secret": lambda: token("alice", secret="x" * 40),
    "no signature": lambda: token("alice").rsplit(".", 1)[0] + ".",
    "a cut signature": lambda: token("alice")[:-4],
    "another's payload": lambda: ".".join(
        [token("bob").split(".")[0], token("alice").split(".")[1], token("bob").split(".")[2]]
    ),
    "alg none": lambda: jwt.encode(claims("alice"), "", algorithm="none"),
    "alg None": lambda: f"{part({'alg': 'None'})}.{part(claims('alice'))}.",
    "alg nOnE, well signed": lambda: with_alg("nOnE"),
    "alg of another size": lambda: jwt.encode(claims("alice"), SECRET * 2, algorithm="HS384"),
    "alg of the largest size": lambda: jwt.encode(claims("alice"), SECRET * 2, algorithm="HS512"),
    "alg in small letters": lambda: with_alg("hs256"),
    "alg that is a list": lambda: with_alg(["HS256"]),
    "alg that is null": lambda: with_alg(None),
    "alg of a public key": rs256,
    "a critical extension": lambda: signed(HS256 | {"crit": ["x"], "x": 1}, claims("alice")),
    "a detached payload": lambda: signed(HS256 | {"b64": False, "crit": ["b64"]}, claims("alice")),
    # too early, too late, or never
    "expired": lambda: token("alice", exp=now() - 11),
    "expired long ago": lambda: token("alice", exp=1),
    "no exp": lambda: token("alice", exp=None),
    "exp as a text": lambda: with_claims(exp=str(now() + 60)),
    "exp as a fraction": lambda: with_claims(exp=now() + 60.5),
    "exp as a text with an underscore": lambda: with_claims(exp="9_999_999_999"),
    "exp that is true": lambda: with_claims(exp=True),
    "exp that is null": lambda: signed(HS256, claims("alice") | {"exp": None}),
    "exp that is a list": lambda: with_claims(exp=[now() + 60]),
    "exp that is infinite": lambda: with_claims(exp=float("inf")),
    "exp that is no number": lambda: with_claims(exp=float("nan")),
    "exp in the year 9999": lambda: token("alice", exp=253402300799),
    "exp a little over 31 days ahead": lambda: token("alice", exp=now() + 31 * DAY + 5),
    "exp beyond any clock": lambda: with_claims(exp=10**400),
    "exp in the past, below zero": lambda: token("alice", exp=-1),
    "nbf in the future": lambda: token("alice", nbf=now() + 30),
    "nbf as a list": lambda: with_claims(nbf=[0]),
    "nbf that is infinite": lambda: with_claims(nbf=float("inf")),
    "iat in the future": lambda: token("alice", iat=now() + 30),
    "iat as a word": lambda: with_claims(iat="yesterday"),
    # naming nobody
    "no user": lambda: token("alice", sub=None, user_id=None),
    "only an email": lambda: token("alice", sub=None, user_id=None, email="alice"),
    "only an id": lambda: token("alice", sub=None, user_id=None, id="alice"),
    "a user inside another claim": lambda: with_claims(sub=None, user_id=None, account={"id": "alice"}),
    "sub and user_id that differ": lambda: token("alice", sub="bob"),
    "user_id and sub that differ": lambda: token("alice", user_id="bob"),
    "user_id null beside a sub": lambda: signed(HS256, claims("alice") | {"user_id": None}),
    "user_id empty beside a sub": lambda: token("alice", user_id=""),
    "an empty user": lambda: token("", email=None),
    "a blank user": lambda: token(" "),
    "a user that is a number": lambda: with_claims(sub=1, user_id=1),
    "a user that is true": lambda: with_claims(sub=True, user_id=True),
    "a user that is a list": lambda: with_claims(sub=None, user_id=["alice"]),
    "a user that is an object": lambda: with_claims(sub=None, user_id={"id": "alice"}),
    "space before the user": lambda: token(" alice"),
    "space after the user": lambda: token("alice "),
    "a line break after the user": lambda: token("alice\n"),
    "NUL in the user": lambda: token("ali\0ce"),
    "a control character in the user": lambda: token("ali\x1fce"),
    "a delete character in the user": lambda: token("ali\x7fce"),
    "a later control character in the user": lambda: token("ali\x85ce"),
    "the last control character in the user": lambda: token("ali\x9fce"),
    "the last surrogate in the user": lambda: with_claims(sub="ali\udfffce", user_id="ali\udfffce"),
    "a lone surrogate in the user": lambda: with_claims(sub="ali\ud800ce", user_id="ali\ud800ce"),
    "a slash in the user": lambda: token("alice/../bob"),
    "a user of 256 characters": lambda: token("a" * 256),
    # too much
    "over 8 KiB": lambda: token("alice", padding="x" * 8192),
    "sixty thousand letters": lambda: "a" * 60_000,
}


def ask(service: Service, *authorization: str | bytes, path: str = "/api/alice/tasks") -> httpx.Response:
    """List Alice's tasks with these Authorization headers."""
    headers = [(b"authorization", one.encode("latin-1") if isinstance(one, str) else one) for one in authorization]
    answer = httpx.get(service.url + path, headers=headers)
    contract.hold(answer)
    return answer


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status and the error code."""
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_a_bad_token_is_invalid_and_says_no_more(service: Service, make: Callable[[], str]) -> None:
    """Whatever is wrong with it, the answer is the same."""
    answer = ask(service, f"Bearer {make()}")
    assert code(answer) == (401, "AUTH_INVALID")
    assert answer.json()["detail"] == "sign in again: the token is not valid"


GOOD_TOKENS: dict[str, Callable[[], str]] = {
    "all claims": lambda: token("alice"),
    "sub alone": lambda: token("alice", user_id=None, email=None, iat=None),
    "user_id alone": lambda: token("alice", sub=None),
    "expired within the leeway": lambda: token("alice", exp=now() - 5),
    "not yet valid, within the leeway": lambda: token("alice", nbf=now() + 5, iat=now() + 5),
    "just under 31 days": lambda: token("alice", exp=now() + 31 * DAY - 5),
    "an aud and an iss that nobody asked for": lambda: token("alice", aud="x", iss="y"),
    "a kid that means nothing here": lambda: token("alice", headers={"kid": "../../etc/passwd"}),
    "no typ": lambda: token("alice", headers={"typ": None}),
    "nearly 8 KiB": lambda: token("alice", padding="x" * 5900),
}


@pytest.mark.parametrize("make", GOOD_TOKENS.values(), ids=GOOD_TOKENS.keys())
def test_a_good_token_is_good(service: Service, make: Callable[[], str]) -> None:
    """Nothing that the specification allows is refused."""
    assert ask(service, f"Bearer {make()}").status_code == 200


def test_the_leeway_is_ten_seconds(service: Service) -> None:
    """To the second, once all of it has happened within one."""
    began, answers = 0, [0]
    while now() != began:
        began = now()
        answers = [ask(service, f"Bearer {token('alice', exp=began - ago)}").status_code for ago in (9, 10)]
    assert answers == [200, 401]


def test_a_token_that_was_good_expires(service: Service) -> None:
    """That it is remembered makes it live no longer."""
    expiring = f"Bearer {token('alice', exp=now() - 8)}"
    assert ask(service, expiring).status_code == 200
    time.sleep(3)
    assert code(ask(service, expiring)) == (401, "AUTH_INVALID")


@pytest.mark.parametrize("user", ["ü", "a b", "x" * 255, "買", "a%b", "a+b", "~", "user@example.com", "🥛"])
def test_a_user_may_be_called_anything_reasonable(service: Service, database: Engine, user: str) -> None:
    """The path's user is compared after it is decoded."""
    task = make_task(database, user_id=user)
    path = f"/api/{''.join(f'%{byte:02x}' for byte in user.encode())}/tasks"
    answer = ask(service, f"Bearer {token(user)}", path=path)
    assert [one["id"] for one in answer.json()["tasks"]] == [task["id"]]


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ([], "AUTH_MISSING"),
        ([""], "AUTH_MISSING"),
        (["Bearer"], "AUTH_MISSING"),
        (["Basic YTpi"], "AUTH_MISSING"),
        (["Bearer\tabc"], "AUTH_MISSING"),
        (["BearerX abc"], "AUTH_MISSING"),
        (["Bearer t u"], "AUTH_INVALID"),
        (["Bearer abc", "Bearer abc"], "AUTH_INVALID"),
        (["Basic YTpi", "Bearer abc"], "AUTH_INVALID"),
        ([b"Bearer \xff\xfe"], "AUTH_INVALID"),
    ],
)
def test_the_header_is_read_exactly(service: Service, authorization: list[str], expected: str) -> None:
    """No token is a different thing from a bad one."""
    assert code(ask(service, *authorization)) == (401, expected)


def test_two_good_tokens_are_refused(service: Service) -> None:
    """Which of them counts would be a guess."""
    good = f"Bearer {token('alice')}"
    assert code(ask(service, good, good)) == (401, "AUTH_INVALID")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(service: Service, scheme: str) -> None:
    """RFC 9110, section 11.1."""
    assert ask(service, f"{scheme} {token('alice')}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/bob/tasks", "/api/bob/tasks/1", "/api/Alice/tasks", "/api//tasks", "/api/bob/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_another_path_is_forbidden_whatever_is_asked(service: Service, method: str, path: str) -> None:
    """403 comes before any question of routes, methods and bodies."""
    headers = {"authorization": f"Bearer {token('alice')}"}
    answer = httpx.request(method, service.url + path, headers=headers, content=b"{nonsense")
    contract.hold(answer)
    assert answer.status_code == 403


@pytest.mark.parametrize("user", ["%00", "ali%00ce", "%ED%A0%80", "alice%20", "%61lice%0A"])
def test_a_path_that_names_nobody_is_not_the_tokens_user(service: Service, user: str) -> None:
    """Text that PostgreSQL or UTF-8 can't hold is simply someone else's path."""
    assert code(ask(service, f"Bearer {token('alice')}", path=f"/api/{user}/tasks")) == (403, "AUTH_FORBIDDEN")


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/alice", "/api/alice/tasks/", "/api/x/y/z", "/api/alice/tasks/1/2"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "HEAD", "OPTIONS"])
def test_a_stranger_learns_nothing_of_routes(service: Service, method: str, path: str) -> None:
    """Under /api, an unknown route or a wrong method is 401 first."""
    answer = httpx.request(method, service.url + path)
    contract.hold(answer)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/alice", "/api/bob", "/api/alice/tasks/", "/api/alice/tasks%0A", "/api/alice/tasks/1/2"],
)
def test_what_is_not_there_is_404_for_who_may_know(service: Service, path: str) -> None:
    """No redirect for a trailing slash either."""
    assert code(ask(service, f"Bearer {token('alice')}", path=path)) == (404, "NOT_FOUND")


ISSUED_FOR_US: list[dict[str, Any]] = [{"iss": "https://a", "aud": "todo"}, {"iss": "https://a", "aud": ["x", "todo"]}]
ISSUED_ELSEWHERE: list[dict[str, Any]] = [
    {},
    {"iss": "https://a"},
    {"aud": "todo"},
    {"iss": "https://b", "aud": "todo"},
    {"iss": "https://a", "aud": "x"},
]


def test_issuer_and_audience_are_checked_where_configured(service: Service) -> None:
    """The same token is good or not by the configuration alone."""
    url = service.settings.url
    with running_service(settings_for(url, jwt_issuer="https://a", jwt_audience="todo")) as strict:
        for good in ISSUED_FOR_US:
            assert ask(strict, f"Bearer {token('alice', **good)}").status_code == 200
        for bad in ISSUED_ELSEWHERE:
            assert code(ask(strict, f"Bearer {token('alice', **bad)}")) == (401, "AUTH_INVALID")


def test_without_a_configured_mode_no_token_is_good(service: Service) -> None:
    """An empty secret is never the key."""
    with running_service(settings_for(service.settings.url, better_auth_secret=None)) as open_to_nobody:
        assert code(ask(open_to_nobody, f"Bearer {token('alice')}")) == (401, "AUTH_INVALID")
