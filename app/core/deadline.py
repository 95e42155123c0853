"""The deadline of the request that is being answered; it bounds all that is waited for on its behalf."""

import asyncio
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline")


def set_deadline(seconds: float) -> None:
    """Give every query of this task, from now on, `seconds` in all."""
    _deadline.set(asyncio.get_running_loop().time() + seconds)


def extend_deadline(seconds: float) -> None:
    """Leave out `seconds` that went by waiting for the caller, not for us."""
    _deadline.set(_deadline.get() + seconds)


def deadline() -> float:
    """When this task's seconds are over, on the event loop's clock."""
    return _deadline.get()
