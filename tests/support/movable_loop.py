"""An event loop whose clock a test can move, so that nobody waits for what happens after half a minute."""

import asyncio


class MovableLoop(asyncio.SelectorEventLoop):
    """The loop of the standard library, some seconds ahead."""

    def __init__(self) -> None:
        self._ahead = 0.0
        super().__init__()

    def time(self) -> float:
        """The loop's clock, by which all its timers run."""
        return super().time() + self._ahead

    def move(self, seconds: float) -> None:
        """Let so many seconds pass at once; called from another thread."""
        self.call_soon_threadsafe(self._move, seconds)

    def _move(self, seconds: float) -> None:
        self._ahead += seconds
