"""uvicorn's HTTP/1.1 protocol, with limits on a head, the pipeline and unread answers.

This is the only module that builds on uvicorn's inner classes. A test fails if their source is not
the one for which this was written (tests/test_doors.py). It can be deleted once uvicorn has these
limits itself. Its `zttp` protocol has most of them and calls itself experimental; `h11` has a limit
of a head alone, and takes twice the time.
"""

import math
from asyncio import TimerHandle
from random import getrandbits
from typing import Any
from weakref import proxy, ref

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.core.errors import ApiError, BadRequest, RequestRefused
from app.core.exchange import exchange_of
from app.core.http.answers import envelope
from app.core.observability.logs import write_line
from app.core.observability.metrics import Metrics
from app.core.server.forwarded import take_first_scheme

HEAD_MAX = 64 * 1024
"""Bytes of a request's line and headers, and of trailers or a chunk's extension."""

HEADERS_MAX = 100
"""Headers of a request, or trailers: each takes far more memory than its bytes."""

PIPELINE_MAX = 16
"""Requests that may wait behind the one that is being answered.

Neither browsers nor proxies send more.
"""

DRAIN_SECONDS = 10
"""Seconds that a client has to read, while the buffers of its answer are full.

Each time that they are full it has them anew.
"""

IDLE_SECONDS = 0.5
"""Seconds for which a stopping server keeps an idle connection.

A proxy may just have sent a request on it, and must not send a POST again where the connection ends
without an answer.
"""

LINGER_SECONDS = 5
"""Seconds for which a client that has had its last answer may go on sending."""
LINGER_MAX = 4 * 1024 * 1024
"""Bytes that it may send in this time."""

NOT_HTTP = "The request is not valid HTTP."
HEAD_TOO_LARGE = "The request's head is too large."


class CodingNotSupported(RequestRefused):
    """Transfer-Encoding names another coding before `chunked`, such as gzip (RFC 9112, 6.1)."""

    status = 501
    default_detail = "The transfer coding is not supported."


class Protocol(HttpToolsProtocol):
    """One connection. httptools calls the `on_…` methods while `data_received` feeds it.

    httptools accepts a head of any size, and uvicorn any number of waiting requests; this limits
    both. If one of the `on_…` methods raises, httptools stops, and `feed_data` raises
    HttpParserError with that exception as its `__context__`.

    The size of a head is checked in two ways. `_bytes_without_progress` bounds one that is not
    complete yet. `_check_head` measures the URL and the headers of a complete one, whatever pieces
    it came in.

    What becomes of a request that can't be read, and of its connection (`_refuse`):

    - Its head can't be read. The refusal is sent at once, or behind the answers that are still due
      to the requests before it (`on_response_complete`). Then the connection is closed.
    - Its body can't be read (`_refuse_body`):
      - and it has been answered already: nothing more is sent, and the connection is closed;
      - and it waits behind other requests: the refusal is its answer, when its turn has come;
      - and its answer has begun: the connection is aborted;
      - and its answer has not begun: the refusal is its answer, and is sent at once.
    """

    _bytes_without_progress = 0
    """Bytes received since a request began, or a piece of its body came.

    Those of the same call of `data_received` are not counted. So an incomplete head may be larger
    than HEAD_MAX by the first piece and the last one that it arrives in.
    """
    _is_reading_head = False
    """Whether a request has begun whose head is not complete."""
    _is_reading_body = False
    """Whether a request's head is complete, and its body is not."""
    _answering: RequestResponseCycle | None = None
    """The request that is being answered, or was answered last (`response_complete` tells which).

    uvicorn's own `cycle` is the last one that was read.
    """
    _stop_ends_at = math.inf
    """When a stopping server waits no longer for answers, by the loop's clock; else infinite."""
    _is_stopping = False
    """Whether the server stops, so that the next answer on this connection is the last one."""
    _refusal: ApiError | None = None
    """Why the rest of what the client sends is not read; sent once no other answer is due."""
    _linger_timer: TimerHandle | None = None
    """Closes a connection whose last answer was sent, while the rest is read; else None."""
    _bytes_behind_the_last_answer = 0
    _drain_timer: TimerHandle | None = None
    """Disconnects a client that does not read its answer; None if no answer has had to wait."""

    def data_received(self, data: bytes) -> None:
        """Parse what was received; refuse what is not HTTP, and a head that is too large."""
        if self._linger_timer is not None:  # its last answer has been sent
            self._bytes_behind_the_last_answer += len(data)
            if self._bytes_behind_the_last_answer > LINGER_MAX:
                self.transport.close()
            return
        if self._refusal:
            self.flow.pause_reading()  # again, because uvicorn resumes reading after each answer
            return
        self._bytes_without_progress += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            (parsed_bytes,) = upgrade.args
            self._parse_without_upgrade(data[parsed_bytes:])
        except HttpParserError as error:
            cause = error.__context__  # what an `on_…` method has raised
            self._refuse(cause if isinstance(cause, ApiError) else BadRequest(NOT_HTTP))
        if self._bytes_without_progress > HEAD_MAX and not self._refusal:
            self._refuse(BadRequest(HEAD_TOO_LARGE))

    def on_message_begin(self) -> None:
        """Begin a request.

        uvicorn ends the keep-alive timer on any byte, in its own `data_received`, which this class
        does not call. Here only a request's beginning ends it, so that neither empty lines nor the
        body of an answered request keep a connection open.
        """
        self._unset_keepalive_if_required()
        self._bytes_without_progress = 0
        self._is_reading_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or a trailer; raise BadRequest if it is one too many."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            raise BadRequest(f"The request has more than {HEADERS_MAX} headers or trailers.")

    def on_headers_complete(self) -> None:
        """Start the request, or have it wait for its turn; raise an ApiError to refuse it."""
        self._check_head()
        if not self.url.startswith(b"/"):
            self.url = _with_path(self.url)
        take_first_scheme(self.headers)  # in place: uvicorn's scope holds this same list
        super().on_headers_complete()
        # Not before: until here an exception, such as parse_url's, means a head that can't be read.
        self._is_reading_head = False
        self._is_reading_body = True
        # A request with an Upgrade header has no cycle yet: it is parsed again (_should_upgrade).
        # Then `cycle` is None or that of the request before it, where this changes nothing: it was
        # answered, or `shutdown` has set the same.
        if self._is_stopping and self.cycle is not None:
            self.cycle.keep_alive = False
        # The scope keeps the list of the headers. Trailers are no headers (RFC 9110, 6.5.1), and
        # uvicorn would append them to that list, so it gets a new one.
        self.headers = []

    def _check_head(self) -> None:
        """Raise an ApiError, with a sentence for each rule that the complete head may break."""
        version = self.parser.get_http_version()
        is_http_1_0 = version == "1.0"
        hosts = len(self._values_of(b"host"))
        if version not in {"1.0", "1.1"}:
            raise BadRequest(NOT_HTTP)
        if self._head_size() > HEAD_MAX:
            raise BadRequest(HEAD_TOO_LARGE)
        # RFC 9112, 3.2: one Host, which only HTTP/1.0 may leave out
        if hosts > 1 or (hosts == 0 and not is_http_1_0):
            raise BadRequest("The request must have one Host header.")
        if self.parser.get_method() == b"CONNECT":
            raise BadRequest("This service is not a proxy: it opens no tunnels.")
        if len(self.pipeline) >= PIPELINE_MAX:
            raise BadRequest(
                f"More than {PIPELINE_MAX} requests wait for their answers on this connection."
            )
        self._check_transfer_coding(is_http_1_0=is_http_1_0)

    def _check_transfer_coding(self, *, is_http_1_0: bool) -> None:
        """Raise CodingNotSupported for a coding before `chunked`, which httptools would ignore.

        Raises BadRequest unless `chunked` is the last coding and appears once (RFC 9112, 6.1 and
        6.3), and for any coding under HTTP/1.0, which has none (6.1).
        """
        values = self._values_of(b"transfer-encoding")
        if not values:
            return
        if is_http_1_0:
            raise BadRequest("HTTP/1.0 has no transfer codings.")
        codings = [coding.strip().lower() for coding in b",".join(values).split(b",")]
        if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
            raise BadRequest(NOT_HTTP)
        if len(codings) > 1:
            raise CodingNotSupported

    def _values_of(self, header: bytes) -> list[bytes]:
        """The values of the header, which is in lower case, one for each line."""
        return [value for name, value in self.headers if name == header]

    def _head_size(self) -> int:
        """The bytes of the URL and of the headers' lines."""
        separators = len(b": \r\n") * len(self.headers)
        texts = [len(name) + len(value) for name, value in self.headers]
        return len(self.url) + separators + sum(texts)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._bytes_without_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has been read to its end, whether it has a body or not."""
        self._is_reading_body = False
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Return True, so that uvicorn leaves a request with an Upgrade header to this class.

        Nothing is upgraded. httptools stops behind its head and raises HttpParserUpgrade, and
        `data_received` has the request parsed again without that header.
        """
        return True

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its Upgrade header, which may be ignored (RFC 9110, 7.8).

        `rest` is what has been received behind the request's head.
        """
        method = self.parser.get_method()
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        for name, value in self.scope["headers"]:  # self.headers is empty by now
            if name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Start the application on a request; the log may ask whether its client has hung up."""
        self._answering = cycle
        transport: Any = _LingeringTransport(self)  # it has the methods that a cycle uses
        cycle.transport = transport
        # The cycle refers to the scope. A reference back would be a circle, which keeps unread
        # bodies in memory until garbage is collected.
        weak_cycle = proxy(cycle)
        scope: Any = cycle.scope  # uvicorn has a type of its own for it
        exchange_of(scope).is_disconnected = lambda: weak_cycle.disconnected
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Start the timer: a client that does not read has its answer held in memory."""
        super().pause_writing()
        self._start_drain_timer()

    def resume_writing(self) -> None:
        """Stop the timer: the client has read."""
        super().resume_writing()
        self._stop_drain_timer()

    def shutdown(self) -> None:
        """Close once no answer is due, and abort a client that does not read in time.

        An idle connection is kept for IDLE_SECONDS; what is sent on it meanwhile is answered.

        A client that has not read its answer when the server's stop ends is disconnected then.
        uvicorn would wait for it without end, even after it has cancelled the request.
        """
        self._is_stopping = True
        if self._linger_timer is not None:
            self.transport.close()
        elif self._is_idle():
            self.loop.call_later(IDLE_SECONDS, self._close_if_idle)
        else:
            super().shutdown()
        patience = self.config.timeout_graceful_shutdown
        if patience is not None:
            self._stop_ends_at = self.loop.time() + patience
        if self.flow.write_paused:
            self._stop_drain_timer()
            self._start_drain_timer()

    def _is_idle(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _start_drain_timer(self) -> None:
        ends_at = min(self.loop.time() + DRAIN_SECONDS, self._stop_ends_at)
        self._drain_timer = self.loop.call_at(ends_at, self.transport.abort)

    def _stop_drain_timer(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered; uvicorn tells the last one that was read."""
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        if self._answering:
            self.cycle = self._answering
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin with the next request, or send the refusal that waited for this answer."""
        if self._linger_timer is not None:
            return
        if self._refusal and not self.pipeline and not self.transport.is_closing():
            self._send_refusal(self._refusal)
            return
        super().on_response_complete()
        if self._is_reading_head:  # uvicorn has started the timer of an idle connection
            self._unset_keepalive_if_required()

    def _refuse(self, error: ApiError) -> None:
        """Read no more, answer with the error once no earlier answer is due, and close.

        What can't be read is either the body of the last request or a request behind it.
        """
        self._refusal = error
        self.flow.pause_reading()
        is_answer_due = self._answering is not None and not self._answering.response_complete
        if self._is_reading_body:
            self._refuse_body(error, is_answer_due=is_answer_due)
        elif not is_answer_due:
            self._send_refusal(error)
        # Else `on_response_complete` sends the refusal behind the last answer.

    def _refuse_body(self, error: ApiError, *, is_answer_due: bool) -> None:
        """Answer the last request, whose body can't be read, with the error, if it is possible."""
        last_request = self.cycle
        if not is_answer_due:
            # It was answered before its body was read. A second answer would be taken for that of
            # the next request.
            self.close_behind_the_last_answer()
        elif self.pipeline:
            # It waits for its turn. It is the newest, which uvicorn puts on the left of its queue.
            # It is taken out, so that the application never sees it. `on_response_complete` sends
            # the refusal in its place.
            self.pipeline.popleft()
        elif last_request.response_started:
            # A part of its answer has been sent.
            self.transport.abort()
        else:
            # The application has sent nothing yet. The refusal is sent in its place, and for the
            # application the client has disconnected: what it still answers is dropped, and a body
            # that it waits for ends. The log has a line for the refusal, and then one for the
            # request, as 499.
            last_request.disconnected = True
            last_request.waiting_for_100_continue = False
            last_request.message_event.set()
            self._send_refusal(error)

    def _send_refusal(self, error: ApiError) -> None:
        """Answer in the envelope, log it, count it, and close."""
        request_id = f"{getrandbits(128):032x}"
        write_line(
            request_id=request_id,
            user_id=None,
            method=None,
            endpoint=None,
            status=error.status,
            error_code=error.code,
            reason=error.detail,
        )
        metrics: Metrics | None = self.app_state.get("metrics")
        if metrics:
            metrics.count("other", "none", error.status, error.code, seconds=0)
        response = envelope(error)
        response.headers.update({"Connection": "close", "X-Request-ID": request_id})
        headers = [
            *self.server_state.default_headers,
            *self.app_state.get("headers", []),
            *response.raw_headers,
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        head = b"".join([STATUS_LINE[error.status], *lines, b"\r\n"])
        self.transport.write(head + bytes(response.body))
        self.close_behind_the_last_answer()

    def close_behind_the_last_answer(self) -> None:
        """Close at once if everything that the client has sent was read, else after lingering.

        To linger is to send nothing more and to read on, until the client closes, or for
        LINGER_SECONDS and LINGER_MAX bytes (RFC 9112, 9.6). A socket that is closed with unread
        input resets the connection. The client may then lose the answer, and nginx takes the
        service for dead: one caller could make it so for all.
        """
        cycle = self._answering
        has_read_all = not self._refusal and not self.pipeline and cycle and not cycle.more_body
        if has_read_all or self.transport.is_closing():
            self.transport.close()
            return
        self.transport.write_eof()
        self._linger_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        self.flow.resume_reading()


class _LingeringTransport:
    """The transport of a cycle; its `close` is the protocol's `close_behind_the_last_answer`.

    Its reference to the protocol is weak: the protocol refers to the cycle, and the cycle to this,
    and a circle would keep unread bodies in memory until garbage is collected.
    """

    def __init__(self, protocol: Protocol) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self._transport = protocol.transport
        self._protocol = ref(protocol)

    def close(self) -> None:
        protocol = self._protocol()
        if protocol is None:
            self._transport.close()
        else:
            protocol.close_behind_the_last_answer()


def _with_path(url: bytes) -> bytes:
    """The URL of a request line; if it is absolute and omits its path, `/` and its query.

    The path may be omitted (RFC 9110, 4.2.3). A URL with a path stays as it is, and so does the `*`
    of OPTIONS.
    """
    parsed = parse_url(url)
    if parsed.path is not None:
        return url
    return b"/" if parsed.query is None else b"/?" + parsed.query
