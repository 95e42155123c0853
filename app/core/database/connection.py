"""One connection to PostgreSQL: where it leads, how the event loop drives it, and when it can be used again.

A statement that is given up takes its connection with it: the socket is closed, and the server ends the
backend by `client_connection_check_interval`, which the first migration sets. (psycopg2's own `cancel()`
holds the interpreter's lock while it waits for the server; with a frozen server it froze the process.)
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

MAX_AGE = 600.0
"""Seconds until a connection is replaced: a server that is no longer the primary may keep its connections open."""


class Connection:
    """One connection to one address, for one statement at a time."""

    closed = False
    """Whether it is closed on this side: as soon as the loop has noticed that the server hung up."""
    began = ended = 0.0
    """When its last statement was sent, and when it ended, by the loop's clock."""

    def __init__(self, raw: psycopg2.extensions.connection) -> None:
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self.expires = self._loop.time() + MAX_AGE
        self._answer: asyncio.Future[None] | None = None
        # From now on the socket stays the same, and is registered once: anew for each statement would be slow.
        # dup() it: libpq may close its own descriptor, and its number would be reused.
        self._socket = socket.socket(fileno=os.dup(raw.fileno()))
        self._poller = select.poll()
        self._poller.register(self._socket, select.POLLIN)
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def open(cls, dsn: Dsn) -> Self:
        """Connect; psycopg2.Error or UnicodeDecodeError if the server can't be reached, or refuses."""
        raw = psycopg2.connect(**dsn, async_=True)  # type: ignore[call-overload]  # its stubs know two options
        try:
            while (state := raw.poll()) != POLL_OK:
                # ask for the socket each time: libpq may change it while it connects
                await _socket_ready(raw.fileno(), for_reading=state == POLL_READ)
            if encoding := other_encoding(raw):
                raise psycopg2.NotSupportedError(f"the database's encoding is {encoding}, not UTF8")
            return cls(raw)
        except BaseException:
            raw.close()
            raise

    async def fetch(self, sql: str, params: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Send a statement and return its first row, if it has one; psycopg2.Error if it fails.

        However it ends, the connection is closed then unless the server awaits the next statement.
        """
        self.began = self._loop.time()
        self._answer = self._loop.create_future()
        try:
            cursor = self._raw.cursor()
            cursor.execute(sql, params)
            while not self._answer.done() and (state := self._raw.poll()) == POLL_WRITE:
                await _socket_ready(self._socket, for_reading=False)
            if state != POLL_OK:
                await self._answer
            return cursor.fetchone()
        finally:
            self._answer = None
            self.ended = self._loop.time()
            if self._raw.get_transaction_status() != TRANSACTION_STATUS_IDLE:
                self.close()

    def _readable(self) -> None:
        """Read what has arrived; if no statement is running, close: the server is hanging up."""
        if self._answer is None:
            self.close()
        elif not self._answer.done():
            try:
                while self._raw.poll() != POLL_OK:
                    # libuv does not call again after a reset: what came with it has to be read now
                    if not self._poller.poll(0):
                        return
                self._answer.set_result(None)
            except (psycopg2.Error, UnicodeDecodeError) as failure:
                self._answer.set_exception(failure)

    @property
    def usable(self) -> bool:
        """Whether it is open, not too old, and nothing unexpected has arrived: the server would be hanging up."""
        return not self.closed and self._loop.time() < self.expires and not self._poller.poll(0)

    def close(self) -> None:
        """Close the socket at once, whatever is going on."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._raw.close()


async def _socket_ready(descriptor: int | socket.socket, *, for_reading: bool) -> None:
    loop = asyncio.get_running_loop()
    add, remove = (
        (loop.add_reader, loop.remove_reader)
        if for_reading
        else (loop.add_writer, loop.remove_writer)
    )
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
