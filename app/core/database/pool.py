"""The pool: the one way from a request to PostgreSQL, bounded by the request's deadline.

Every query takes these steps:

1. `fetch` waits for one of `size` slots, in order; readiness has a spare one. All that follows ends at the deadline.
2. `_acquire` takes the idle connection that was used last. One that the server has closed is dropped here.
3. If none is idle, it opens one, address by address (`_open`). If the database refuses, it tries again, and
   takes a connection that another request gives back in the meantime.
4. The statement is sent, autocommitted, and its first row awaited: one round trip.
5. The connection becomes idle again. It is closed instead if the deadline passed, the request was cancelled
   or the connection failed, and with it those that were idle all the while. After a failure a read is sent again;
   a write never is. An ERROR of the server is an answer like any other: the connection is kept.

Why not psycopg_pool or asyncpg: they were slower (a list at 0.72 and 0.81 of FastAPI's hello world, here at 0.96). One
deadline bounds waiting, connecting and the statement. A dead idle connection is noticed without a round trip. There
are no prepared statements, so it works behind PgBouncer in transaction mode.
"""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import ReadOnlySqlTransaction

from app.core.database.connection import Connection
from app.core.database.dsn import Dsn, addresses, parse
from app.core.deadline import deadline
from app.core.errors import DatabaseError

RETRY_FIRST, RETRY_LAST = 0.1, 0.4
"""Seconds between the pool's attempts to connect to a database that refuses: it may be starting, or waking up."""
READ_ATTEMPTS = 3
"""How often a read is sent in all; a bound, because a read may itself be what ends its connection."""
LEAST_SECONDS = 0.3
"""How much time must be left when a request's turn comes: a statement that is given up takes its connection with it."""
REFUSALS = (OSError, psycopg2.OperationalError, UnicodeDecodeError)
"""What connecting raises if it may succeed later (a message in another encoding than UTF-8 is one).

TimeoutError, which is what a passed deadline raises, is an OSError.
"""


class Query(NamedTuple):
    """A statement with its parameters; a read may be sent again if its connection died."""

    sql: str
    params: Mapping[str, Any]
    is_read: bool = False


class Pool:
    """At most `size` connections to the database at `url`, and a spare one."""

    def __init__(self, url: str, size: int) -> None:
        self.size = size
        self.in_use = 0
        self._dsn = parse(url)
        self._slots, self._spare = asyncio.Semaphore(size), asyncio.Semaphore(1)
        self._idle: list[Connection] = []
        self._try_again = asyncio.Event()
        self._look_up: asyncio.Task[list[Dsn]] | None = None
        self._last_good: Dsn | None = None
        self._pause = self._retry_at = 0.0

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return sum(not connection.closed for connection in self._idle)

    async def fetch(self, query: Query, *, spare: bool = False) -> tuple[Any, ...] | None:
        """Run the query, committed when this returns, and return its first row, if it has one.

        It waits for one of `size` slots, or for the `spare` one, which other queries do not take.
        Raises DatabaseError if the database fails or does not answer before the deadline; whether a
        write has happened is then unknown, so a write is never sent twice.
        """
        try:
            async with asyncio.timeout_at(deadline()), self._spare if spare else self._slots:
                if deadline() - asyncio.get_running_loop().time() < LEAST_SECONDS:
                    raise TimeoutError
                self.in_use += 1
                try:
                    return await self._run(query)
                finally:
                    self.in_use -= 1
        except (*REFUSALS, psycopg2.Error) as failure:
            raise DatabaseError from failure

    async def _run(self, query: Query) -> tuple[Any, ...] | None:
        attempts = READ_ATTEMPTS if query.is_read else 1
        while True:
            connection = await self._acquire()
            attempts -= 1
            try:
                return await connection.fetch(query.sql, query.params)
            except ReadOnlySqlTransaction:
                # a standby: this connection is not used again, and the primary may be another of the addresses
                connection.expires = 0.0
                self._last_good = None
                raise
            except psycopg2.Error:
                if not (connection.closed and attempts):
                    raise
            finally:
                if connection.closed:
                    # those that were idle all the while may be dead or dying too, and nothing else would show it
                    self.close(ended_before=connection.began)
                else:
                    self._idle.append(connection)
                    self._try_again.set()

    async def _acquire(self) -> Connection:
        """The idle connection that was used last, or else a new one, tried for until the deadline.

        Nothing has been sent yet, so nothing can happen twice. Once the database has refused, one request at a time
        tries, after a pause; the server may allow fewer connections than `size`, or none.
        """
        while True:
            while self._idle:
                connection = self._idle.pop()
                if connection.usable:
                    return connection
                connection.close()
            clock = asyncio.get_running_loop().time
            if clock() < self._retry_at:
                self._try_again.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._retry_at):
                        await self._try_again.wait()
                continue
            pause = self._pause
            self._retry_at = clock() + pause
            if opened := await self._open():
                self._pause = self._retry_at = 0.0
                self._try_again.set()  # the requests that are pausing may try now
                return opened
            self._pause = min(max(2 * pause, RETRY_FIRST), RETRY_LAST)
            self._retry_at = clock() + self._pause

    async def _open(self) -> Connection | None:
        """Connect to the first address that accepts, each given an equal part of the time until the deadline.

        The address that accepted last comes first. None if none accepts.
        """
        if self._look_up is None or self._look_up.done():
            self._look_up = asyncio.create_task(addresses(self._dsn))
        # shielded: a silent resolver can't be interrupted, so that each look-up given up would be one more under way
        found = sorted(
            await asyncio.shield(self._look_up), key=lambda address: address != self._last_good
        )
        clock = asyncio.get_running_loop().time
        for tried, address in enumerate(found):
            with suppress(*REFUSALS):
                async with asyncio.timeout((deadline() - clock()) / (len(found) - tried)):
                    connection = await Connection.open(address)
                self._last_good = address
                return connection
        return None

    def close(self, ended_before: float = math.inf) -> None:
        """Close the idle connections whose last statement ended before this time, by default all.

        Those in use are closed when their statement is given up.
        """
        while self._idle and self._idle[0].ended < ended_before:
            self._idle.pop(0).close()
