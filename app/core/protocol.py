"""HTTP/1.1 as uvicorn speaks it, with an end to what a connection can make us keep, or take for a request."""

from random import getrandbits

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.core.errors import BadRequest, envelope

HEAD_MAX = 64 * 1024
"""Bytes of a request's line and headers, and of trailers or a chunk's extension."""
PIPELINE_MAX = 16
"""How many requests may wait behind the one that is being answered; who sends more is not a browser or a proxy."""


class Protocol(HttpToolsProtocol):
    """httptools keeps a head of any size, and uvicorn goes on reading requests while others wait for their turn."""

    _without_progress = 0
    """Bytes since a request began or its body went on."""
    _is_last = False

    def data_received(self, data: bytes) -> None:
        """Read on, but for what follows a request to upgrade: httptools takes such a request's body for another one."""
        if self._is_last:
            return
        self._without_progress += len(data)
        super().data_received(data)
        if self._without_progress > HEAD_MAX and not self.transport.is_closing():
            self.send_400_response("the request's head is too large")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._without_progress = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request, or have it refused by raising, which is httptools' way."""
        head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if head > HEAD_MAX or len(self.pipeline) >= PIPELINE_MAX:
            raise ValueError
        super().on_headers_complete()
        self.headers = []  # trailers are no headers (RFC 9110, 6.5.1); uvicorn would add them to these
        if self.parser.should_upgrade():
            self._is_last, self.cycle.keep_alive = True, False

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._without_progress = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse in the envelope and hang up; where another answer is due first, hang up alone."""
        cycle = self.cycle
        if cycle and not cycle.response_complete and (self.pipeline or cycle.response_started or not cycle.more_body):
            self.transport.abort()
            return
        refusal = envelope(BadRequest(msg))
        headers = [*self.server_state.default_headers, *refusal.raw_headers, (b"connection", b"close")]
        lines = [b"%b: %b\r\n" % header for header in [*headers, (b"x-request-id", b"%032x" % getrandbits(128))]]
        self.transport.write(b"".join([STATUS_LINE[400], *lines, b"\r\n", bytes(refusal.body)]))
        self.transport.close()
