"""The service's log, as a test reads it."""

import time

import pytest

PATIENCE = 5
"""Seconds."""


def logged(capsys: pytest.CaptureFixture[str], lines: int = 1) -> str:
    """Read what was logged since, once it has so many lines: each is written just after its answer was sent."""
    text, end = "", time.monotonic() + PATIENCE
    while (text := text + capsys.readouterr().out).count("\n") < lines and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)  # one line too many would come by now
    return text + capsys.readouterr().out
