"""The log: one JSON object per line, on stdout."""

import atexit
import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from queue import Full, Queue
from select import PIPE_BUF
from threading import Lock, Thread
from typing import Any

LINES_MAX = 4096
"""Lines that may wait until stdout can be written to; further ones are dropped and counted."""

PAUSE = 0.01
"""Seconds between two writes. Under load one write for many lines is cheaper than one for each."""

FLUSH_SECONDS = 0.5
"""Seconds that the end of the process waits for a reader of stdout."""


class Writer:
    """Writes lines to stdout in a thread of its own.

    A write blocks while the reader of a pipe is stuck. O_NONBLOCK would avoid that too, but it
    applies to every process that shares this stdout.
    `logging.handlers.QueueListener` writes each line by itself, and its end waits for its reader.
    """

    def __init__(self) -> None:
        self.dropped = 0
        """How many lines were lost since the process began; all lines of a failed write count.

        Two threads count.
        """
        self._count_lock = Lock()
        self._reported = 0
        self._lines: Queue[str] = Queue(LINES_MAX)
        self._thread = Thread(target=self._write_lines, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread, if it has not started; it ends with the process."""
        if not self._thread.is_alive():
            self._thread.start()

    def write(self, line: str) -> None:
        """Take a line, with its line end, to be written soon; never blocks and never fails."""
        try:
            self._lines.put_nowait(line)
        except Full:
            self._drop(1)

    def flush(self) -> None:
        """Wait until everything is written, for FLUSH_SECONDS at most."""
        end = time.monotonic() + FLUSH_SECONDS
        while not self.is_idle() and time.monotonic() < end:
            time.sleep(PAUSE / 10)

    def is_idle(self) -> bool:
        """Whether all lines are written, or dropped."""
        return self._lines.unfinished_tasks == 0

    def _write_lines(self) -> None:
        while True:
            lines = self._waiting_lines()
            dropped = self.dropped
            text = "".join(lines)
            if dropped > self._reported:
                text += _drop_report(dropped - self._reported)
            try:
                _write(text.encode())
                self._reported = dropped
            except (OSError, ValueError, AttributeError):
                # no reader or no space; stdout is closed; there is no stdout
                self._drop(len(lines))
            for _ in lines:
                self._lines.task_done()
            time.sleep(PAUSE)

    def _drop(self, count: int) -> None:
        with self._count_lock:
            self.dropped += count

    def _waiting_lines(self) -> list[str]:
        """Wait for a line; return it and those that wait behind it."""
        lines = [self._lines.get()]
        lines += [self._lines.get_nowait() for _ in range(self._lines.qsize())]
        return lines


def _drop_report(count: int) -> str:
    message = f"{count} lines of this log were dropped: stdout could not be written to."
    return _line(level="WARNING", logger=__name__, message=message)


def _write(data: bytes) -> None:
    """Write whole lines to stdout.

    Only PIPE_BUF bytes go into a pipe in one piece, which another process that shares it can't
    interrupt; so the lines are written in pieces of at most that size. A longer line is a piece by
    itself.
    """
    # Not the buffered stdout: a thread that is stuck in it holds its lock, and then the process
    # can't end.
    stdout = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    start = 0
    while start < len(data):
        written = stdout.write(data[start : _end_of_piece(data, start)])
        if written:
            start += written
        else:  # the pipe is full, and another process has set O_NONBLOCK
            time.sleep(PAUSE)


def _end_of_piece(data: bytes, start: int) -> int:
    """Where the last line ends that fits into PIPE_BUF bytes, or else the first one."""
    newline = data.rfind(b"\n", start, start + PIPE_BUF)
    if newline == -1:  # a line longer than PIPE_BUF
        newline = data.find(b"\n", start)
    return newline + 1


writer = Writer()
atexit.register(writer.flush)


def write_line(**fields: Any) -> None:
    """Write one line of JSON; what a caller sent can't end it, because JSON escapes line ends."""
    writer.write(_line(**fields))


def _line(**fields: Any) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, **fields}) + "\n"


def traceback_lines(exception: BaseException | None) -> list[str]:
    """Return the frames and types of an exception and its causes, the outermost first.

    Without messages, because they may hold user input. What `raise … from None` hides is there too.
    """
    lines: list[str] = []
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        frames = traceback.format_tb(exception.__traceback__)
        lines += [frame.rstrip() for frame in frames]
        lines.append(type(exception).__name__)
        sqlstate = getattr(exception, "pgcode", None)
        if sqlstate:
            lines.append(f"SQLSTATE {sqlstate}")
        exception = exception.__cause__ or exception.__context__
    return lines


class JsonLines(logging.Handler):
    """Writes what libraries log, such as uvicorn's errors, in the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; of its exception the frames and types, and not the message."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a library's arguments do not fit its format
            message = str(record.msg)
        fields: dict[str, Any] = {
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = traceback_lines(record.exc_info[1])
        write_line(**fields)


def log_as_json() -> None:
    """Start the log; warnings and errors of all loggers go there too."""
    writer.start()
    logging.basicConfig(handlers=[JsonLines()], level=logging.WARNING, force=True)
    # uvicorn gives its loggers handlers of their own
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"  # each request has its line already
