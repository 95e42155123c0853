"""The deadline of the current request; it bounds all that the service waits for on its behalf.

Waiting for the request's body does not count: the deadline becomes later by as long as that took.
"""

import asyncio
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline")


def set_deadline(seconds: float) -> None:
    """Set the request's deadline to `seconds` from now; it is kept for each asyncio task."""
    _deadline.set(asyncio.get_running_loop().time() + seconds)


def extend_deadline(seconds: float) -> None:
    """Add the `seconds` that were spent waiting for the caller; LookupError if none was set."""
    _deadline.set(_deadline.get() + seconds)


def deadline() -> float:
    """Return the request's deadline, on the event loop's clock; LookupError if none was set."""
    return _deadline.get()
