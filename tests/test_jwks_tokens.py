"""Mallory's tokens, where both modes are configured: each is refused, whatever Better Auth's public keys are used for.

The tokens of the shared secret alone have a table of their own.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.core import jwks
from tests.support.cluster import Cluster
from tests.support.home import Home, home
from tests.support.key_server import Key, base64url, key_server, part
from tests.support.tokens import claims, token

ED, EC, EC521, RSA, PSS = KEYS = tuple(Key(name, name) for name in jwks.ALGORITHMS)
MALLORYS = Key("EdDSA")
"""A key of hers, with the id of one of Better Auth's."""
NEW = Key("new")
SECRET = "a-secret-that-is-long-enough-for-the-whole-family-of-hs256-hs384-and-hs512"
Forge = Callable[[Home], str]


@pytest.fixture(scope="module")
def here(cluster: Cluster) -> Iterator[Home]:
    """Both modes; a key id that is unknown is looked for without much of a pause."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jwks, "PAUSE_MIN", 0.01)
        patch.setattr(jwks, "PAUSE_MAX", 0.01)
        with home(cluster, *KEYS, better_auth_secret=SECRET) as both:
            yield both


def good(here: Home, **others: Any) -> dict[str, Any]:
    """Give the claims of a good token of Better Auth's."""
    return claims("alice", **{"iss": here.server.url, "aud": here.server.url} | others)


def hmac(here: Home, secret: bytes, header: dict[str, Any], algorithm: str = "HS256") -> str:
    """Sign with a secret whatever is wanted; PyJWT itself refuses to take a public key for one."""
    signed = f"{part({'alg': algorithm} | header)}.{part(good(here))}"
    signer: Any = jwt.get_algorithm_by_name(algorithm)
    return f"{signed}.{base64url(signer.sign(signed.encode(), secret))}"


def changed(one: str, **parts: str) -> str:
    """The token with another header, body or signature."""
    header, body, signature = one.split(".")
    return ".".join(({"header": header, "body": body, "signature": signature} | parts).values())


def with_header(key: Key, **header: Any) -> Forge:
    """A token that is good but for its header; a None takes something out of it."""
    return lambda here: here.token(key, headers=header)


def with_claims(**others: Any) -> Forge:
    """A token that is good but for its claims."""
    return lambda here: here.token(ED, **others)


# The public key, as a secret


def forms(key: Key) -> dict[str, bytes]:
    """Every form in which somebody could have a public key."""
    public = key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    found = {
        "PEM": pem,
        "PEM without its last newline": pem.strip(),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JSON": json.dumps(key.public).encode(),
    }
    if key.algorithm == "EdDSA":
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    elif key.algorithm.startswith("ES"):
        raw = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        raw = base64.urlsafe_b64decode(key.public["n"] + "==")
    return found | {"raw bytes": raw, "base64url": base64url(raw).encode()}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_a_public_key_is_nobodys_secret(here: Home, key: Key, algorithm: str) -> None:
    """In whatever form, with the key's id or without one."""
    for form, secret in forms(key).items():
        for header in ({}, {"kid": key.key_id}):
            assert here.ask(hmac(here, secret, header, algorithm)).status_code == 401, (form, header)


def test_only_hs256_goes_with_the_secret(here: Home) -> None:
    """The others of its family are nobody's."""
    assert here.ask(hmac(here, SECRET.encode(), {})).status_code == 200
    for algorithm in ("HS384", "HS512"):
        assert here.ask(hmac(here, SECRET.encode(), {}, algorithm)).status_code == 401


OTHERS = ["RS384", "RS512", "PS384", "PS512", "ES384", "ES256K", "HS256", "eddsa", "Ed25519", *jwks.ALGORITHMS]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_a_key_goes_with_its_own_algorithm(here: Home, key: Key) -> None:
    """Not with another that could use it, or says it could."""
    assert here.status(key) == 200
    for algorithm in OTHERS:
        if algorithm == key.algorithm:
            continue
        assert here.status(key, headers={"alg": algorithm}) == 401, algorithm
        if algorithm[:2] in ("RS", "PS") and key in (RSA, PSS):
            # really signed so
            other = copy(key)
            other.algorithm = algorithm
            assert here.status(other) == 401, algorithm


# Headers

HEADERS: dict[str, Forge] = {
    **{
        f"alg {name}, {what}": lambda here, name=name, kid=kid, sign=sign: changed(  # type: ignore[misc]
            here.token(ED, headers={"alg": name, "kid": kid}), **({} if sign else {"signature": ""})
        )
        for name in ("none", "None", "NONE", "nOnE", "")
        for what, kid, sign in [
            ("with a key id", "EdDSA", False),
            ("without one", None, False),
            ("with a signature", "EdDSA", True),
        ]
    },
    "no alg": with_header(ED, alg=None),
    "alg a list": with_header(ED, alg=["EdDSA"]),
    "alg an object": with_header(ED, alg={"EdDSA": 1}),
    "alg a number": with_header(ED, alg=1),
    "alg with a space": with_header(ED, alg="EdDSA "),
    "no kid": with_header(ED, kid=None),
    "kid empty": with_header(ED, kid=""),
    "kid a number": with_header(ED, kid=0),
    "kid a list": with_header(ED, kid=["EdDSA"]),
    "kid an object": with_header(ED, kid={"EdDSA": 1}),
    "kid true": with_header(ED, kid=True),
    "kid another one's": with_header(ED, kid="ES256"),
    "kid with a space": with_header(ED, kid="EdDSA "),
    "kid in other letters": with_header(ED, kid="eddsa"),
    "kid with NUL": with_header(ED, kid="EdDSA\0"),
    "kid with a lone surrogate": with_header(ED, kid="\ud800"),
    "kid a path": with_header(ED, kid="../../../../dev/null"),
    "kid a file": with_header(ED, kid="/proc/sys/kernel/randomize_va_space"),
    "kid a URL": with_header(ED, kid="https://evil.example/jwks.json"),
    "kid SQL": with_header(ED, kid="x' UNION SELECT 'key' -- "),
    "kid a command": with_header(ED, kid="key; rm -rf /"),
    "kid 5 kB long": with_header(ED, kid="k" * 5000),
    "kid 10 kB long": with_header(ED, kid="k" * 10_000),
    "kid an attribute": with_header(ED, kid="__class__"),
    "crit": with_header(ED, crit=["exp"]),
    "crit empty": with_header(ED, crit=[]),
    "crit of our own": with_header(ED, crit=["todo"], todo=1),
    "b64 false": with_header(ED, b64=False, crit=["b64"]),
    "the header a list": lambda here: changed(here.token(ED), header=base64url(b'["EdDSA"]')),
    "the header text": lambda here: changed(here.token(ED), header=base64url(b'"EdDSA"')),
    "the header no JSON": lambda here: changed(here.token(ED), header=base64url(b"{")),
    "the header not UTF-8": lambda here: changed(here.token(ED), header=base64url(b'{"alg": "EdDSA\xff"}')),
    "the header deep": lambda here: changed(here.token(ED), header=base64url(b"[" * 5000)),
    "the header empty": lambda here: changed(here.token(ED), header=""),
    "encrypted": lambda _: f"{part({'alg': 'dir', 'enc': 'A256CBC-HS512'})}..{base64url(b'0' * 16)}.e30.e30",
}


@pytest.mark.parametrize("forge", HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_is_not_better_auths_is_refused(here: Home, forge: Forge) -> None:
    """With its claims in order."""
    assert here.ask(forge(here)).status_code == 401


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
@pytest.mark.parametrize("key_id", ["EdDSA", "unknown", None])
def test_a_key_that_the_token_brings_along_is_not_used(here: Home, name: str, key_id: str | None) -> None:
    """Nor fetched, from wherever the token says."""
    with key_server(MALLORYS) as evil:
        brought = {"jku": evil.url, "x5u": evil.url, "jwk": MALLORYS.public, "x5c": [MALLORYS.public["x"]]}[name]
        assert here.status(MALLORYS, headers={"kid": key_id, name: brought}) == 401
        assert evil.fetches == 0
        # beside the right key it is nothing at all
        assert here.status(ED, headers={name: brought}) == 200
        assert evil.fetches == 0


def test_a_type_is_nothing_to_go_by(here: Home) -> None:
    """Better Auth's tokens have none."""
    assert here.status(ED, headers={"typ": "JWT"}) == 200


# Signatures

SIGNATURES: dict[str, Forge] = {
    "another key's": lambda here: here.token(MALLORYS),
    "none": lambda here: changed(here.token(ED), signature=""),
    "short": lambda here: here.token(ED)[:-4],
    "long": lambda here: here.token(ED) + "AAAA",
    "zeros": lambda here: changed(here.token(ED), signature=base64url(bytes(64))),
    "zeros, for a curve": lambda here: changed(here.token(EC), signature=base64url(bytes(64))),
    "zeros, for RSA": lambda here: changed(here.token(RSA), signature=base64url(bytes(256))),
    "of other claims": lambda here: changed(here.token(ED, "bob"), body=here.token(ED).split(".")[1]),
    "of another header": lambda here: changed(here.token(ED), header=here.token(RSA).split(".")[0]),
    "not base64url": lambda here: here.token(ED)[:-1] + "!",
    "with white space": lambda here: here.token(ED)[:-4] + " " + here.token(ED)[-4:],
    "a fourth part": lambda here: here.token(ED) + ".e30",
    "twice": lambda here: f"{here.token(ED)}.{here.token(ED)}",
    "two parts": lambda here: here.token(ED).rpartition(".")[0],
    "the token's letters are not ASCII": lambda here: here.token(ED) + "\xe9",
}


@pytest.mark.parametrize("forge", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_that_is_not_of_this_token_is_refused(here: Home, forge: Forge) -> None:
    """With header and claims in order."""
    assert here.ask(forge(here)).status_code == 401


# Claims

NOW = int(time.time())
CLAIMS: dict[str, Forge] = {
    "no exp": with_claims(exp=None),
    "exp past": with_claims(exp=NOW - 3600),
    "exp text": with_claims(exp=str(NOW + 900)),
    "exp text with underscores": with_claims(exp=f"{NOW + 900:_}"),
    "exp a fraction": with_claims(exp=NOW + 900.5),
    "exp true": with_claims(exp=True),
    "exp a list": with_claims(exp=[NOW + 900]),
    "exp in 40 days": with_claims(exp=NOW + 40 * 24 * 3600),
    "exp in the year 9999": with_claims(exp=253402300799),
    "exp endless": with_claims(exp=float("inf")),
    "exp no number": with_claims(exp=float("nan")),
    "exp huge": with_claims(exp=10**400),
    "nbf to come": with_claims(nbf=NOW + 3600),
    "nbf text": with_claims(nbf="now"),
    "iat to come": with_claims(iat=NOW + 3600),
    "iat text": with_claims(iat="now"),
    "iat endless": with_claims(iat=float("inf")),
    "nobody": with_claims(sub=None, user_id=None),
    "nobody but a mail address": with_claims(sub=None, user_id=None, email="alice", id="alice", name="alice"),
    "sub empty": with_claims(sub="", user_id=None),
    "sub blank": with_claims(sub=" ", user_id=None),
    "sub with white space around": with_claims(sub="alice ", user_id=None),
    "sub with NUL": with_claims(sub="alice\0", user_id=None),
    "sub with a newline": with_claims(sub="alice\n", user_id=None),
    "sub with a lone surrogate": with_claims(sub="alice\ud800", user_id=None),
    "sub with a slash": with_claims(sub="alice/tasks", user_id=None),
    "sub a number": with_claims(sub=1, user_id=None),
    "sub 256 characters long": with_claims(sub="a" * 256, user_id=None),
    "user_id empty": with_claims(sub=None, user_id=""),
    "user_id a number": with_claims(sub=None, user_id=1),
    "user_id a list": with_claims(sub=None, user_id=["alice"]),
    "user_id another than sub": with_claims(sub="alice", user_id="bob"),
    "sub another than user_id": with_claims(sub="bob", user_id="alice"),
    "user_id empty, sub good": with_claims(user_id=""),
    "aud a list of others": with_claims(aud=["https://evil.example"]),
    "aud a number": with_claims(aud=1),
    "aud the cookie's": with_claims(aud="better-auth:session-cache"),
    "iss a list": lambda here: here.token(ED, iss=[here.server.url]),
    "jti a number": with_claims(jti=1),
    "the claims a list": lambda _: ED.sign({"alg": "EdDSA", "kid": "EdDSA"}, ["alice"]),  # type: ignore[arg-type]
    "longer than 8 KiB": with_claims(image="x" * 8192),
}


@pytest.mark.parametrize("forge", CLAIMS.values(), ids=CLAIMS.keys())
def test_claims_that_break_a_rule_are_refused(here: Home, forge: Forge) -> None:
    """Under a good signature."""
    assert here.ask(forge(here)).status_code == 401


def test_a_null_beside_a_user_is_another_user(here: Home) -> None:
    """Where both names are there, they agree."""
    body = good(here) | {"user_id": None}
    assert here.ask(ED.sign({"alg": "EdDSA", "kid": "EdDSA"}, body)).status_code == 401


def test_the_table_is_of_tokens_that_are_all_but_good(here: Home) -> None:
    """What the rows above differ from, and still is good."""
    assert here.status(ED) == 200
    assert here.status(ED, sub=None) == here.status(ED, user_id=None) == 200
    assert here.status(ED, exp=NOW + 30 * 24 * 3600) == 200
    assert here.status(ED, nbf=NOW, iat=NOW + 5) == 200
    assert here.status(ED, image="x" * 5000) == 200
    assert here.ask(token("alice", secret=SECRET)).status_code == 200


def test_a_token_before_its_key_is_not_remembered_as_bad(here: Home) -> None:
    """Nor is anything else that was refused."""
    new = here.token(NEW)
    assert here.ask(new).status_code == 401
    here.server.serve(*KEYS, NEW)
    assert here.ask(new).status_code == 200
