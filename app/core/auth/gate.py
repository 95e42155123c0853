"""Who asks: the layer that authenticates each request under `/api`, and the dependency that names its user."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.auth.tokens import Verifier
from app.core.errors import AuthForbidden, AuthInvalid, AuthMissing, NotFound
from app.core.exchange import exchange_of


def _bearer_token(scope: Scope) -> str:
    """The token of the one Authorization header; the scheme is case-insensitive (RFC 9110, 11.1)."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) > 1:
        raise AuthInvalid(reason=f"{len(found)} Authorization headers")
    scheme, _, token = found[0].decode("latin-1").partition(" ") if found else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthMissing
    return token.strip(" ")


class Authentication:
    """Authenticates a request under `/api` before anything else of it is read.

    FastAPI reads and parses a body before it solves dependencies; a caller without a token must not cause that.
    """

    def __init__(self, app: ASGIApp, verifier: Verifier, *, https_only: bool) -> None:
        self.app = app
        self._verifier = verifier
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request under /api without a valid token, or whose path names another user."""
        path = scope["path"].split("/") if scope["type"] == "http" else []
        if path[1:2] == ["api"]:
            if self._https_only and scope["scheme"] != "https":
                raise AuthForbidden("Use HTTPS.")
            user = await self._verifier.user(_bearer_token(scope))
            exchange_of(scope).user_id = user
            # /api/{user_id}/…, whether there is such a route or not
            if len(path) > 3 and path[2] != user:  # noqa: PLR2004 - the parts of a path that goes beyond its user
                raise AuthForbidden
        if path and path[-1].endswith("\n"):
            raise NotFound  # a route's pattern would let one newline follow
        await self.app(scope, receive, send)


class _Bearer(HTTPBearer):
    """Declares the scheme to OpenAPI; Authentication has verified the token and the path's user before."""

    async def __call__(self, request: Request) -> str:  # type: ignore[override]  # a dependency may return anything
        user = exchange_of(request.scope).user_id
        if user is None:  # Authentication is not among the layers, or the route is not under /api
            raise AuthMissing
        return user


CurrentUser = Annotated[
    str,
    Security(
        _Bearer(
            scheme_name="Bearer",
            bearerFormat="JWT",
            description="The JWT that Better Auth has issued.",
        )
    ),
]
"""The id of the signed-in user, whose path this is."""
