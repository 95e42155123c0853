"""From a token to the user it was issued for."""

import re
import reprlib
import time
from collections.abc import Mapping
from typing import Any, TypeGuard

import jwt
from jwt.types import Options

from app.core.auth.jwks import ALGORITHMS, Keys
from app.core.errors import AuthInvalid
from app.core.limits import USER_ID_MAX
from app.core.settings import Settings

USER_ID = re.compile(rf"[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{USER_ID_MAX}}}")
"""A user's id has no `/`, no control character and no surrogate."""
TOKEN_MAX = 8 * 1024
"""Bytes; the time to verify a bad token grows with its length."""
LIFETIME_MAX = 31 * 24 * 3600
"""Seconds from now to a token's `exp`."""
LEEWAY = 10
"""Seconds by which the issuer's clock may differ from this one."""
VERIFIED_MAX = 4096
"""How many verified tokens are cached; the oldest goes first."""
_quoted = reprlib.Repr()
"""Quotes a part of a token for the log: escaped, and cut in the middle if it is long."""
_quoted.maxstring = 100


class Verifier:
    """Verifies tokens. Each algorithm belongs to one mode, so that no token is ever tried with two keys."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._verified: dict[str, tuple[str, int]] = {}
        self.keys = Keys(settings.jwks_url, self._verified.clear) if settings.jwks_url else None
        self.hits = self.misses = 0
        """How often a token was in the cache, and how often it was not."""
        self._issuer, self._audience, self._origin = (
            settings.jwt_issuer,
            settings.jwt_audience,
            settings.auth_origin,
        )

    async def user(self, token: str) -> str:
        """Return the id of the user that the token was issued for.

        A verified token is not verified again until it expires or the keys change. Raises AuthInvalid if the token
        breaks a rule, with the reason for the log, and KeysUnavailable if its key can't be fetched.
        """
        user, expires = self._verified.get(token, ("", 0))
        if expires > time.time() - LEEWAY:
            self.hits += 1
            return user
        self.misses += 1
        user, expires = await self._verify(token)
        if len(self._verified) >= VERIFIED_MAX:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = user, expires
        return user

    async def _verify(self, token: str) -> tuple[str, int]:
        """The token's user and `exp`."""
        if len(token) > TOKEN_MAX:
            raise AuthInvalid(reason=f"the token has {len(token)} bytes, more than {TOKEN_MAX}")
        claims = await self._claims(token)
        expires = claims["exp"]
        # PyJWT takes "123", 123.5 and the year 9999 too
        if type(expires) is not int or expires > time.time() + LIFETIME_MAX:
            raise AuthInvalid(reason="exp is not an integer within 31 days")
        return _user(claims), expires

    async def _claims(self, token: str) -> dict[str, Any]:
        """The verified claims; the token's `alg` decides the mode."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            word = ": undefined" if token == "undefined" else ""  # noqa: S105 - a mistake of many pages
            raise AuthInvalid(reason=f"not a JWT ({len(token)} characters){word}") from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm == "HS256" and self._secret:
            return self._decoded(token, self._secret, algorithm)
        if algorithm not in ("HS256", *ALGORITHMS):
            raise AuthInvalid(reason=f"alg is {_quoted.repr(algorithm)}")
        if algorithm == "HS256" or not self.keys:
            name = "BETTER_AUTH_SECRET" if algorithm == "HS256" else "BETTER_AUTH_URL"
            raise AuthInvalid(reason=f"{algorithm}, but {name} is not set")
        if key_id and (key := await self.keys.find(key_id)):
            return self._decoded(token, key, algorithm, self._origin)
        raise AuthInvalid(
            reason=f"kid is {_quoted.repr(key_id)}, which {self.keys.url} does not serve"
        )

    def _decoded(
        self, token: str, key: jwt.PyJWK | str, algorithm: str, origin: str | None = None
    ) -> dict[str, Any]:
        issuer, audience = self._issuer or origin, self._audience or origin
        rules: Options = {
            "require": ["exp"],
            "verify_aud": bool(audience),
            "enforce_minimum_key_length": True,
        }
        try:
            return jwt.decode(
                token, key, [algorithm], rules, issuer=issuer, audience=audience, leeway=LEEWAY
            )
        except jwt.PyJWTError as error:
            raise AuthInvalid(
                reason=f"{algorithm}: {_reason(error, token, issuer, audience)}"
            ) from None


def _reason(error: jwt.PyJWTError, token: str, issuer: str | None, audience: str | None) -> str:
    """Why PyJWT refuses a token; it checks the signature first, so claims are quoted only if that is good."""
    if not isinstance(
        error, jwt.ExpiredSignatureError | jwt.InvalidIssuerError | jwt.InvalidAudienceError
    ):
        return ascii(str(error))[1:-1]
    claims = jwt.decode_complete(token, options={"verify_signature": False})["payload"]
    if isinstance(error, jwt.ExpiredSignatureError):
        return f"expired {int(time.time()) - max(int(claims['exp']), 0)} s ago"
    name, expected = (
        ("iss", issuer) if isinstance(error, jwt.InvalidIssuerError) else ("aud", audience)
    )
    return f"{name} is {_quoted.repr(claims[name])}, expected {expected!r}"


def _user(claims: Mapping[str, Any]) -> str:
    """The `user_id` claim, or `sub`; if both are there they must agree, and no other claim is a fallback."""
    user, *others = [claims[name] for name in ("user_id", "sub") if name in claims] or [None]
    if not is_user_id(user) or any(other != user for other in others):
        raise AuthInvalid(reason="user_id and sub are not one user's id")
    return user


def is_user_id(user: object) -> TypeGuard[str]:
    """Whether this can be a user's id."""
    return isinstance(user, str) and USER_ID.fullmatch(user) is not None and user == user.strip()
