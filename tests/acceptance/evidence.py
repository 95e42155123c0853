"""What a scenario did: its steps, and the requests and responses under each.

The records are plain dicts and lists, for they travel from xdist's workers inside pytest's reports.
"""

import json
import time
from contextlib import suppress
from typing import TypedDict

import httpx

from tests.acceptance.redaction import redact, redact_headers
from tests.acceptance.specification import Key

SHOWN_MAX = 2000  # characters of a body
SHOWN_EXCHANGES = 10  # of one step
CLIENT_HEADERS = {"host", "user-agent", "accept", "accept-encoding", "connection"}  # httpx sends them unasked


class Exchange(TypedDict):
    """A request and its response, as a reader is shown them; a title or text of None is not shown."""

    method: str
    path: str
    status: int
    title: str
    text: str


class StepRun(TypedDict):
    """A step that was begun; times in seconds since the epoch."""

    started: float
    ended: float
    status: str
    message: str
    definition: str
    """File and line of the function that ran, from the root."""
    pattern: str
    arguments: list[tuple[int, str]]
    """Where in the step's text each argument starts, and it."""
    exchanges: list[Exchange]


class ScenarioRun(TypedDict):
    """A scenario that was begun; its state is pytest's outcome, or what the gate makes of it."""

    key: tuple[str, int, int]
    """A Key, plain."""
    started: float
    ended: float
    state: str
    reason: str
    before_steps: bool
    """Whether it failed before or after its steps, in a fixture."""
    steps: list[StepRun]
    worker: str


class Recorder:
    """Follows one scenario at a time."""

    def __init__(self) -> None:
        self._run: ScenarioRun | None = None

    def begin(self, key: Key) -> None:
        """Start a scenario's record."""
        self._run = _blank(key)

    def begin_step(self, definition: str, pattern: str, arguments: list[tuple[int, str]]) -> None:
        """Start a step's record; until it is ended the step counts as skipped."""
        if self._run is not None:
            now = time.time()
            self._run["steps"].append(
                {
                    "started": now,
                    "ended": now,
                    "status": "SKIPPED",
                    "message": "",
                    "definition": definition,
                    "pattern": pattern,
                    "arguments": arguments,
                    "exchanges": [],
                }
            )

    def end_step(self, status: str, message: str = "") -> None:
        """Close the step's record with a status of the Messages."""
        if self._run is not None and self._run["steps"]:
            step = self._run["steps"][-1]
            step["ended"], step["status"], step["message"] = time.time(), status, redact(message)

    def add(self, exchange: Exchange) -> None:
        """Put an exchange under the step that is running, if any is."""
        if self._run is not None and self._run["steps"]:
            self._run["steps"][-1]["exchanges"].append(exchange)

    def finish(self, key: Key) -> ScenarioRun:
        """Hand over the record and follow nothing any more; a scenario that was never begun has a blank one."""
        run, self._run = self._run or _blank(key), None
        return run


def _blank(key: Key) -> ScenarioRun:
    return {
        "key": (key.uri, key.line, key.row),
        "started": time.time(),
        "ended": 0.0,
        "state": "",
        "reason": "",
        "before_steps": False,
        "steps": [],
        "worker": "",
    }


_recorders: list[Recorder] = []


def follow(recorder: Recorder) -> None:
    """Let `attach` report to this one, until it is dropped; a run inside a run has one of its own."""
    _recorders.append(recorder)


def drop(recorder: Recorder) -> None:
    """Let `attach` report to the one before again."""
    _recorders.remove(recorder)


def attach(response: httpx.Response) -> httpx.Response:
    """Put a response and its request, without their tokens, under the running step; returns the response."""
    if _recorders:
        _recorders[-1].add(_exchange(response))
    return response


def _exchange(response: httpx.Response) -> Exchange:
    request = response.request
    target = redact(request.url.raw_path.decode("ascii"))
    said = [f"{request.method} {target}", *_headers(request), "", *_body(_sent(request))]
    told = [f"{response.status_code} {response.reason_phrase}", *_headers(response), "", *_body(response.content)]
    return {
        "method": request.method,
        "path": request.url.path,
        "status": response.status_code,
        "title": f"{request.method} {target[:100]} → {response.status_code}",
        "text": "\n".join([*said, "", *told]).rstrip() + "\n",
    }


def _headers(message: httpx.Request | httpx.Response) -> list[str]:
    shown = [(name, value) for name, value in message.headers.multi_items() if name not in CLIENT_HEADERS]
    return [f"{name}: {value}" for name, value in redact_headers(shown)]


def _sent(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return b"(sent piece by piece)"


def _body(content: bytes) -> list[str]:
    """Give a body as text, JSON indented, a long one shortened."""
    if not content:
        return []
    text = content.decode("utf-8", "backslashreplace")
    with suppress(ValueError, RecursionError):  # where it is no JSON
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) if len(text) < SHOWN_MAX else text
    shown = redact(text[: SHOWN_MAX * 2])[:SHOWN_MAX]
    # a lone surrogate can't be written to a file
    shown = shown.encode("utf-8", "backslashreplace").decode()
    return [shown] if len(text) <= SHOWN_MAX else [shown, f"(shortened: {len(content):,} bytes in all)"]


def shown_exchanges(step: StepRun) -> list[tuple[str, str]]:
    """Give the titles and texts that a reader is shown of a step."""
    exchanges = step["exchanges"]
    shown = [(one["title"], one["text"]) for one in exchanges[:SHOWN_EXCHANGES]]
    if more := len(exchanges) - len(shown):
        shown.append((f"and {more} more", f"{more} more requests were made, and recorded in the same way.\n"))
    return shown
