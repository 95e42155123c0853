"""From a token to the user it was issued for."""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

import jwt

from app.core.auth.jwks import ALGORITHMS, Keys, TooManyWaiters
from app.core.errors import AuthInvalid
from app.core.limits import USER_ID_MAX
from app.core.printable import printable, quoted
from app.core.settings import Settings

USER_ID = re.compile(rf"[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{USER_ID_MAX}}}")
"""A user's id has no `/`, no control character and no surrogate (R-05)."""
USER_ID_RULE = (
    f"a user's id has 1 to {USER_ID_MAX} characters, none of them a control character or /,"
    " and no white space at its ends"
)
"""The same in words."""
TOKEN_MAX = 8 * 1024
"""Bytes; the time to verify a bad token grows with its length."""
LIFETIME_MAX = 31 * 24 * 3600
"""Seconds from now to a token's `exp` (R-27)."""
LEEWAY = 10
"""Seconds by which the issuer's clock may differ from this one (R-27)."""
VERIFIED_MAX = 4096
"""How many verified tokens are cached; the oldest goes first."""


class VerifiedToken(NamedTuple):
    """What a token that was verified says."""

    user_id: str
    expires_at: int
    """The claim `exp`: seconds since 1970."""


class Verifier:
    """Verifies tokens.

    A token's `alg` decides which of the two modes judges it, the shared secret or Better Auth's
    keys, so that no token is ever tried with two keys (R-28).
    """

    def __init__(self, settings: Settings) -> None:
        self.hits = 0
        """How often a token was in the cache."""
        self.misses = 0
        """How often it was not."""
        self._verified: dict[str, VerifiedToken] = {}
        self._secret = settings.secret
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._origin = settings.auth_origin
        self.keys: Keys | None = None
        """Better Auth's keys; None where that mode is not configured."""
        if settings.jwks_url:
            self.keys = Keys(
                settings.jwks_url,
                on_change=self._verified.clear,
                request_seconds=settings.request_timeout,
            )

    async def verify(self, token: str) -> str:
        """Return the id of the user that the token was issued for.

        A verified token is cached until it expires, the keys change, or VERIFIED_MAX newer ones
        have been verified. Raises AuthInvalid if the token breaks a rule, with the reason for the
        log, and KeysUnavailable if its key can't be fetched.
        """
        cached = self._verified.get(token)
        if cached and cached.expires_at > time.time() - LEEWAY:
            self.hits += 1
            return cached.user_id
        self.misses += 1
        verified = await self._verify_anew(token)
        if len(self._verified) >= VERIFIED_MAX:
            oldest = next(iter(self._verified))
            del self._verified[oldest]
        self._verified[token] = verified
        return verified.user_id

    async def _verify_anew(self, token: str) -> VerifiedToken:
        if len(token) > TOKEN_MAX:
            raise AuthInvalid(reason=f"the token has {len(token)} bytes, more than {TOKEN_MAX}")
        claims = await self._verified_claims(token)
        expires_at = claims["exp"]
        # PyJWT takes "123", 123.5 and the year 9999 too.
        if type(expires_at) is not int or expires_at > time.time() + LIFETIME_MAX:
            raise AuthInvalid(reason="exp is not an integer within 31 days")
        return VerifiedToken(_user_id(claims), expires_at)

    async def _verified_claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature, times, issuer and audience are good."""
        header = _header(token)
        if "typ" in header and not _is_jwt(header["typ"]):
            raise AuthInvalid(reason=f"typ is {quoted(header['typ'])}, and not JWT")
        algorithm = header.get("alg")
        match algorithm:
            case "HS256":
                return self._claims_by_secret(token)
            case str() if algorithm in ALGORITHMS:
                return await self._claims_by_key(token, algorithm, header.get("kid"))
        raise AuthInvalid(reason=f"alg is {quoted(algorithm)}")

    def _claims_by_secret(self, token: str) -> dict[str, Any]:
        if not self._secret:
            raise AuthInvalid(reason="HS256, but BETTER_AUTH_SECRET is not set")
        return _decode(token, self._secret, "HS256", self._issuer, self._audience)

    async def _claims_by_key(
        self, token: str, algorithm: str, key_id: str | None
    ) -> dict[str, Any]:
        if not self.keys:
            raise AuthInvalid(reason=f"{algorithm}, but BETTER_AUTH_URL is not set")
        try:
            key = await self.keys.find(key_id) if key_id else None
        except TooManyWaiters as too_many:
            # Not a 500: while keys can be fetched, made-up key ids of strangers must not look like
            # a failure of the service.
            raise AuthInvalid(reason=f"kid is {quoted(key_id)}, and {too_many}") from None
        if not key:
            raise AuthInvalid(
                reason=f"kid is {quoted(key_id)}, which {self.keys.url} does not serve"
            )
        issuer = self._issuer or self._origin
        audience = self._audience or self._origin
        return _decode(token, key, algorithm, issuer, audience)


def _header(token: str) -> dict[str, Any]:
    """The token's header, which nobody has signed yet."""
    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        reason = f"not a JWT ({len(token)} characters)"
        if token == "undefined":  # noqa: S105 - what JavaScript sends before it has a token
            reason += ": undefined"
        raise AuthInvalid(reason=reason) from None


def _is_jwt(typ: object) -> bool:
    """Whether a header's `typ` says JWT, and not a token for something else (RFC 8725, 3.11).

    It is a media type without case, mostly without its `application/` (RFC 7515, 4.1.9).
    """
    return isinstance(typ, str) and typ.lower().removeprefix("application/") == "jwt"


def _decode(
    token: str, key: jwt.PyJWK | str, algorithm: str, issuer: str | None, audience: str | None
) -> dict[str, Any]:
    """The token's claims, verified; where `issuer` or `audience` is None, it is not checked."""
    try:
        return jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY,
            options={
                "require": ["exp"],
                "verify_aud": bool(audience),
                "enforce_minimum_key_length": True,
            },
        )
    except jwt.PyJWTError as error:
        why = _why_refused(error, token, issuer, audience)
        raise AuthInvalid(reason=f"{algorithm}: {why}") from None


def _why_refused(
    error: jwt.PyJWTError, token: str, issuer: str | None, audience: str | None
) -> str:
    """Why PyJWT refuses a token, with the claim that is wrong.

    Where a claim is wrong the signature has been verified: PyJWT checks it before the claims. So
    only the claims of a token that was really issued are quoted
    (test_nothing_is_quoted_from_a_forged_token).
    """
    match error:
        case jwt.ExpiredSignatureError():
            # A negative `exp` may have thousands of digits, which the log need not have.
            expired_at = max(int(_unverified_claims(token)["exp"]), 0)
            return f"expired {int(time.time()) - expired_at} s ago"
        case jwt.InvalidIssuerError():
            return f"iss is {quoted(_unverified_claims(token)['iss'])}, expected {issuer!r}"
        case jwt.InvalidAudienceError():
            return f"aud is {quoted(_unverified_claims(token)['aud'])}, expected {audience!r}"
    return printable(str(error))


def _unverified_claims(token: str) -> dict[str, Any]:
    """The claims, read without their signature, which `_decode` has verified before."""
    claims: dict[str, Any] = jwt.decode_complete(token, options={"verify_signature": False})[
        "payload"
    ]
    return claims


def _user_id(claims: Mapping[str, Any]) -> str:
    """The `user_id` claim, or `sub` where there is none; both must agree (R-27, R-29)."""
    user_id = claims.get("user_id", claims.get("sub"))
    if not is_user_id(user_id) or claims.get("sub", user_id) != user_id:
        raise AuthInvalid(reason="user_id and sub are not one user's id")
    return user_id


def is_user_id(value: object) -> TypeGuard[str]:
    """Whether this can be a user's id (R-05)."""
    if not isinstance(value, str):
        return False
    return USER_ID.fullmatch(value) is not None and value == value.strip()


def sign(claims: dict[str, Any], secret: str) -> str:
    """A token with these claims, as Better Auth signs it with the shared secret.

    For development: in production the service signs nothing.
    """
    return jwt.encode(claims, secret, algorithm="HS256")
