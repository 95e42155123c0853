"""Where this builds on the insides of a library: each was read, and a change of them is told here."""

import hashlib
import inspect
from typing import Any

import pytest
from fastapi.routing import APIRoute, get_request_handler
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

PROTOCOL = "app/core/server/protocol.py"
PROTOCOL_TESTS = "tests/test_raw_http.py, test_observability.py and check/test_starting_and_stopping.py"
REQUESTS = "app/core/http/requests.py"
REQUESTS_TESTS = "tests/test_http.py, and every scenario of a request that is refused"
DOORS: list[tuple[Any, str, str, str, str]] = [
    (HttpToolsProtocol, "18fdf324b11bf160", PROTOCOL, "the class that it derives from", PROTOCOL_TESTS),
    (RequestResponseCycle, "e67d470d435dcc1c", PROTOCOL, "when a request and its answer are complete", PROTOCOL_TESTS),
    (FlowControl, "126debcdaa894c83", PROTOCOL, "when reading and writing are paused", PROTOCOL_TESTS),
    (Server.shutdown, "9b33c50562992b1e", PROTOCOL, "in which order a stop closes, waits and cancels", PROTOCOL_TESTS),
    (APIRoute.get_route_handler, "b0412ff714c76e76", REQUESTS, "the hook for its own request class", REQUESTS_TESTS),
    (get_request_handler, "d959336b716257f3", REQUESTS, "it reads request.body() and .json()", REQUESTS_TESTS),
]
"""What it is, the beginning of its source's SHA-256, the module that needs it, for what, and what to run."""


@pytest.mark.parametrize(
    ("inner", "read", "module", "needed", "tests"), DOORS, ids=[door[0].__qualname__ for door in DOORS]
)
def test_what_a_door_builds_on_is_what_was_read(inner: Any, read: str, module: str, needed: str, tests: str) -> None:
    """Its library promises none of it, and the next version may have changed it without a word."""
    now = hashlib.sha256(inspect.getsource(inner).encode()).hexdigest()[:16]
    assert now == read, (
        f"{inner.__module__}.{inner.__qualname__} has changed. {module} needs it: {needed}. Read the library's "
        f"release notes and the new source beside {module}, whose docstring says what would let us delete it: is it "
        f"there now? Run {tests}. Where they are green and nothing else is to be done, write {now} here."
    )
