"""One connection to PostgreSQL, driven by the event loop.

Cancelling a statement closes its connection. The server then ends the backend by itself, because
the first migration sets `client_connection_check_interval`. (psycopg2's own `cancel()` holds the
interpreter's lock while it waits for the server: a frozen server froze the whole process.)
"""

import asyncio
import os
import select
import socket
from collections.abc import Mapping
from typing import Any, Self

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, TRANSACTION_STATUS_IDLE

from app.core.database.dsn import Dsn, other_encoding
from app.core.database.timestamps import read_timestamps_as_text

MAX_AGE = 600.0
"""Seconds until a connection is replaced.

A server that is no longer the primary may keep its connections open, and reads would stay there.
"""


class Connection:
    """One connection to one address, for one statement at a time."""

    def __init__(self, raw: psycopg2.extensions.connection) -> None:
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self.closed = False
        """Whether `close` was called; it is called too as soon as the server is seen to hang up."""
        self.expires_at = self._loop.time() + MAX_AGE
        self.statement_began_at = 0.0
        """When the last statement was sent, by the loop's clock."""
        self.statement_ended_at = 0.0
        """When the last statement was answered, failed or was cancelled."""
        self._running = False
        """Whether a statement was sent whose end `fetch` still waits for."""
        self._ready: asyncio.Future[None] = self._loop.create_future()
        """Done when the running statement's answer is complete or has failed: wakes `fetch`."""
        self._failure: psycopg2.Error | UnicodeDecodeError | None = None
        """Why reading the running statement's answer failed."""
        # From now on libpq keeps its socket, so it is registered once: doing it for each statement
        # would be slow. A duplicate is registered: libpq may close its own descriptor, whose number
        # could then belong to another socket.
        self._socket = socket.socket(fileno=os.dup(raw.fileno()))
        self._poller = select.poll()
        self._poller.register(self._socket, select.POLLIN)
        self._loop.add_reader(self._socket, self._on_readable)

    @classmethod
    async def open(cls, dsn: Dsn) -> Self:
        """Connect to the DSN's one address.

        Raises psycopg2.Error or UnicodeDecodeError if the server can't be reached or refuses. If
        the database's encoding is not UTF-8 that is NotSupportedError, which the pool does not try
        again: waiting won't mend it.
        """
        # mypy takes the mapping's values for the stubs' connection_factory too
        raw = psycopg2.connect(**dsn, async_=True)  # type: ignore[call-overload]
        try:
            state = raw.poll()
            while state != POLL_OK:
                # libpq may change its socket while it connects, so it is asked for each time
                await _socket_ready(raw.fileno(), for_reading=state == POLL_READ)
                state = raw.poll()
            encoding = other_encoding(raw)
            if encoding is not None:
                raise psycopg2.NotSupportedError(f"the database's encoding is {encoding}, not UTF8")
            read_timestamps_as_text(raw)
            return cls(raw)
        except BaseException:  # a cancellation too
            raw.close()
            raise

    async def fetch(self, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Send a statement and return its rows, each a dict by column name; a timestamp is a text.

        `_on_readable` reads the answer, and ends the wait for `_ready` when it is complete.
        Raises psycopg2.Error if it fails, or UnicodeDecodeError if the server's message is not in
        UTF-8. Closes the connection if the server is not ready for another statement afterwards:
        the statement was cancelled, the connection was lost, or a transaction was left open.
        """
        self.statement_began_at = self._loop.time()
        self._ready = self._loop.create_future()
        self._failure = None
        self._running = True
        try:
            cursor = self._raw.cursor()
            cursor.execute(sql, params)
            await self._send()
            await self._ready
            if self._failure is not None:
                raise self._failure
            return _rows(cursor)
        finally:
            self._running = False
            self.statement_ended_at = self._loop.time()
            if self._raw.get_transaction_status() != TRANSACTION_STATUS_IDLE:
                self.close()

    async def _send(self) -> None:
        """Send what is left of the statement; `_ready` is done if it is already answered."""
        state = self._raw.poll()
        while state == POLL_WRITE:
            await _socket_ready(self._socket, for_reading=False)
            if self._ready.done():  # the server has refused or hung up meanwhile
                return
            state = self._raw.poll()
        if state == POLL_OK and not self._ready.done():
            self._ready.set_result(None)

    def _on_readable(self) -> None:
        """Take in what has arrived; the loop calls this."""
        if not self._running:
            self.close()  # nothing was asked for: the server may be hanging up
        elif not self._ready.done():
            self._read_answer()

    def _read_answer(self) -> None:
        """Read on in the running statement's answer, and wake `fetch` at its end."""
        try:
            is_complete = self._drain()
        except (psycopg2.Error, UnicodeDecodeError) as failure:
            self._failure = failure
            is_complete = True
        if is_complete:
            self._ready.set_result(None)

    def _drain(self) -> bool:
        """Read all of the answer that has arrived; return whether it is complete.

        One `poll()` reads one piece of the answer, so it is repeated while more input is
        there. The event loop can't be left to call `_on_readable` again: under uvloop there may be
        no next call, because libuv stops watching a socket that was reset (`uv__poll_io` in its
        src/unix/poll.c). The error that the server sent before the reset would stay unread.
        """
        while self._raw.poll() != POLL_OK:
            if not self._has_input():
                return False
        return True

    def _has_input(self) -> bool:
        return bool(self._poller.poll(0))

    @property
    def is_usable(self) -> bool:
        """Whether another statement can be sent; costs no round trip.

        It must be open and not too old. Input that nobody asked for may mean that the server hangs
        up.
        """
        return not self.closed and self._loop.time() < self.expires_at and not self._has_input()

    def close(self) -> None:
        """Close the socket at once, whatever is going on."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._raw.close()


def _rows(cursor: psycopg2.extensions.cursor) -> list[dict[str, Any]]:
    """The rows of a statement that has ended; none if it is one that can have no rows."""
    if cursor.description is None:
        return []
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


async def _socket_ready(descriptor: int | socket.socket, *, for_reading: bool) -> None:
    """Wait until the socket can be read from, or written to."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    if for_reading:
        loop.add_reader(descriptor, ready.set)
    else:
        loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        if for_reading:
            loop.remove_reader(descriptor)
        else:
            loop.remove_writer(descriptor)
