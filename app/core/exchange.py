"""What the log and the metrics are told about the current request."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope


def _never() -> bool:
    return False


@dataclass(slots=True)
class Exchange:
    """One request and its answer; RequestContext reads it when the answer has been sent.

    Whoever learns something fills it in: the server, the middleware, the answer to an exception.
    """

    user_id: str | None = None
    """The signed-in user; None until, or unless, a token was verified."""
    error_code: str | None = None
    """The envelope's `error_code`, if the answer is an error."""
    reason: str | None = None
    """Why the request was refused, for the log alone: bounded, without a token or a secret."""
    exception: BaseException | None = None
    """The exception behind a status of 500 or more, if there is no `reason` for it."""
    is_disconnected: Callable[[], bool] = _never
    """Whether the client has hung up; False under a server that can't tell."""


def exchange_of(scope: Scope) -> Exchange:
    """Return the request's exchange; whoever asks first makes it.

    It is kept in `scope["state"]`: what the lifespan has yielded, which the server copies for each
    request. A server need not send any (ASGI, lifespan state).
    """
    state = scope.setdefault("state", {})
    exchange: Exchange | None = state.get("exchange")
    if exchange is None:
        exchange = Exchange()
        state["exchange"] = exchange
    return exchange
