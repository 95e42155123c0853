"""The log: one JSON object per line, on stdout."""

import atexit
import json
import logging
import sys
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from select import PIPE_BUF
from threading import Event, Thread
from typing import Any

LINES_MAX = 4096
"""Lines that may wait until stdout can be written to; further ones are dropped and counted."""
PAUSE = 0.01
"""Seconds between two writes; under load one write for many lines is cheaper than one for each."""
FLUSH_SECONDS = 0.5


class Writer(Thread):
    """Writes lines to stdout, in a thread of its own: a write blocks while the reader of a pipe is stuck.

    O_NONBLOCK would avoid that too, but it applies to every process that shares this stdout.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.dropped = 0
        # a deque and an event: a Queue's locks take longer than the rest of a line's way
        self._lines: deque[str] = deque()
        self._has_lines = Event()
        self._writing = False

    def write(self, line: str) -> None:
        """Take a line to be written soon; never blocks and never fails."""
        if len(self._lines) >= LINES_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._has_lines.is_set():
            self._has_lines.set()

    def flush(self) -> None:
        """Wait until everything is written, for FLUSH_SECONDS at most."""
        end = time.monotonic() + FLUSH_SECONDS
        while (self._lines or self._writing) and time.monotonic() < end:
            time.sleep(PAUSE / 10)

    def run(self) -> None:
        """Write the waiting lines, again and again; lines that can't be written are dropped."""
        reported = 0
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            self._writing, dropped = True, self.dropped
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            told = f"{dropped - reported} lines of this log were dropped: stdout could not be written to."
            warning = (
                [_line(level="WARNING", logger=__name__, message=told)]
                if dropped > reported
                else []
            )
            try:
                _write("".join(lines + warning).encode())
                reported = dropped
            except (
                OSError,
                ValueError,
                AttributeError,
            ):  # no reader, no space, closed, or not there at all
                self.dropped += len(lines)
            self._writing = False
            time.sleep(PAUSE)


def _write(data: bytes) -> None:
    """Write to the raw stdout: a thread that is stuck in the buffered one holds its lock, so the process can't exit.

    Only PIPE_BUF bytes go into a pipe in one piece, which another process that shares it can't interrupt.
    """
    stdout, start = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + PIPE_BUF) + 1 or data.find(b"\n", start) + 1
        written = stdout.write(data[start:end]) or 0  # None if another process has set O_NONBLOCK
        start += written
        time.sleep(0 if written else PAUSE)


writer = Writer()
atexit.register(writer.flush)


def write_line(**fields: Any) -> None:
    """Write one line of JSON; what a caller sent can't end it, because JSON escapes line ends."""
    writer.write(_line(**fields))


def _line(**fields: Any) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, **fields}) + "\n"


def trace(exception: BaseException | None) -> list[str]:
    """Return the frames and types of an exception and its causes; no messages, because they may hold user input."""
    if exception is None:
        return []
    here = [
        *map(str.rstrip, traceback.format_tb(exception.__traceback__)),
        type(exception).__name__,
    ]
    if code := getattr(exception, "pgcode", None):
        here.append(f"SQLSTATE {code}")
    return here + trace(exception.__cause__ or exception.__context__)


class JsonLines(logging.Handler):
    """Writes what libraries log, such as uvicorn's errors, in the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, with its exception's trace but without the exception's message."""
        exception = record.exc_info[1] if record.exc_info else None
        traced = {"exception": trace(exception)} if exception else {}
        write_line(
            level=record.levelname, logger=record.name, message=record.getMessage(), **traced
        )


def log_as_json() -> None:
    """Start the log: warnings and errors of all loggers go there too, but for uvicorn's access log."""
    if not writer.is_alive():
        writer.start()
    logging.basicConfig(handlers=[JsonLines()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
