"""The log: one JSON object a line, on stdout."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any


def write_line(**fields: Any) -> None:
    """Write one line of JSON; what a caller sent can't end it, since JSON escapes line ends."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stdout.write(json.dumps({"time": now, **fields}) + "\n")
    sys.stdout.flush()


def trace(exception: BaseException | None) -> list[str]:
    """Where it happened and what led to it; no messages, since they may hold what a user wrote."""
    if exception is None:
        return []
    here = [*map(str.rstrip, traceback.format_tb(exception.__traceback__)), type(exception).__name__]
    if code := getattr(exception, "pgcode", None):
        here.append(f"SQLSTATE {code}")
    return here + trace(exception.__cause__ or exception.__context__)


class JsonLines(logging.Handler):
    """Whatever libraries log, uvicorn's errors among it, in the same form and stream."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, its exception without its message."""
        exception = record.exc_info[1] if record.exc_info else None
        traced = {"exception": trace(exception)} if exception else {}
        write_line(level=record.levelname, logger=record.name, message=record.getMessage(), **traced)


def log_as_json() -> None:
    """Send warnings and errors of all loggers to stdout as JSON; a request's own line replaces uvicorn's."""
    logging.basicConfig(handlers=[JsonLines()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
