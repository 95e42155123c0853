"""The middleware that authenticates requests under `/api`, and the dependency with their user."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from starlette._utils import get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.auth.tokens import Verifier
from app.core.errors import AuthForbidden, AuthInvalid, AuthMissing
from app.core.exchange import exchange_of
from app.core.printable import quoted


class Authentication:
    """Authenticates a request under `/api` before anything else of it is read (R-11).

    Every route under `/api` must begin with `/api/{user_id}`: the segment behind `/api` is compared
    with the token's user, whichever route it is.

    FastAPI reads and parses a body before it solves dependencies; a caller without a token must
    not be able to cause that.

    A token is judged once, when the request's head has arrived. A body that comes slowly may end
    up to `requests.BODY_SECONDS` after its token has expired. That is accepted: the request began
    while the token was valid.
    """

    def __init__(self, app: ASGIApp, verifier: Verifier, *, https_only: bool) -> None:
        self.app = app
        self._verifier = verifier
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if its token is valid and its path is the token's user's.

        Raises AuthMissing, AuthInvalid, AuthForbidden and KeysUnavailable.
        """
        if scope["type"] == "http":
            await self._check(scope)
        await self.app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        path = get_route_path(scope)  # what the router matches: without the server's root path
        if is_under_api(path):
            if self._https_only and scope["scheme"] != "https":
                raise AuthForbidden("Use HTTPS.", reason=_why_not_https(scope))
            user_id = await self._verifier.verify(_bearer_token(scope))
            exchange_of(scope).user_id = user_id
            # "alice" in "/api/alice/x", whether there is such a route or not
            user_in_path = path.removeprefix("/api").removeprefix("/").partition("/")[0]
            names_a_user = path not in ("/api", "/api/")
            if names_a_user and user_in_path != user_id:
                raise AuthForbidden


def is_under_api(path: str) -> bool:
    """Whether a path is `/api` or under it; it is given without the server's root path."""
    return path == "/api" or path.startswith("/api/")


def _why_not_https(scope: Scope) -> str:
    """What the proxy has said of the request's scheme, for the log (R-34)."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    if not lines:
        return "no X-Forwarded-Proto was sent"
    forwarded = b", ".join(lines).decode("latin-1")
    if forwarded != "https":
        return f"X-Forwarded-Proto is {quoted(forwarded)}"
    # The header says https (forwarded.py has left its first member), and uvicorn did not go by it:
    # it does not trust the sender.
    sender = scope["client"][0] if scope.get("client") else "a Unix socket"
    return f"X-Forwarded-Proto is https, but FORWARDED_ALLOW_IPS does not name its sender, {sender}"


def _bearer_token(scope: Scope) -> str:
    """The token of the one Authorization header.

    The scheme has no case (RFC 9110, 11.1). Raises AuthMissing and AuthInvalid.
    """
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    if not headers:
        raise AuthMissing
    if len(headers) > 1:
        raise AuthInvalid(reason=f"{len(headers)} Authorization headers")
    scheme, _, credentials = headers[0].decode("latin-1").partition(" ")
    token: str = credentials.strip(" ")  # any number of spaces may follow the scheme, and no tabs
    has_token = token.strip() != ""  # other white space alone is no token either
    if scheme.lower() != "bearer" or not has_token:
        raise AuthMissing
    return token


class _UserIdOfBearer(SecurityBase):
    """The dependency that gives the signed-in user's id, and declares its scheme to OpenAPI.

    The middleware `Authentication` has read the header, and has checked the token and that the path
    is this user's. FastAPI's own HTTPBearer would read the header a second time.
    """

    def __init__(self) -> None:
        self.scheme_name = "Bearer"
        self.model = HTTPBearerModel(
            bearerFormat="JWT", description="The JWT that Better Auth has issued."
        )

    async def __call__(self, request: Request) -> str:
        """Return the id; raise AuthMissing if `Authentication` did not run.

        So a route that it does not guard is closed.
        """
        user_id = exchange_of(request.scope).user_id
        if user_id is None:
            raise AuthMissing
        return user_id


CurrentUserId = Annotated[str, Security(_UserIdOfBearer())]
"""The id of the signed-in user."""
