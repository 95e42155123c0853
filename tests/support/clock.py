"""Seconds on a machine that others use too, or that is slow."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

PATIENCE = 60.0
"""Seconds for which something is waited for that comes at once on an idle machine, and whose time is no promise."""
CONTROL = 160_000
"""Turns of a loop."""
CONTROL_TAKES = 0.004
"""Seconds that they take on an idle machine of these years."""
SAMPLES = 5
SLOWEST = 20.0
"""No machine is taken for slower: what is waited for by `allowed` must be over before PATIENCE and clients give up."""

Result = TypeVar("Result")


def slowness() -> float:
    """How many times longer work takes now, on a machine that is slow or that others use too: 1 to SLOWEST.

    It is the worst of a few samples: what is judged by it may have met the worst moment too.
    """
    worst = max(_control() / CONTROL_TAKES for _ in range(SAMPLES))
    return min(max(1.0, worst), SLOWEST)


def _control() -> float:
    """The seconds that the control takes now."""
    began = time.perf_counter()
    for _ in range(CONTROL):
        pass
    return time.perf_counter() - began


def is_now(moment: str) -> bool:
    """Whether this ISO 8601 time is the current one, but for what a busy machine takes."""
    return timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(moment) < timedelta(minutes=1)


def allowed(seconds: float) -> float:
    """The seconds that a promise of an idle machine's is worth on this one, now."""
    return seconds * slowness()


def pause(seconds: float) -> None:
    """Let others do what takes them less than so many seconds on an idle machine."""
    time.sleep(allowed(seconds))


def wait_until(happened: Callable[[], Result | None], seconds: float = PATIENCE) -> Result:
    """Wait until this gives something that is true, and return that; AssertionError if it does not come."""
    end = time.monotonic() + seconds
    while True:
        result = happened()
        if result:
            return result
        assert time.monotonic() < end, f"still {result!r} after {seconds:.1f} s"
        time.sleep(0.01)
