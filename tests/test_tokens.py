"""Which tokens are good: each rule on its own, in both modes, and what Mallory may try with Better Auth's public keys.

The application's verifier judges them in memory; tests/test_auth.py has what a caller is told over HTTP.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.core.auth import jwks
from app.core.errors import AuthInvalid
from tests.support.home import Home, home
from tests.support.key_server import Key, base64url, key_server, part
from tests.support.tokens import claims

ED, EC, EC521, RSA, PSS = KEYS = tuple(Key(name, name) for name in jwks.ALGORITHMS)
MALLORYS = Key("EdDSA")
"""A key of hers, with the id of one of Better Auth's."""
SECRET = "a-secret-that-is-long-enough-for-the-whole-family-of-hs256-hs384-and-hs512"
DAY = 24 * 3600
OUT = object()
"""Takes a claim or a header out."""


@pytest.fixture(scope="module")
def here() -> Iterator[Home]:
    """Both modes; a key id that is unknown is looked for without a pause."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jwks, "PAUSE_MIN", 0.001)
        patch.setattr(jwks, "PAUSE_MAX", 0.001)
        with home(*KEYS, better_auth_secret=SECRET) as both:
            yield both


class Mode:
    """How tokens are signed in one of the modes."""

    def __init__(self, name: str, algorithm: str, key: Any, **header: str) -> None:
        self.name, self.header = name, {"alg": algorithm, **header}
        self._algorithm: Any = jwt.get_algorithm_by_name(algorithm)
        self._key = key

    def sign(self, header: Any, body: Any) -> str:
        """Sign anything at all: PyJWT's own encode refuses what Mallory would send."""
        head = ".".join(
            base64url(one if isinstance(one, bytes) else json.dumps(one).encode()) for one in (header, body)
        )
        return f"{head}.{base64url(self._algorithm.sign(head.encode(), self._key))}"

    def token(self, here: Home, header: dict[str, Any] | None = None, **others: Any) -> str:
        """A token that is good but for these headers and claims; a claim may be a function of the time."""
        now = int(time.time())
        body = {name: value(now) if callable(value) else value for name, value in others.items()}
        return self.sign(without(self.header | (header or {})), without(good(here) | body))


def good(here: Home, user: str = "alice") -> dict[str, Any]:
    """The claims of a good token in either mode."""
    return claims(user, iss=here.server.url, aud=here.server.url)


def without(one: dict[str, Any]) -> dict[str, Any]:
    """What is left when what is marked so has been taken out."""
    return {name: value for name, value in one.items() if value is not OUT}


BY_SECRET = Mode("secret", "HS256", SECRET.encode())
BY_KEY = Mode("key", "EdDSA", ED.private, kid="EdDSA")
MODES = (BY_SECRET, BY_KEY)


# Claims

GOOD: dict[str, dict[str, Any]] = {
    "all claims": {},
    "sub alone": {"user_id": OUT, "email": OUT, "iat": OUT},
    "user_id alone": {"sub": OUT},
    "expired within the leeway": {"exp": lambda now: now - 5},
    "not yet valid, within the leeway": {"nbf": lambda now: now + 5, "iat": lambda now: now + 5},
    "just under 31 days": {"exp": lambda now: now + 31 * DAY - 5},
    "nearly 8 KiB": {"padding": "x" * 5700},
}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("others", GOOD.values(), ids=GOOD.keys())
def test_a_good_token_is_good(here: Home, mode: Mode, others: dict[str, Any]) -> None:
    """Nothing that the specification allows is refused; the tokens below differ from these in one thing each."""
    assert here.judge(mode.token(here, **others)) == "alice"


BAD: dict[str, dict[str, Any]] = {
    "no exp": {"exp": OUT},
    "expired": {"exp": lambda now: now - 11},
    "expired long ago": {"exp": 1},
    "exp below zero": {"exp": -1},
    "exp as a text": {"exp": lambda now: str(now + 900)},
    "exp as a text with underscores": {"exp": lambda now: f"{now + 900:_}"},
    "exp as a fraction": {"exp": lambda now: now + 900.5},
    "exp that is true": {"exp": True},
    "exp that is null": {"exp": None},
    "exp that is a list": {"exp": lambda now: [now + 900]},
    "exp that is infinite": {"exp": float("inf")},
    "exp that is no number": {"exp": float("nan")},
    "exp a little over 31 days ahead": {"exp": lambda now: now + 31 * DAY + 5},
    "exp in the year 9999": {"exp": 253402300799},
    "exp beyond any clock": {"exp": 10**400},
    "nbf in the future": {"nbf": lambda now: now + 30},
    "nbf as a text": {"nbf": "now"},
    "nbf as a list": {"nbf": [0]},
    "nbf that is infinite": {"nbf": float("inf")},
    "iat in the future": {"iat": lambda now: now + 30},
    "iat as a text": {"iat": "yesterday"},
    "iat that is infinite": {"iat": float("inf")},
    "jti as a number": {"jti": 1},
    "nobody": {"sub": OUT, "user_id": OUT, "email": OUT},
    "only other names": {"sub": OUT, "user_id": OUT, "email": "alice", "id": "alice", "name": "alice"},
    "a user inside another claim": {"sub": OUT, "user_id": OUT, "account": {"id": "alice"}},
    "sub and user_id that differ": {"sub": "bob"},
    "user_id and sub that differ": {"user_id": "bob"},
    "user_id null beside a sub": {"user_id": None},
    "user_id empty beside a sub": {"user_id": ""},
    "over 8 KiB": {"padding": "x" * 8192},
}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("others", BAD.values(), ids=BAD.keys())
def test_claims_that_break_a_rule_are_refused(here: Home, mode: Mode, others: dict[str, Any]) -> None:
    """Under a good signature."""
    assert here.judge(mode.token(here, **others)) is AuthInvalid


NO_USERS: dict[str, Any] = {
    "empty": "",
    "blank": " ",
    "a number": 1,
    "true": True,
    "null": None,
    "a list": ["alice"],
    "an object": {"id": "alice"},
    "space before it": " alice",
    "space after it": "alice ",
    "a line break after it": "alice\n",
    "NUL in it": "ali\0ce",
    "the last control character of ASCII": "ali\x1fce",
    "a delete character": "ali\x7fce",
    "a later control character": "ali\x85ce",
    "the last control character": "ali\x9fce",
    "the first surrogate": "ali\ud800ce",
    "the last surrogate": "ali\udfffce",
    "a slash": "alice/../bob",
    "256 characters": "a" * 256,
}


@pytest.mark.parametrize("user", NO_USERS.values(), ids=NO_USERS.keys())
def test_what_is_no_users_id_is_refused(here: Home, user: Any) -> None:
    """Whichever claim names it, in both modes."""
    for mode in MODES:
        for names in (["sub"], ["user_id"], ["sub", "user_id"]):
            named: dict[str, Any] = {"sub": OUT, "user_id": OUT} | dict.fromkeys(names, user)
            assert here.judge(mode.token(here, **named)) is AuthInvalid, names


PAYLOADS = {
    "no JSON": b"{",
    "a list": b'["alice"]',
    "not UTF-8": b'{"sub": "\xff"}',
    "nested beyond reading": b"[" * 5000,
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_payload_that_is_no_claims_is_refused(here: Home, payload: bytes) -> None:
    """Under a good signature, in both modes."""
    for mode in MODES:
        assert here.judge(mode.sign(mode.header, payload)) is AuthInvalid


ISSUED_ELSEWHERE: dict[str, dict[str, Any]] = {
    "aud a list of others": {"aud": ["https://evil.example"]},
    "aud a number": {"aud": 1},
    "aud the cookie's": {"aud": "better-auth:session-cache"},
    "iss another": {"iss": "https://evil.example"},
    "iss a list": {"iss": ["https://evil.example"]},
}


@pytest.mark.parametrize("others", ISSUED_ELSEWHERE.values(), ids=ISSUED_ELSEWHERE.keys())
def test_who_issued_it_for_whom_is_checked_where_it_is_known(here: Home, others: dict[str, Any]) -> None:
    """Better Auth's keys are for its own origin; the secret alone names none, and so none is asked for."""
    assert here.judge(BY_KEY.token(here, **others)) is AuthInvalid
    assert here.judge(BY_SECRET.token(here, **others)) == "alice"


def test_the_leeway_is_ten_seconds(here: Home) -> None:
    """To the second, once all of it has happened within one."""
    began, verdicts = 0, []
    while int(time.time()) != began:
        began = int(time.time())
        verdicts = [here.judge(mode.token(here, exp=began - ago)) for ago in (9, 10) for mode in MODES]
    assert verdicts == ["alice", "alice", AuthInvalid, AuthInvalid]


def test_a_token_may_have_eight_kibibytes(here: Home) -> None:
    """And not one byte more."""
    for mode in MODES:
        # with this header the parts of a token, in base64, can have this length together
        tokens = [mode.token(here, {"typ": "JWT"}, padding="x" * length) for length in range(5500, 6200)]
        lengths = [len(token) for token in tokens]
        fitting = lengths.index(8 * 1024)
        assert here.judge(tokens[fitting]) == "alice"
        assert here.judge(tokens[fitting + 1]) is AuthInvalid


# Headers

HEADERS: dict[str, dict[str, Any]] = {
    **{f"alg {name!r}": {"alg": name} for name in ("none", "None", "NONE", "nOnE", "", "hs256", "eddsa", "Ed25519")},
    **{f"alg {name!r} without a key id": {"alg": name, "kid": OUT} for name in ("none", "None", "NONE", "nOnE", "")},
    "no alg": {"alg": OUT},
    "alg null": {"alg": None},
    "alg a list": {"alg": ["HS256", "EdDSA"]},
    "alg an object": {"alg": {"HS256": 1, "EdDSA": 1}},
    "alg a number": {"alg": 1},
    **{
        f"typ {typ!r}": {"typ": typ}
        for typ in ("at+jwt", "application/at+jwt", "JWS", "text/jwt", "application/application/jwt", "JWT ", "")
    },
    "typ null": {"typ": None},
    "typ a number": {"typ": 1},
    "typ a list": {"typ": ["JWT"]},
    "a critical extension": {"crit": ["exp"]},
    "a critical extension of our own": {"crit": ["todo"], "todo": 1},
    "no critical extension in particular": {"crit": []},
    "a detached payload": {"b64": False, "crit": ["b64"]},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_is_not_better_auths_is_refused(here: Home, header: dict[str, Any]) -> None:
    """With its claims in order, signed or not, in both modes."""
    for mode in MODES:
        signed = mode.token(here, header)
        assert here.judge(signed) is AuthInvalid
        assert here.judge(changed(signed, signature="")) is AuthInvalid


KEY_IDS: dict[str, Any] = {
    "none": OUT,
    "empty": "",
    "a number": 0,
    "null": None,
    "a list": ["EdDSA"],
    "an object": {"EdDSA": 1},
    "true": True,
    "another key's": "ES256",
    "with a space": "EdDSA ",
    "in other letters": "eddsa",
    "with NUL": "EdDSA\0",
    "with a lone surrogate": "\ud800",
    "a path": "../../../../dev/null",
    "a file": "/proc/sys/kernel/randomize_va_space",
    "a URL": "https://evil.example/jwks.json",
    "SQL": "x' UNION SELECT 'key' -- ",
    "a command": "key; rm -rf /",
    "5 kB long": "k" * 5000,
    "10 kB long": "k" * 10_000,
    "an attribute": "__class__",
}


@pytest.mark.parametrize("key_id", KEY_IDS.values(), ids=KEY_IDS.keys())
def test_a_key_goes_by_its_id_alone(here: Home, key_id: Any) -> None:
    """Under a good signature of a key that is served."""
    assert here.judge(BY_KEY.token(here, {"kid": key_id})) is AuthInvalid


def test_the_type_jwt_may_be_written_in_any_way(here: Home) -> None:
    """RFC 7515, section 4.1.9; Better Auth's tokens have none."""
    for mode in MODES:
        for typ in ("JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT"):
            assert here.judge(mode.token(here, {"typ": typ})) == "alice", typ


def test_a_strangers_key_id_is_nothing_to_go_by(here: Home) -> None:
    """Tokens of the secret have no key id."""
    assert here.judge(BY_SECRET.token(here, {"kid": "../../etc/passwd"})) == "alice"


RAW_HEADERS = {
    "no JSON": b"{",
    "a list": b'["HS256", "EdDSA"]',
    "text": b'"EdDSA"',
    "not UTF-8": b'{"alg": "EdDSA\xff"}',
    "nested beyond reading": b"[" * 5000,
    "empty": b"",
}


@pytest.mark.parametrize("header", RAW_HEADERS.values(), ids=RAW_HEADERS.keys())
def test_what_is_no_header_is_refused(here: Home, header: bytes) -> None:
    """Under a good signature, in both modes."""
    for mode in MODES:
        assert here.judge(mode.sign(header, good(here))) is AuthInvalid


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
@pytest.mark.parametrize("key_id", ["EdDSA", "unknown", OUT], ids=["its own", "unknown", "none"])
def test_a_key_that_the_token_brings_along_is_not_used(here: Home, name: str, key_id: Any) -> None:
    """Nor fetched, from wherever the token says."""
    hers = Mode("Mallory's", "EdDSA", MALLORYS.private)
    with key_server(MALLORYS) as evil:
        brought = {"jku": evil.url, "x5u": evil.url, "jwk": MALLORYS.public, "x5c": [MALLORYS.public["x"]]}[name]
        assert here.judge(hers.token(here, {"kid": key_id, name: brought})) is AuthInvalid
        # beside the right key it is nothing at all
        assert here.judge(BY_KEY.token(here, {name: brought})) == "alice"
        assert evil.fetches == 0


# Signatures


def changed(one: str, **parts: str) -> str:
    """The token with another header, body or signature."""
    header, body, signature = one.split(".")
    return ".".join(({"header": header, "body": body, "signature": signature} | parts).values())


TAMPERED: dict[str, Callable[[str, str], str]] = {
    # alice's good token, and bob's
    "no signature": lambda alice, _: changed(alice, signature=""),
    "two parts": lambda alice, _: alice.rpartition(".")[0],
    "a cut signature": lambda alice, _: alice[:-4],
    "a longer signature": lambda alice, _: alice + "AAAA",
    "a signature of zeros": lambda alice, _: changed(alice, signature=base64url(bytes(64))),
    "another's payload": lambda alice, bob: changed(bob, body=alice.split(".")[1]),
    "another's signature": lambda alice, bob: changed(alice, signature=bob.split(".")[2]),
    "another header": lambda alice, _: changed(alice, header=part({"alg": "RS256", "kid": "RS256"})),
    "no base64url": lambda alice, _: alice[:-1] + "!",
    "white space in the signature": lambda alice, _: f"{alice[:-4]} {alice[-4:]}",
    "white space before a part": lambda alice, _: alice.replace(".", " .", 1),
    "a fourth part": lambda alice, _: alice + ".e30",
    "twice": lambda alice, _: f"{alice}.{alice}",
    "two tokens in one": lambda alice, bob: f"{alice} {bob}",
    "letters beyond ASCII": lambda alice, _: alice + "\xe9",
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_signature_that_is_not_of_this_token_is_refused(here: Home, tamper: Callable[[str, str], str]) -> None:
    """With header and claims in order, in both modes."""
    for mode in MODES:
        alice, bob = (mode.sign(mode.header, good(here, user)) for user in ("alice", "bob"))
        assert here.judge(tamper(alice, bob)) is AuthInvalid


@pytest.mark.parametrize(
    "token",
    ["abc", "abc.def", "..", "a" * 100_000, f"{part({'alg': 'dir', 'enc': 'A256CBC-HS512'})}..{'A' * 22}.e30.e30"],
    ids=["one part", "two parts", "nothing in three parts", "one hundred thousand letters", "encrypted"],
)
def test_what_is_no_signed_token_is_refused(here: Home, token: str) -> None:
    """Anything can be sent."""
    assert here.judge(token) is AuthInvalid


def test_another_key_or_secret_is_refused(here: Home) -> None:
    """Whatever id the key has."""
    for signer in (Mode("Mallory's", "EdDSA", MALLORYS.private, kid="EdDSA"), Mode("hers", "HS256", b"x" * 40)):
        assert here.judge(signer.token(here)) is AuthInvalid
    for algorithm in ("RS256", "PS256"):
        hers = rsa.generate_private_key(65537, 2048)
        for header in ({}, {"kid": algorithm}):
            assert here.judge(Mode("hers", algorithm, hers, **header).token(here)) is AuthInvalid
    for key, length in ((EC, 64), (RSA, 256)):
        zeros = changed(
            key.sign({"alg": key.algorithm, "kid": key.key_id}, good(here)), signature="A" * (length * 4 // 3)
        )
        assert here.judge(zeros) is AuthInvalid


def test_nothing_is_quoted_from_a_forged_token(here: Home) -> None:
    """Its signature is told, and not the claims that are wrong too: only the issuer's own claims are in the log."""
    wrong: dict[str, Any] = {"iss": "hers", "aud": "hers", "exp": int(time.time()) - 3600}
    for signer in (Mode("Mallory's", "EdDSA", MALLORYS.private, kid="EdDSA"), Mode("hers", "HS256", b"x" * 40)):
        with pytest.raises(AuthInvalid) as refused:
            here.run(here.verifier.verify(signer.token(here, **wrong)))
        assert refused.value.reason == f"{signer.header['alg']}: Signature verification failed"


# Algorithms


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


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_a_public_key_is_nobodys_secret(here: Home, key: Key) -> None:
    """In whatever form, with the key's id or without one."""
    for algorithm in ("HS256", "HS384", "HS512"):
        for form, secret in forms(key).items():
            mode = Mode(form, algorithm, secret)
            for header in ({}, {"kid": key.key_id}):
                assert here.judge(mode.token(here, header)) is AuthInvalid, (algorithm, form, header)


def test_only_hs256_goes_with_the_secret(here: Home) -> None:
    """The others of its family are nobody's."""
    for algorithm in ("HS384", "HS512"):
        assert here.judge(Mode("the secret", algorithm, SECRET.encode()).token(here)) is AuthInvalid


OTHERS = ["RS384", "RS512", "PS384", "PS512", "ES384", "ES256K", "HS256", "eddsa", "Ed25519", *jwks.ALGORITHMS]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_a_key_goes_with_its_own_algorithm(here: Home, key: Key) -> None:
    """Not with another that could use it, or says it could."""
    assert here.judge_new(key) == "alice"
    for algorithm in OTHERS:
        if algorithm == key.algorithm:
            continue
        assert here.judge_new(key, headers={"alg": algorithm}) is AuthInvalid, algorithm
        if algorithm[:2] in ("RS", "PS") and key in (RSA, PSS):
            # really signed so
            other = copy(key)
            other.algorithm = algorithm
            assert here.judge_new(other) is AuthInvalid, algorithm
