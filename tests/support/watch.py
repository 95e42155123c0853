"""How long something took, without what this machine was late meanwhile: a busy one fails no promise of a time."""

import threading
import time
from types import TracebackType
from typing import Self

TICK = 0.02
"""Seconds."""


class Watch:
    """Measures from its start to its end, in seconds.

    A thread sleeps for one tick after another; by how much it wakes up too late, others wake up too late as well. It
    reads the system's clock itself, so that nothing that moves the other one makes both agree.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._late = 0.0
        self._ended: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop."""
        self._ended = time.monotonic()
        self._over.set()

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or took."""
        return (self._ended or time.monotonic()) - self._began - self._late

    def _tick(self) -> None:
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        while not self._over.wait(TICK):
            now = time.clock_gettime(time.CLOCK_MONOTONIC)
            self._late += max(0.0, now - before - TICK)
            before = now
