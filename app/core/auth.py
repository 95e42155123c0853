"""From a token to the user it was issued for (spec: Authentication)."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, TypeGuard

import jwt
from fastapi import Request, Security
from fastapi.security import HTTPBearer
from jwt.types import Options
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import AuthForbidden, AuthInvalid, AuthMissing, NotFound
from app.core.jwks import ALGORITHMS, Keys
from app.core.settings import Settings

USER_ID_MAX = 255
TOKEN_MAX = 8 * 1024
"""Bytes; verifying a bad token takes the longer the more there is of it."""
LIFETIME_MAX = 31 * 24 * 3600
"""Seconds from now to a token's `exp`."""
LEEWAY = 10
"""Seconds by which the issuer's clock may differ from ours."""
VERIFIED_MAX = 4096
"""How many tokens are remembered as good; the oldest goes first."""


class Verifier:
    """Judges tokens. Each algorithm belongs to one mode, so that no token is ever tried with two keys."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self.keys = Keys(settings.jwks_url) if settings.jwks_url else None
        self.hits = self.misses = 0
        """How often a token was remembered as good, and how often it was not."""
        self._issuer, self._audience = settings.jwt_issuer, settings.jwt_audience
        self._origin = settings.auth_origin
        self._verified: dict[str, tuple[str, int]] = {}
        self._verified_with: object = None

    async def user(self, token: str) -> str:
        """Return the id of the user that the token was issued for; AuthInvalid where it breaks any rule.

        A token that was good is so until it expires or the keys change: it is not verified again.
        """
        if self.keys and self.keys.current is not self._verified_with:
            self._verified.clear()
            self._verified_with = self.keys.current
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
            raise AuthInvalid
        try:
            claims = await self._claims(token)
            expires = claims["exp"]
        except jwt.PyJWTError:
            raise AuthInvalid from None
        # PyJWT takes "123", 123.5 and the year 9999 too
        if type(expires) is not int or expires > time.time() + LIFETIME_MAX:
            raise AuthInvalid
        return _user(claims), expires

    async def _claims(self, token: str) -> dict[str, Any]:
        """The verified claims; the token's `alg` decides the mode."""
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm == "HS256" and self._secret:
            return self._decoded(token, self._secret, algorithm)
        if algorithm in ALGORITHMS and self.keys and key_id and (key := await self.keys.find(key_id)):
            return self._decoded(token, key, algorithm, self._origin)
        raise AuthInvalid

    def _decoded(self, token: str, key: jwt.PyJWK | str, algorithm: str, origin: str | None = None) -> dict[str, Any]:
        issuer, audience = self._issuer or origin, self._audience or origin
        rules: Options = {"require": ["exp"], "verify_aud": bool(audience), "enforce_minimum_key_length": True}
        return jwt.decode(token, key, [algorithm], rules, issuer=issuer, audience=audience, leeway=LEEWAY)


def _user(claims: Mapping[str, Any]) -> str:
    """The `user_id` claim, or `sub`; where both are there they must agree, and no other claim is a fallback."""
    user, *others = [claims[name] for name in ("user_id", "sub") if name in claims] or [None]
    if not is_user_id(user) or any(other != user for other in others):
        raise AuthInvalid
    return user


def is_user_id(user: object) -> TypeGuard[str]:
    """Whether this can be a user's id: 1 to 255 characters, printable or a space within, and no `/`."""
    return (
        isinstance(user, str)
        and 1 <= len(user) <= USER_ID_MAX
        and user == user.strip()
        and "/" not in user
        and not any(character < " " or "\x7f" <= character <= "\x9f" or _is_surrogate(character) for character in user)
    )


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _bearer_token(scope: Scope) -> str:
    """The token of the one Authorization header; which schemes there are is case-insensitive (RFC 9110, 11.1)."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) > 1:
        raise AuthInvalid
    scheme, _, token = found[0].decode("latin-1").partition(" ") if found else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthMissing
    return token.strip(" ")


class Authentication:
    """Judges who calls before anything else of a request under `/api` is looked at.

    FastAPI reads and parses a body before it solves dependencies; a stranger must not make us do that.
    """

    def __init__(self, app: ASGIApp, verifier: Verifier, *, https_only: bool) -> None:
        self.app = app
        self._verifier = verifier
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what is not under `/api`, and what is where the path's user is the token's."""
        path = scope["path"].split("/") if scope["type"] == "http" else []
        if path[1:2] == ["api"]:
            if self._https_only and scope["scheme"] != "https":
                raise AuthForbidden("Use HTTPS.")
            user = await self._verifier.user(_bearer_token(scope))
            scope["state"]["user_id"] = user
            # /api/{user_id}/…, whether there is such a route or not
            if len(path) > 3 and path[2] != user:  # noqa: PLR2004 - the parts of a path that goes beyond its user
                raise AuthForbidden
            if scope["path"].endswith("\n"):
                raise NotFound  # a route's pattern would let one newline follow
        await self.app(scope, receive, send)


class _Bearer(HTTPBearer):
    """Declares the scheme to OpenAPI; Authentication has already judged the token and the path's user."""

    async def __call__(self, request: Request) -> str:  # type: ignore[override]  # what a dependency gives is its own
        user: str = request.state.user_id
        return user


CurrentUser = Annotated[
    str, Security(_Bearer(scheme_name="Bearer", bearerFormat="JWT", description="The JWT that Better Auth has issued."))
]
"""The id of the signed-in user, whose path this is."""
