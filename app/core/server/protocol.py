"""uvicorn's HTTP/1.1 protocol with limits on a head's size and headers, the pipeline and unread responses."""

from random import getrandbits
from typing import Any
from weakref import proxy

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.core.errors import BadRequest
from app.core.exchange import exchange_of
from app.core.http.answers import envelope
from app.core.observability.logs import write_line

HEAD_MAX = 64 * 1024
"""Bytes of a request's line and headers, and of trailers or a chunk's extension."""
HEADERS_MAX = 100
"""Headers of a request, or trailers: each takes far more memory than its bytes."""
PIPELINE_MAX = 16
"""Requests that may wait behind the one that is being answered; neither browsers nor proxies send more."""
DRAIN_SECONDS = 10
"""How long the client may take to read an answer that is larger than the buffers."""


class Protocol(HttpToolsProtocol):
    """httptools accepts a head of any size, and uvicorn any number of waiting requests; this limits both."""

    _without_progress = 0
    """Bytes since a request began or its body went on."""
    _current: RequestResponseCycle | None = None
    """The request that is being answered; uvicorn's `cycle` is the last one that was read."""

    def data_received(self, data: bytes) -> None:
        """Parse what was received; refuse what is not HTTP, and a head that is too large."""
        self._without_progress += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._ignore_upgrade(data[offer.args[0] :])
        except HttpParserError:
            self.send_400_response("The request is not valid HTTP.")
        if self._without_progress > HEAD_MAX and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """Begin a request; what comes before that, such as an answered request's body, leaves the connection idle."""
        self._unset_keepalive_if_required()
        self._without_progress = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; raise ValueError, as httptools expects, if it is one too many."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            raise ValueError

    def on_headers_complete(self) -> None:
        """Start the request; raise ValueError, as httptools expects, to refuse it."""
        head = len(self.url) + sum(
            [len(name) + len(value) + len(b": \r\n") for name, value in self.headers]
        )
        hosts = [name for name, _ in self.headers].count(b"host")
        # RFC 9112, 3.2: one Host, which only HTTP/1.0 may leave out
        wrong_host = hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0")
        is_tunnel = self.parser.get_method() == b"CONNECT"
        if wrong_host or is_tunnel or head > HEAD_MAX or len(self.pipeline) >= PIPELINE_MAX:
            raise ValueError
        super().on_headers_complete()
        self.headers = []  # trailers are no headers (RFC 9110, 6.5.1); uvicorn would add them to these

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._without_progress = 0
        super().on_body(body)

    def _should_upgrade(self) -> bool:
        """Make uvicorn leave a request with an Upgrade header alone; data_received then calls _ignore_upgrade."""
        return True

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its Upgrade header, which may be ignored (RFC 9110, 7.8).

        httptools takes the body of such a request, and all that follows, for another protocol's.
        """
        line = b"%b %b HTTP/%b" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        headers = [
            b"%b: %b" % header for header in self.scope["headers"] if header[0] != b"upgrade"
        ]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join([line, *headers, b"", rest]))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._current = cycle
        # weak: the cycle refers to the scope, and a circle would keep unread bodies until garbage is collected
        weak_cycle = proxy(cycle)
        scope: Any = cycle.scope  # uvicorn has a type of its own for it
        exchange_of(scope).is_disconnected = lambda: weak_cycle.disconnected
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Start the timer that disconnects a client that does not read, because its answer fills memory."""
        super().pause_writing()
        self._drain_timer = self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timer: the client has read."""
        super().resume_writing()
        self._drain_timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered: uvicorn tells the last one that was read."""
        if self._current:
            self.cycle = self._current
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse in the envelope, log it, and close; if another answer is due first, only close."""
        cycle = self.cycle
        if (
            cycle
            and not cycle.response_complete
            and (self.pipeline or cycle.response_started or not cycle.more_body)
        ):
            self.transport.abort()
            return
        request_id = f"{getrandbits(128):032x}"
        write_line(
            request_id=request_id, user_id=None, method=None, endpoint=None, status=400, reason=msg
        )
        refusal = envelope(BadRequest(msg))
        refusal.headers.update({"Connection": "close", "X-Request-ID": request_id})
        headers = [
            *self.server_state.default_headers,
            *self.app_state.get("headers", []),
            *refusal.raw_headers,
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[400], *lines, b"\r\n", bytes(refusal.body)]))
        self.transport.close()
