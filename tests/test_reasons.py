"""The reason that the log gives for a refused token: bounded and escaped, whatever the token says."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
from fastapi import Request

from app.core.errors import REASON_MAX, ApiError, AuthInvalid, DatabaseError, NotFound
from app.core.exchange import Exchange, exchange_of
from app.core.http.answers import answer_exception
from tests.support import contract
from tests.support.home import Home, home
from tests.support.key_server import base64url
from tests.support.log import logged
from tests.support.service import SECRET, Service
from tests.support.tokens import claims


@pytest.fixture(scope="module")
def strict() -> Iterator[Home]:
    """A service of the secret alone, that expects an issuer and an audience."""
    with home(better_auth_url=None, jwt_issuer="https://a", jwt_audience="todo") as here:
        yield here


def signed(header: object, payload: object) -> str:
    """Sign anything at all with the right secret, where PyJWT would refuse to."""
    parts = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in (header, payload))
    head = ".".join(map(base64url, parts))
    return f"{head}.{base64url(jwt.get_algorithm_by_name('HS256').sign(head.encode(), SECRET.encode()))}"


def with_alg(alg: object) -> str:
    """A well signed token that claims another algorithm."""
    return signed({"alg": alg}, claims("alice"))


def with_claims(**others: Any) -> str:
    """A well signed token whose claims PyJWT would not encode."""
    return signed({"alg": "HS256"}, claims("alice", **others))


def nested(claim: str, **others: Any) -> bytes:
    """Claims of which one is a list of a list, and so on."""
    good = json.dumps(claims("alice", **others))[:-1]
    return f'{good}, "{claim}": {"[" * 900}{"]" * 900}}}'.encode()


HOSTILE: dict[str, Callable[[], str]] = {
    "an alg of 5,000 characters": lambda: with_alg("x" * 5000),
    "an alg that ends the line": lambda: with_alg("\n\x1b[31m\u2028\ud800"),
    "an alg that is deeply nested": lambda: signed(b'{"alg": ' + b"[" * 900 + b"]" * 900 + b"}", claims("alice")),
    "an iss of 5,000 characters": lambda: with_claims(iss="https://a" + "x" * 5000),
    "an iss that ends the line": lambda: with_claims(iss="\n\x1b[31m\u2028\ud800"),
    "an iss that is deeply nested": lambda: signed({"alg": "HS256"}, nested("iss")),
    "an aud that is deeply nested": lambda: signed({"alg": "HS256"}, nested("aud", iss="https://a")),
    "an aud of many": lambda: with_claims(iss="https://a", aud=["x" * 90] * 50),
    "an exp long ago": lambda: with_claims(exp=1 - 10**4300),  # Python writes no number of more digits than this one
    "an extension of 5,000 characters": lambda: signed({"alg": "HS256", "crit": ["x" * 5000]}, claims("alice")),
    "a key id without keys": lambda: signed({"alg": "EdDSA", "kid": "x" * 5000}, claims("alice")),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_token_has_a_harmless_reason(strict: Home, make: Callable[[], str]) -> None:
    """That the reason is one printable sentence without the token is held for every token that is judged."""
    assert strict.judge(make()) is AuthInvalid


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: "x" * 32, "not a JWT (32 characters)"),
        (lambda: "undefined", "not a JWT (9 characters): undefined"),
        (lambda: with_claims(nbf="soon"), "HS256: Not Before claim (nbf) must be an integer."),
    ],
)
def test_a_reason_is_one_sentence_and_no_more(strict: Home, make: Callable[[], str], reason: str) -> None:
    """As the log has it."""
    with pytest.raises(AuthInvalid) as refused:
        strict.run(strict.verifier.verify(make()))
    assert refused.value.reason == reason


def test_an_expired_token_is_told_with_its_age(strict: Home) -> None:
    """In whole seconds by this service's clock."""
    with pytest.raises(AuthInvalid) as refused:
        strict.run(strict.verifier.verify(with_claims(exp=int(time.time()) - 3600)))
    assert refused.value.reason in [f"HS256: expired {seconds} s ago" for seconds in range(3600, 3610)]


def test_an_expired_token_is_as_old_as_1970_at_most(strict: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the reason is short, however negative its `exp` is."""
    now = int(time.time())
    monkeypatch.setattr("app.core.auth.tokens.time", SimpleNamespace(time=lambda: float(now)))
    with pytest.raises(AuthInvalid) as refused:
        strict.run(strict.verifier.verify(with_claims(exp=-(10**1000))))
    assert refused.value.reason == f"HS256: expired {now} s ago"


def test_the_reason_is_in_the_log_alone(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """In the request's line, cut to its length, and nowhere in the answer."""
    token = f"Bearer {signed({'alg': 'HS256', 'crit': ['x' * 5000]}, claims('alice'))}"
    for sent, reason in {(token,): "not a JWT", ("Bearer a", "Bearer a"): "2 Authorization headers"}.items():
        capsys.readouterr()
        answer = service.http.get("/api/alice/tasks", headers=httpx.Headers([("authorization", one) for one in sent]))
        contract.hold(answer)
        (line,) = [json.loads(line) for line in logged(capsys).splitlines()]
        assert line["reason"].startswith(reason)
        assert len(line["reason"]) <= REASON_MAX
        assert "reason" not in answer.text
        assert answer.json()["detail"] == AuthInvalid.default_detail


def left_for_the_log(error: ApiError) -> dict[str, object]:
    """What the handler leaves in the exchange."""
    request = Request({"type": "http"})
    asyncio.run(answer_exception(request, error))
    exchange = exchange_of(request.scope)
    return {
        field.name: getattr(exchange, field.name)
        for field in fields(Exchange)
        if getattr(exchange, field.name) != field.default
    }


def test_an_error_leaves_what_the_log_needs() -> None:
    """Its reason, cut to its length; where the service failed without one, itself; of a caller's mistake, the code."""
    long, known = AuthInvalid(reason="x" * (REASON_MAX + 1)), DatabaseError(reason="why")
    failure, mistake = ApiError(), NotFound()
    assert left_for_the_log(long) == {"error_code": "AUTH_INVALID", "reason": "x" * REASON_MAX}
    assert left_for_the_log(known) == {"error_code": "DATABASE_ERROR", "reason": "why"}
    assert left_for_the_log(failure) == {"error_code": "INTERNAL_ERROR", "exception": failure}
    assert left_for_the_log(mistake) == {"error_code": "NOT_FOUND"}
