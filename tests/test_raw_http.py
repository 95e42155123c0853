"""What no HTTP client sends: the service as production runs it refuses it, forgets it, and goes on serving others."""

import asyncio
import json
import re
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from sqlalchemy import Engine, text
from starlette.types import Receive, Scope, Send

from app.core.server.protocol import DRAIN_SECONDS, HEAD_MAX, NOT_HTTP, PIPELINE_MAX, Protocol
from tests.support import contract
from tests.support.clock import PATIENCE, allowed, pause, wait_until
from tests.support.cluster import Cluster
from tests.support.factories import rows
from tests.support.processes import Process, serving
from tests.support.service import NO_TLS
from tests.support.tokens import token

DESCRIPTORS, POOL = 256, 5
"""What the process may have open, and how much of that may be connections to the database."""
MEBIBYTE = 2**20
PROMPTLY = 1.0
"""Seconds, while somebody misbehaves."""
BEARER = f"Bearer {token('alice')}"
TRUSTED = {"authorization": BEARER, "x-forwarded-proto": "https"}
HOST = b"Host: todo\r\n"
ALICE = HOST + f"X-Forwarded-Proto: https\r\nAuthorization: {BEARER}\r\nContent-Type: application/json\r\n".encode()
LIST, CREATE = b"GET /api/alice/tasks HTTP/1.1\r\n" + ALICE, b"POST /api/alice/tasks HTTP/1.1\r\n" + ALICE
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST
BODY = b'{"title": "x"}'
LENGTH, CHUNKED = b"Content-Length: 14\r\n", b"Transfer-Encoding: chunked\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
CHUNKS = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`todo-api serve` in production, with few descriptors."""
    folder: Path = tmp_path_factory.mktemp("raw")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        # the service inherits the limit: only Linux can set that of a running process
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
        try:
            process = stack.enter_context(
                serving(folder, cluster.url, ENVIRONMENT="production", DATABASE_POOL_SIZE=str(POOL))
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        yield process


@pytest.fixture(autouse=True)
def _unharmed(service: Process, database: Engine) -> Iterator[None]:  # noqa: ARG001 - each starts without tasks
    """After whatever a test does others are served, memory is as it was, and all connections are gone."""
    others_are_served(service)
    descriptors, memory = service.running.num_fds(), service.running.memory_info().rss
    most = descriptors + 2 * POOL  # each connection to the database has two
    yield
    others_are_served(service)
    wait_until(lambda: service.running.num_fds() <= most)
    assert service.running.memory_info().rss - memory < 24 * MEBIBYTE


def others_are_served(service: Process) -> None:
    """Fail unless Alice is given her list, and in time.

    Waits for its line in the log, so that no test takes that for one of its own.
    """
    answer = httpx.get(service.url + "/api/alice/tasks", headers=TRUSTED, timeout=PATIENCE, verify=NO_TLS)
    contract.hold(answer)
    assert answer.status_code == 200
    seconds = answer.elapsed.total_seconds()
    assert seconds < PROMPTLY or seconds < allowed(PROMPTLY)
    wait_until(lambda: answer.headers["x-request-id"] in service.log.read_text())


def open_connection(url: str) -> socket.socket:
    """Open a connection to whoever listens at this URL."""
    place = httpx.URL(url)
    return socket.create_connection((place.host, place.port or 0), timeout=PATIENCE)


def connect(service: Process) -> socket.socket:
    """Open a connection."""
    return open_connection(service.url)


def read(raw: socket.socket, until: bytes | None = None) -> bytes:
    """Read until the service hangs up; or until it has said this and then nothing for a fifth of a second."""
    said = b""
    raw.settimeout(PATIENCE)
    with suppress(TimeoutError, ConnectionError):
        while piece := raw.recv(MEBIBYTE):
            said += piece
            if until is not None and until in said:
                raw.settimeout(0.2)
    raw.settimeout(PATIENCE)
    return said


def read_answers(raw: socket.socket, count: int = 1) -> bytes:
    """Read so many answers, and what else comes within a fifth of a second."""
    said = b""
    raw.settimeout(PATIENCE)
    with suppress(TimeoutError, ConnectionError):
        while piece := raw.recv(MEBIBYTE):
            said += piece
            if len(statuses(said)) >= count:
                raw.settimeout(0.2)
    raw.settimeout(PATIENCE)
    return said


def statuses(said: bytes) -> list[int]:
    """The final statuses of all answers."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", said)]


def hung_up(raw: socket.socket) -> bool:
    """Whether the service has ended the connection."""
    raw.settimeout(PATIENCE)
    try:
        while raw.recv(MEBIBYTE):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


# What is no request, or two


REFUSED = {
    "a length and chunks": CREATE + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "chunks and a length": CREATE + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "two lengths": CREATE + LENGTH + b"Content-Length: 13\r\n\r\n" + BODY,
    "one length twice": CREATE + LENGTH * 2 + b"\r\n" + BODY,
    "a list of lengths": CREATE + b"Content-Length: 14, 14\r\n\r\n" + BODY,
    "a signed length": CREATE + b"Content-Length: +14\r\n\r\n" + BODY,
    "a negative length": CREATE + b"Content-Length: -14\r\n\r\n" + BODY,
    "a hexadecimal length": CREATE + b"Content-Length: 0xe\r\n\r\n" + BODY,
    "a length beyond 64 bits": CREATE + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + BODY,
    "an unknown coding": CREATE + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "no coding": CREATE + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
    "chunked, but not last": CREATE + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "two codings": CREATE + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "chunks in chunks": CREATE + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "chunks in HTTP/1.0": (CREATE + CHUNKED + b"\r\n").replace(b"1.1", b"1.0", 1) + CHUNKS,
    "a coding behind chunks": CREATE + CHUNKED + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNKS,
    "a space before a colon": CREATE + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "a vertical tab": CREATE + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "HTTP/2.0": CREATE.replace(b"1.1", b"2.0") + LENGTH + b"\r\n" + BODY,
    "HTTP/0.9": CREATE.replace(b"1.1", b"0.9") + LENGTH + b"\r\n" + BODY,
    "a folded header": CREATE + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "a folded harmless header": CREATE + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\n" + BODY,
    "bare line feeds": (CREATE + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "one bare line feed": CREATE + b"X-A: b\n" + LENGTH + b"\r\n" + BODY,
    "a bare carriage return": CREATE + b"X-A: b\r" + LENGTH + b"\r\n" + BODY,
    "a line feed in a chunk's extension": CREATE + CHUNKED + b"\r\ne;a\nb" + CHUNKS[1:],
    "a chunk's size that is none": CREATE + CHUNKED + b"\r\nxyz" + CHUNKS[1:],
    "a chunk's size with 0x": CREATE + CHUNKED + b"\r\n0xe" + CHUNKS[1:],
    "a negative chunk": CREATE + CHUNKED + b"\r\n-e" + CHUNKS[1:],
    "a chunk beyond 64 bits": CREATE + CHUNKED + b"\r\n" + b"f" * 20 + CHUNKS[1:],
    "a space behind a chunk's size": CREATE + CHUNKED + b"\r\ne " + CHUNKS[1:],
    "a chunk that is longer than it says": CREATE + CHUNKED + b"\r\n5" + CHUNKS[1:],
    "chunks with bare line feeds": CREATE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n", b"\n"),
    "NUL in a header": HEALTH + b"X-A: a\0b\r\n\r\n",
    "NUL in a header's name": HEALTH + b"X\0: a\r\n\r\n",
    "NUL in the path": b"GET /hea\0lth HTTP/1.1\r\n" + HOST + b"\r\n",
    "high bytes in a header's name": HEALTH + b"X\xff: a\r\n\r\n",
    "high bytes in the path": b"GET /hea\xfflth HTTP/1.1\r\n" + HOST + b"\r\n",
    "a header without a name": HEALTH + b": a\r\n\r\n",
    "a header without a colon": HEALTH + b"abc\r\n\r\n",
    "a header that begins with a space": b"GET /health HTTP/1.1\r\n " + HOST + b"\r\n",
    "a port that is no number": b"GET http://todo:b/health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a port beyond 16 bits": b"GET http://todo:99999/health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a whole URL without a host": b"GET http:///health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a proxy's CONNECT": b"CONNECT elsewhere:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"BREW /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 64,
    "no host": (CREATE + LENGTH + b"\r\n" + BODY).replace(HOST, b""),
    "two hosts": CREATE + HOST + LENGTH + b"\r\n" + BODY,
    "two hosts in HTTP/1.0": (CREATE + HOST + LENGTH + b"\r\n" + BODY).replace(b"1.1", b"1.0", 1),
    "no host, and an offer of HTTP/2": b"GET /health HTTP/1.1\r\n" + OFFER + b"\r\n",
    "300 short headers": HEALTH + b"a:\r\n" * 300 + b"\r\n",
    "60,000 short headers": HEALTH + b"a:\r\n" * 60_000 + b"\r\n",
    "a header of 100 kB": HEALTH + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "20,000 headers": HEALTH + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
    "a path of 100 kB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}
TOO_MANY_HEADERS = "The request has more than 100 headers or trailers."
TOO_LARGE = "The request's head is too large."
WITHOUT_ONE_HOST = "The request must have one Host header."
SENTENCES = {
    "chunks in HTTP/1.0": "HTTP/1.0 has no transfer codings.",
    "a proxy's CONNECT": "This service is not a proxy: it opens no tunnels.",
    "no host": WITHOUT_ONE_HOST,
    "two hosts": WITHOUT_ONE_HOST,
    "two hosts in HTTP/1.0": WITHOUT_ONE_HOST,
    "no host, and an offer of HTTP/2": WITHOUT_ONE_HOST,
    "300 short headers": TOO_MANY_HEADERS,
    "60,000 short headers": TOO_MANY_HEADERS,
    "20,000 headers": TOO_MANY_HEADERS,
    "a header of 100 kB": TOO_LARGE,
    "a path of 100 kB": TOO_LARGE,
}
"""What a client is told where the request is valid HTTP; all else is told that it is not."""


@pytest.mark.parametrize("what", REFUSED)
def test_who_asked_before_a_refusal_has_its_own_answer(service: Process, what: str) -> None:
    """The refusal is for the request that can't be read, and comes behind the answer to the one before it."""
    with connect(service) as raw:
        with suppress(ConnectionError):
            raw.sendall(LIST + b"\r\n" + REFUSED[what])
        assert statuses(read(raw)) == [200, 400]


@pytest.mark.parametrize("what", REFUSED)
def test_what_could_be_read_in_two_ways_is_read_in_none(service: Process, database: Engine, what: str) -> None:
    """One 400 in the envelope, then it hangs up; nothing is created, and what follows is not taken for a request."""
    start = len(service.log.read_text())
    with connect(service) as raw:
        with suppress(ConnectionError):
            raw.sendall(REFUSED[what] + SMUGGLED)
        said = read(raw)
        assert hung_up(raw)
    assert statuses(said) == [400]
    head, _, body = said.partition(b"\r\n\r\n")
    lines = [line.partition(b": ")[::2] for line in head.split(b"\r\n")[1:]]
    refusal = httpx.Response(400, headers=lines, content=body, request=httpx.Request("GET", service.url))
    contract.hold(refusal)
    assert refusal.headers["strict-transport-security"].startswith("max-age=")
    assert refusal.json()["error_code"] == "VALIDATION_ERROR"
    assert refusal.json()["detail"] == SENTENCES.get(what, NOT_HTTP)
    assert rows(database, "alice") == []
    logged = (400, refusal.headers["x-request-id"])
    wait_until(lambda: logged in [(line["status"], line["request_id"]) for line in logged_since(service, start)])


TAKEN = {
    "chunks": (CREATE + CHUNKED + b"\r\n" + CHUNKS, [201]),
    "a chunk's extension": (CREATE + CHUNKED + b'\r\ne;a=b;c="d"' + CHUNKS[1:], [201]),
    "HTTP/1.0": (CREATE.replace(b"1.1", b"1.0") + LENGTH + b"\r\n" + BODY, [201]),
    "HTTP/1.0 without a host": (b"GET /health HTTP/1.0\r\n\r\n", [200]),
    "high bytes in a header": (HEALTH + b"X-A: \xff\xfe\r\nX-Request-ID: \xff\r\n\r\n", [200]),
    "a token of high bytes": (LIST.replace(BEARER[7:].encode(), b"\xff\xfe") + b"\r\n", [401]),
    "90 headers": (HEALTH + b"".join(b"X-%d: y\r\n" % number for number in range(90)) + b"\r\n", [200]),
    "a whole URL": (b"GET http://elsewhere/health HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "a URL without a path": (b"GET http://todo HTTP/1.1\r\n" + HOST + b"\r\n" + HEALTH + b"\r\n", [404, 200]),
    "a URL of a query alone": (b"GET http://todo?health HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "a URL without a path, to all": (b"OPTIONS http://todo:80 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an empty line first": (b"\r\n\r\n" + HEALTH + b"\r\n", [200]),
    "a client that asks first": (CREATE + LENGTH + b"Expect: 100-continue\r\n\r\n" + BODY, [201]),
    "a body that nobody reads": (HEALTH + b"Content-Length: 5\r\n\r\nhello" + HEALTH + b"\r\n", [200, 200]),
    "a large body in small chunks that nobody reads": (
        HEALTH + CHUNKED + b"\r\n" + (b"3e8\r\n" + b"a" * 1000 + b"\r\n") * 1000 + b"0\r\n\r\n" + HEALTH + b"\r\n",
        [200, 200],
    ),
    "some requests at once": ((HEALTH + b"\r\n") * PIPELINE_MAX, [200] * PIPELINE_MAX),
    "something behind the last request": (HEALTH + b"Connection: close\r\n\r\n" + SMUGGLED, [200]),
    "a protocol that is not spoken": (
        LIST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + HEALTH + b"\r\n",
        [200, 200],
    ),
    "an offer of HTTP/2, with a body": (CREATE + OFFER + LENGTH + b"\r\n" + BODY + HEALTH + b"\r\n", [201, 200]),
    "an offer of HTTP/2, with chunks": (CREATE + OFFER + CHUNKED + b"\r\n" + CHUNKS + HEALTH + b"\r\n", [201, 200]),
    "some offers of HTTP/2 at once": ((HEALTH + OFFER + b"\r\n") * PIPELINE_MAX, [200] * PIPELINE_MAX),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_odd_but_clear_is_served(service: Process, what: str) -> None:
    """As the standard has it."""
    sent, expected = TAKEN[what]
    with connect(service) as raw:
        raw.sendall(sent)
        assert statuses(read_answers(raw, len(expected))) == expected


CODINGS = [
    b"gzip, chunked",
    b"GZIP , Chunked",
    b"br\r\nTransfer-Encoding: chunked",
    b"deflate, gzip, chunked",
    b"x, chunked",
]


@pytest.mark.parametrize("codings", CODINGS)
def test_a_coding_that_is_not_known_is_not_taken_for_chunks_alone(
    service: Process, database: Engine, codings: bytes
) -> None:
    """RFC 9112, 6.1: 501, and the connection is closed, since where the body ends is not known either."""
    with connect(service) as raw:
        raw.sendall(CREATE + b"Transfer-Encoding: " + codings + b"\r\n\r\n" + CHUNKS + SMUGGLED)
        said = read(raw)
        assert hung_up(raw)
    assert statuses(said) == [501]
    assert json.loads(said.partition(b"\r\n\r\n")[2])["detail"] == "The transfer coding is not supported."
    assert rows(database, "alice") == []


def test_the_body_of_a_request_to_upgrade_is_its_body(service: Process) -> None:
    """Taken for a request, it would be one of somebody else who shares a proxy's connection."""
    with connect(service) as raw:
        raw.sendall(CREATE + OFFER + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED))
        time.sleep(0.2)
        raw.sendall(SMUGGLED)
        assert statuses(read_answers(raw)) == [400]
        raw.sendall(HEALTH + b"\r\n")
        assert statuses(read_answers(raw)) == [200]


def test_only_a_body_that_will_be_read_is_asked_for(service: Process) -> None:
    """A client that asks first (RFC 9110, 10.1.1) is refused at once without a token, and told to go on with one."""
    head = CREATE + LENGTH + b"Expect: 100-continue\r\n\r\n"
    with connect(service) as raw:
        raw.sendall(head.replace(BEARER.encode(), b"Bearer nonsense"))
        assert read_answers(raw).startswith(b"HTTP/1.1 401 ")
    with connect(service) as raw:
        raw.sendall(head)
        assert read(raw, until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(BODY)
        assert statuses(read_answers(raw)) == [201]


def test_trailers_are_no_headers(service: Process) -> None:
    """A proxy checks and sets headers; what comes behind the body it may pass on unseen."""
    trailers = b"0\r\nX-Forwarded-Proto: https\r\nX-Request-ID: from-a-trailer\r\n\r\n"
    plain = CREATE.replace(b"X-Forwarded-Proto: https\r\n", b"")
    with connect(service) as raw:
        raw.sendall(plain + CHUNKED + b"\r\n" + CHUNKS.removesuffix(b"0\r\n\r\n") + trailers)
        said = read_answers(raw)
    assert statuses(said) == [403]
    assert b"from-a-trailer" not in said


def test_an_answer_that_is_due_is_never_overtaken_by_a_refusal(service: Process, database: Engine) -> None:
    """The client would take it for the answer to what it asked first, and that a task was not made that was."""
    with connect(service) as raw:
        raw.sendall(CREATE + LENGTH + b"\r\n" + BODY + b"garbage\r\n\r\n")
        assert statuses(read(raw)) == [201, 400]
    assert len(rows(database, "alice")) == 1


def test_the_refusal_of_a_request_does_not_overtake_the_answer_before_it(service: Process) -> None:
    """Its body is broken while the request before it is still being answered."""
    with connect(service) as raw:
        raw.sendall(LIST + b"\r\n" + CREATE + CHUNKED + b"\r\nxyz\r\n")
        assert statuses(read(raw)) == [200, 400]


@pytest.mark.parametrize("count", [PIPELINE_MAX + 1, PIPELINE_MAX + 2, PIPELINE_MAX * 4])
def test_requests_before_one_too_many_are_answered(service: Process, count: int) -> None:
    """One is answered at a time and PIPELINE_MAX may wait; the refusal of what is more comes behind their answers."""
    answered = min(count, PIPELINE_MAX + 1)
    is_refused = count > answered
    with connect(service) as raw:
        raw.sendall((HEALTH + b"\r\n") * count)
        expected = [200] * answered + [400] * is_refused
        said = read_answers(raw, len(expected))
    assert statuses(said) == expected
    assert (b"More than 16 requests wait for their answers on this connection." in said) == is_refused


def test_nothing_is_read_behind_what_is_refused(service: Process, database: Engine) -> None:
    """It may be the rest of what could not be read, in a piece of its own, while an answer is still due."""
    with connect(service) as raw:
        raw.sendall(LIST + b"\r\n" + CREATE + CHUNKED + b"\r\nxyz\r\n")
        with suppress(ConnectionError):  # it may have closed already, and then what it said may be lost
            for _ in range(3):
                raw.sendall(CREATE + LENGTH + b"\r\n" + BODY)
        assert statuses(read(raw)) in ([], [200], [200, 400])
    assert rows(database, "alice") == []


def test_what_is_no_request_is_refused_behind_an_answer_too(service: Process) -> None:
    """No other answer is due then."""
    with connect(service) as raw:
        raw.sendall(HEALTH + b"\r\n")
        assert statuses(read_answers(raw)) == [200]
        raw.sendall(b"garbage\r\n\r\n")
        assert statuses(read(raw)) == [400]


# What is answered before it has been read


ANSWERED_EARLY = {
    "a method that is not known": (b"FOO / HTTP/1.1\r\n" + HOST, 400),
    "no token, by HTTP/1.0 as nginx speaks it by default": (b"POST /api/alice/tasks HTTP/1.0\r\n", 403),
    "the last request": (b"POST /health HTTP/1.1\r\nConnection: close\r\n" + HOST, 405),
}


@pytest.mark.parametrize("what", ANSWERED_EARLY)
def test_who_is_answered_while_still_sending_reads_the_answer(service: Process, what: str) -> None:
    """A reset in its place may cost the answer, and nginx takes a service that resets for dead."""
    head, status = ANSWERED_EARLY[what]
    with connect(service) as raw:
        raw.sendall(head + b"Content-Length: 1000000\r\n\r\n")
        for _ in range(100):
            raw.sendall(b"x" * 10_000)
            time.sleep(0.001)
        said = b""
        while piece := raw.recv(MEBIBYTE):  # until the service ends it in order
            said += piece
        assert statuses(said) == [status]


UNREADABLE = {
    "a chunk without a length": b"zz\r\n",
    "too many trailers": b"0\r\n" + b"X-Trailer: x\r\n" * 200 + b"\r\n",
    "a trailer that is too large": b"0\r\nX-Trailer: " + b"x" * 2 * HEAD_MAX,
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_who_was_answered_is_not_refused_as_well(service: Process, what: str) -> None:
    """The rest of a body that can't be read is no other request: a second answer would be taken for the next one's."""
    with connect(service) as raw:
        raw.sendall(b"POST /api/alice/tasks HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n5\r\nhello\r\n")
        assert statuses(read_answers(raw)) == [403]
        raw.sendall(UNREADABLE[what])
        assert statuses(read(raw)) == []


UNFINISHED = b"POST / HTTP/1.0\r\nContent-Length: 1000000000\r\n\r\n"


@pytest.mark.parametrize(("seconds", "most"), [(0.2, 2**40), (10 * PATIENCE, 0)], ids=["seconds", "bytes"])
def test_who_goes_on_sending_behind_the_last_answer_is_disconnected(
    service: Process,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    most: int,
) -> None:
    """After some seconds, or some megabytes."""
    monkeypatch.setattr("app.core.server.protocol.LINGER_SECONDS", seconds)
    monkeypatch.setattr("app.core.server.protocol.LINGER_MAX", most)
    answers = Stream()
    try:
        with answers.connect() as raw:
            raw.sendall(UNFINISHED)
            with pytest.raises(ConnectionError):
                wait_until(lambda: raw.sendall(b"x"))
            wait_until(lambda: not answers.server.server_state.connections)
    finally:
        answers.end()


def test_a_stop_does_not_wait_for_who_goes_on_sending(
    service: Process,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has had its last answer."""
    monkeypatch.setattr("app.core.server.protocol.LINGER_SECONDS", 10 * PATIENCE)
    answers = Stream()
    with answers.connect() as raw:
        raw.sendall(UNFINISHED)
        assert statuses(read(raw)) == [200]
        assert answers.server.server_state.connections
        answers.end()
        assert not answers.thread.is_alive()


# What never ends


def endless(first: bytes, piece: bytes, total: int = 24 * MEBIBYTE) -> Callable[[socket.socket], int]:
    """Send a beginning and then pieces without an end; gives how many bytes got through."""

    def send(raw: socket.socket) -> int:
        sent = 0
        raw.sendall(first)
        with suppress(ConnectionError):
            while sent < total:
                raw.sendall(piece)
                sent += len(piece)
        return sent

    return send


ENDLESS = {
    "a path": endless(b"GET /", b"a" * 10_000),
    "a header": endless(HEALTH + b"X-A: ", b"a" * 10_000),
    "headers": endless(HEALTH, b"X-A: b\r\n" * 1000),
    "a header's name": endless(HEALTH, b"a" * 10_000),
    "a chunk's extension": endless(CREATE + CHUNKED + b"\r\n1;", b"a" * 10_000),
    "trailers": endless(CREATE + CHUNKED + b"\r\n" + CHUNKS.removesuffix(b"\r\n"), b"X-A: b\r\n" * 1000),
    "requests": endless(b"", (HEALTH + b"\r\n") * 200),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_ended(service: Process, what: str) -> None:
    """Before it costs memory or others' time; what the sockets' own buffers hold is not the service's."""
    with connect(service) as raw:
        sent = ENDLESS[what](raw)
        others_are_served(service)
        assert sent < 16 * MEBIBYTE
        assert hung_up(raw)


def test_a_head_may_come_in_pieces(service: Process) -> None:
    """As large as it may be, slowly; the limit is of one request, and not of a connection."""
    room = HEAD_MAX - 2000
    with connect(service) as raw:
        for _ in range(3):
            raw.sendall(HEALTH + b"X-A: ")
            for _ in range(4):
                raw.sendall(b"a" * (room // 4))
                time.sleep(0.02)
            raw.sendall(b"\r\n\r\n")
            assert statuses(read_answers(raw)) == [200]


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_head_that_is_too_large_is_told_as_that_in_one_piece_and_in_several(service: Process, pieces: int) -> None:
    """How a network cuts it up is not the client's doing."""
    head = HEALTH + b"X-A: " + b"a" * (HEAD_MAX + 2000) + b"\r\n\r\n"
    size = len(head) // pieces + 1
    with connect(service) as raw:
        with suppress(ConnectionError):
            for start in range(0, len(head), size):
                raw.sendall(head[start : start + size])
                time.sleep(0.02)
        said = read(raw)
    assert statuses(said) == [400]
    assert json.loads(said.partition(b"\r\n\r\n")[2])["detail"] == TOO_LARGE


# Whoever takes their time


def linger(service: Process, stack: ExitStack, count: int, sent: bytes, **options: int) -> list[socket.socket]:
    """Open so many connections, send something on each, and leave them."""
    opened = [stack.enter_context(connect(service)) for _ in range(count)]
    for raw in opened:
        for name, value in options.items():
            raw.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        raw.sendall(sent)
    return opened


LINGERING = {
    "say nothing": b"",
    "send half a head": HEALTH,
    "send half a body": CREATE + b"Content-Length: 60000\r\n\r\n" + b" " * 40_000,
    "send half a chunk": CREATE + CHUNKED + b"\r\nffff\r\n" + b" " * 40_000,
}


@pytest.mark.parametrize("what", LINGERING)
def test_connections_that_are_left_open_keep_nobody_out(service: Process, what: str) -> None:
    """Up to four fifths of the descriptors; as they were come back in the end."""
    with ExitStack() as stack:
        linger(service, stack, DESCRIPTORS * 4 // 5 - service.running.num_fds(), LINGERING[what])
        wait_until(lambda: service.running.num_fds() > DESCRIPTORS * 3 // 4)
        for _ in range(10):
            others_are_served(service)
            time.sleep(0.05)


def test_an_idle_connection_is_closed_whatever_came_after_the_answer(service: Process) -> None:
    """An empty line, or the body of a request that was refused before it: neither begins a new request."""
    refused = CREATE.replace(BEARER.encode(), b"Bearer none") + LENGTH + b"\r\n"
    with connect(service) as first, connect(service) as second:
        for raw, asked, after in ((first, HEALTH + b"\r\n", b"\r\n"), (second, refused, BODY)):
            raw.sendall(asked)
            assert statuses(read_answers(raw)) != []
            raw.sendall(after)
        assert hung_up(first)
        assert hung_up(second)


def test_a_body_that_nobody_reads_takes_no_memory(service: Process) -> None:
    """Strangers' bodies arrive with what is refused, and are gone with the answer, not with the next collection."""
    refused = CREATE.replace(BEARER.encode(), b"Bearer none") + b"Content-Length: 60000\r\n\r\n" + b" " * 60_000
    with connect(service) as raw:
        for _ in range(1000):
            raw.sendall(refused)
            said = b""
            while not said.endswith(b"}"):
                said += raw.recv(MEBIBYTE)
            assert statuses(said) == [401]


def test_slow_readers_keep_nobody_waiting(service: Process, database: Engine) -> None:
    """Forty who ask for half a megabyte each and do not read it, each twice."""
    many = "SELECT 'alice', 'x', repeat('x', 1000) FROM generate_series(1, 400)"
    with database.begin() as connection:
        connection.execute(text("INSERT INTO task (user_id, title, description) " + many))
    with ExitStack() as stack:
        ask = LIST.replace(b"tasks", b"tasks?limit=400") + b"\r\n"
        linger(service, stack, 40, ask * 2, SO_RCVBUF=4096)
        wait_until(lambda: httpx.get(service.url + "/api/alice/tasks?limit=1", headers=TRUSTED).status_code == 200)
        for _ in range(10):
            answer = httpx.get(service.url + "/api/alice/tasks?limit=1", headers=TRUSTED, timeout=PATIENCE)
            assert answer.status_code == 200
            assert answer.elapsed.total_seconds() < allowed(PROMPTLY * 2)


class Answers:
    """An application of many large answers on uvicorn, in this process."""

    def __init__(self, **options: float) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}".format(*listener.getsockname())
        config = uvicorn.Config(self, http=Protocol, lifespan="off", log_level="error", **options)  # type: ignore[arg-type]
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listener],))
        self.thread.start()

    def connect(self) -> socket.socket:
        """Open a connection."""
        return open_connection(self.url)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with 16 MiB."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 16 * MEBIBYTE})

    def end(self) -> None:
        """Stop it."""
        self.server.should_exit = True
        self.thread.join(PATIENCE)


def test_who_does_not_read_an_answer_is_disconnected(service: Process, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """After some seconds: a large answer fills memory until it is read."""
    monkeypatch.setattr("app.core.server.protocol.DRAIN_SECONDS", 0.5)
    answers = Answers()
    try:
        with answers.connect() as raw:
            raw.sendall(HEALTH + b"\r\n")
            raw.recv(1, socket.MSG_PEEK)  # the answer has begun
            wait_until(lambda: not answers.server.server_state.connections)
            assert len(read(raw)) < 16 * MEBIBYTE
    finally:
        answers.end()


def test_who_reads_an_answer_in_time_is_not(service: Process, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """In one of three trials: on a busy machine it takes a while to read that much."""
    answers = Answers()

    def is_read(raw: socket.socket) -> bool:
        left = 16 * MEBIBYTE
        with suppress(ConnectionError):
            while left > 0 and (piece := raw.recv(MEBIBYTE)):
                left -= len(piece)
        return left <= 0

    def is_served_twice(drain: float) -> bool:
        monkeypatch.setattr("app.core.server.protocol.DRAIN_SECONDS", drain)
        with answers.connect() as raw:
            for _ in range(2):
                raw.sendall(HEALTH + b"\r\n")
                if not is_read(raw):
                    return False
                time.sleep(0.8 * drain)
            return len(answers.server.server_state.connections) == 1

    try:
        assert any(is_served_twice(drain) for drain in (1, 4, 16))
    finally:
        answers.end()


UNREAD = {"one answer": 1, "pipelined answers": 8}


@pytest.mark.parametrize("what", UNREAD)
def test_a_stop_does_not_wait_for_who_does_not_read(
    cluster: Cluster, database: Engine, tmp_path: Path, what: str
) -> None:
    """It ends within REQUEST_TIMEOUT and a second (on a busy machine, some), and not in DRAIN_SECONDS."""
    many = "SELECT 'alice', 'x', repeat('😀', 1000) FROM generate_series(1, 500)"
    with database.begin() as connection:
        connection.execute(text("INSERT INTO task (user_id, title, description) " + many))
    with serving(tmp_path, cluster.url, REQUEST_TIMEOUT="2") as process, ExitStack() as stack:
        linger(process, stack, 3, (LIST + b"\r\n") * UNREAD[what], SO_RCVBUF=4096)
        time.sleep(1)  # until the answers fill all buffers
        began = time.monotonic()
        process.terminate()
        assert process.wait() == 0
        assert time.monotonic() - began < DRAIN_SECONDS * 0.7


def test_a_stop_does_not_wait_for_who_stops_to_read(service: Process) -> None:  # noqa: ARG001
    """Neither where the answer that nobody reads began after the signal."""
    answers = Late(timeout_graceful_shutdown=1)
    with answers.connect() as raw:
        raw.sendall(HEALTH + b"\r\n")
        time.sleep(0.2)
        began = time.monotonic()
        answers.end()
        assert not answers.thread.is_alive()
        assert time.monotonic() - began < DRAIN_SECONDS * 0.7
        assert len(read(raw)) < 16 * MEBIBYTE


def accepts(url: str) -> bool:
    """Whether a new connection is accepted."""
    try:
        open_connection(url).close()
    except ConnectionError:  # refused, or reset by a listener that is just being closed
        return False
    return True


@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n"], ids=["plain", "upgrade"])
@pytest.mark.parametrize("is_first", [False, True], ids=["a later one", "the first one"])
def test_a_stop_answers_what_was_sent_on_an_idle_connection(
    service: Process,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    is_first: bool,
    upgrade: bytes,
) -> None:
    """A proxy that had sent it already would get no answer, and must not send a POST again."""
    monkeypatch.setattr("app.core.server.protocol.IDLE_SECONDS", PATIENCE)
    answers = Stream()
    with answers.connect() as raw:
        try:
            wait_until(lambda: answers.server.server_state.connections)
            if not is_first:
                raw.sendall(HEALTH + b"\r\n")
                assert statuses(read(raw, until=b"0\r\n\r\n")) == [200]
            answers.server.should_exit = True
            wait_until(lambda: not accepts(answers.url))
            raw.sendall(HEALTH + upgrade + b"\r\n")
            said = read(raw)
            assert statuses(said) == [200]
            assert b"\r\nconnection: close\r\n" in said.lower()
            assert hung_up(raw)
        finally:
            answers.end()
    assert not answers.thread.is_alive()


def test_a_stop_does_not_wait_for_an_idle_connection(service: Process) -> None:  # noqa: ARG001
    """Nobody has sent anything for a while."""
    answers = Stream()
    with answers.connect() as raw:
        raw.sendall(HEALTH + b"\r\n")
        assert statuses(read(raw, until=b"0\r\n\r\n")) == [200]
        began = time.monotonic()
        answers.end()
        assert time.monotonic() - began < allowed(2)
        assert hung_up(raw)


class Late(Answers):
    """The same, of an answer that begins late."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 16 MiB after a while."""
        await asyncio.sleep(0.5)
        await super().__call__(scope, receive, send)


class Stream(Answers):
    """The same, of an answer that takes its time."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer in two pieces."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(allowed(0.4))
        await send({"type": "http.response.body", "body": b"y"})


@pytest.mark.usefixtures("service")
def test_a_refusal_is_not_sent_in_the_middle_of_an_answer() -> None:
    """The client would take it for a part of what it asked for."""
    answers = Stream()
    try:
        with answers.connect() as raw:
            raw.sendall(HEALTH + CHUNKED + b"\r\n")
            said = raw.recv(1000)
            raw.sendall(b"xyz\r\n")
            assert statuses(said + read(raw)) == [200]
    finally:
        answers.end()


PIECES = {
    "half a head": (HEALTH, b"\r\n"),
    "a method": (b"PAT", b"CH /api HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a head but for its end": (CREATE + LENGTH + b"\r", b"\n" + BODY),
}


@pytest.mark.parametrize("what", PIECES)
def test_a_request_that_has_begun_is_not_an_idle_connection(service: Process, what: str) -> None:  # noqa: ARG001
    """It is done, and its answer arrives, though its beginning came before the answer to the request before it."""
    answers = Stream(timeout_keep_alive=0.2)  # which takes longer to answer than a connection may be idle
    first, rest = PIECES[what]
    try:
        with answers.connect() as raw:
            raw.sendall(HEALTH + b"\r\n" + first)
            assert statuses(read(raw, until=b"0\r\n\r\n")) == [200]
            time.sleep(0.3)
            raw.sendall(rest)
            said = read(raw)
            assert statuses(said) == [200]
            assert said.endswith(b"0\r\n\r\n")
            assert hung_up(raw)
    finally:
        answers.end()


def logged_since(service: Process, start: int) -> list[dict[str, object]]:
    """The requests that were logged behind the log's `start`."""
    text = service.log.read_text()
    whole_lines = text[start : text.rfind("\n") + 1].splitlines()
    return [line for line in map(json.loads, whole_lines) if "status" in line]


@pytest.mark.parametrize(
    "sent", [(LIST + b"\r\n") * 3, (CREATE + LENGTH + b"\r\n" + BODY) * 3, CREATE + LENGTH + b"\r\n"]
)
def test_who_hangs_up_with_requests_in_the_pipeline_is_no_error_of_ours(service: Process, sent: bytes) -> None:
    """Such a request is logged as 499, or as what it came to; a stranger must not be able to page the operator."""
    start = len(service.log.read_text())
    for number in range(30):
        raw = connect(service)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(HEALTH + b"\r\n")  # the service knows its address then
        raw.recv(1000)
        raw.sendall(sent)
        time.sleep(number % 5 / 1000)
        raw.close()
    pause(0.3)
    others_are_served(service)
    lines = logged_since(service, start)
    assert len(lines) > 20
    assert {line["status"] for line in lines} <= {200, 201, 499}
    assert not [line for line in lines if "exception" in line or line.get("error_code") == "INTERNAL_ERROR"]


BAD_CHUNK = CHUNKED + b"\r\nzz\r\n"
REFUSED_WHILE_IT_RUNS = {
    "a list": LIST + BAD_CHUNK,
    "a list for a stranger": LIST.replace(b"Bearer", b"Basic") + BAD_CHUNK,
    "a body that is waited for": CREATE + BAD_CHUNK,
    "a body that would be asked for": CREATE + b"Expect: 100-continue\r\n" + BAD_CHUNK,
}


@pytest.mark.parametrize("what", REFUSED_WHILE_IT_RUNS)
def test_a_refusal_is_the_only_answer_to_its_request(service: Process, what: str) -> None:
    """What the application then answers is dropped, and is no error of ours, however long the client stays."""
    start = len(service.log.read_text())
    with connect(service) as raw:
        raw.sendall(REFUSED_WHILE_IT_RUNS[what])
        assert statuses(read(raw)) == [400]
        wait_until(lambda: len(logged_since(service, start)) == 2)
    pause(0.3)
    lines = logged_since(service, start)
    assert sorted(str(line["status"]) for line in lines) == ["400", "499"]
    assert "exception" not in service.log.read_text()[start:]


@pytest.mark.parametrize("sent", [b"", HEALTH, CREATE + LENGTH + b"\r\n" + BODY[:5], LIST + b"\r\n", SMUGGLED * 5])
def test_who_hangs_up_early_leaves_nothing_behind(service: Process, sent: bytes) -> None:
    """Politely or with a reset, wherever they were."""
    for number in range(200):
        raw = connect(service)
        if number % 2:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(sent)
        raw.close()
