"""The service's log, as a test reads it."""

import time
from pathlib import Path

import pytest

from app.core.observability.logs import writer
from tests.acceptance.boundary import from_log
from tests.support.clock import PATIENCE, pause


class Log:
    """What the service writes from now on: to this process's stdout, or to a file of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], file: Path | None = None) -> None:
        self._capsys, self._file = capsys, file
        self._position = 0
        self._new()
        # a process writes its lines a moment after the answers: those of the scenario before may still come
        if file is not None:
            pause(0.2)
            while self._new():
                pause(0.2)

    def _new(self) -> str:
        if self._file is None:
            writer.flush()
            return self._capsys.readouterr().out
        with self._file.open() as log:
            log.seek(self._position)
            text = log.read()
            self._position = log.tell()
        return text

    def read(self, lines: int = 1) -> str:
        """Return what is new, once it has so many lines: each is written just after its answer was sent."""
        text, end = "", time.monotonic() + PATIENCE
        while (text := text + self._new()).count("\n") < lines and time.monotonic() < end:
            time.sleep(0.01)
        pause(0.05)  # one line too many would come by now
        return from_log(text + self._new())


def logged(capsys: pytest.CaptureFixture[str], lines: int = 1) -> str:
    """Return what was logged in this process since its output was last read, once it has so many lines."""
    writer.flush()
    before = capsys.readouterr().out
    return before + Log(capsys).read(max(0, lines - before.count("\n")))
