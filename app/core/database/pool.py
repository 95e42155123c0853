"""The pool: the one way from a request to PostgreSQL, bounded by the request's deadline.

Every statement takes these steps:

1. `fetch` waits for one of `size` slots, in order. Readiness has a spare one. Everything, this wait
   included, ends at the deadline.
2. `_acquire` takes the idle connection that was used last. Dead ones are dropped.
3. If none is idle, it opens one, address by address (`_open`). If the database refuses, it tries
   again after a pause, and takes a connection that another request gives back in the meantime.
4. The statement is sent, autocommitted, and its rows awaited: one round trip.
5. The connection becomes idle again. It is closed instead if the deadline passed, the request was
   cancelled or the connection failed. An ERROR of the server is an answer like any other: the
   connection is kept.

Three rules say what follows from a failure, each in one place: `_run` which statements are sent
again, `_leave_standby` what a read-only server means, `_give_back` which other connections are
closed.

Why not psycopg_pool or asyncpg, in three reasons. They were slower: when the pools were compared, a
list had 0.72 (psycopg_pool), 0.81 (asyncpg) and 0.96 (this one) of the requests a second of
FastAPI's hello world. One deadline bounds waiting, connecting and the statement, and the log says
which of them took the time (`_why_late`). A dead idle connection is noticed without a round trip.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2.errors import DeadlockDetected, ReadOnlySqlTransaction, SerializationFailure

from app.core.database.connection import Connection
from app.core.database.dsn import Dsn, addresses, parse
from app.core.deadline import deadline
from app.core.errors import DatabaseError

RETRY_FIRST = 0.1
"""Seconds of the first pause between attempts to connect to a database that refuses.

It may be starting, or waking up.
"""
RETRY_LAST = 0.4
"""Seconds of the longest such pause."""
READ_ATTEMPTS = 3
"""How often at most a read is sent if its connection is lost.

Not without end, because the read itself may be what makes the server end its connection.
"""
CONFLICTS = (SerializationFailure, DeadlockDetected)
"""Errors (40001, 40P01) of a statement that was undone because of another transaction.

Nothing has happened then.

40001 comes where the database's default isolation is stricter than PostgreSQL's own. Such a default
is not overruled: `read committed` would need a statement of its own before each statement, or a
session's state, which PgBouncer in transaction mode would leak to other clients.
"""
CONFLICT_PAUSE = 0.02
"""Seconds until such a statement is sent again."""
LEAST_SECONDS = 0.3
"""Seconds that must be left when a request's turn comes.

With less it would probably be cancelled, which closes its connection.
"""
CONNECT_FAILURES = (OSError, TimeoutError, psycopg2.OperationalError, UnicodeDecodeError)
"""What connecting raises if it may succeed later.

A UnicodeDecodeError is a server's refusal that is written in another encoding than UTF-8.
"""


class Backoff:
    """How long to wait before the next attempt to connect.

    At first, and after a success, not at all. After a failure 0.1 s, then 0.2 and 0.4 s
    (RETRY_FIRST to RETRY_LAST), counted from the last attempt's beginning and again from its
    failure.

    Attempts that run at the same time count as one: if ten of them fail together, the pause is
    doubled once. Therefore an attempt doubles the pause that there was when it began.
    """

    def __init__(self) -> None:
        self.pause = 0.0
        """Seconds."""
        self.next_attempt_at = 0.0
        """By the loop's clock."""

    def begin_attempt(self) -> float:
        """Begin an attempt; return the present pause, for `attempt_failed`."""
        self.next_attempt_at = _now() + self.pause
        return self.pause

    def attempt_failed(self, pause_at_begin: float) -> None:
        """Lengthen the pause to twice that of this attempt's beginning, from `begin_attempt`."""
        doubled = min(max(2 * pause_at_begin, RETRY_FIRST), RETRY_LAST)
        self.pause = max(self.pause, doubled)
        self.next_attempt_at = _now() + self.pause

    def attempt_succeeded(self) -> None:
        """Forget about the refusals."""
        self.pause = 0.0
        self.next_attempt_at = 0.0


class Pool:
    """At most `size` connections to the database at `url`, and a spare one.

    `application_name` is what the database shows of them, unless the URL or PGAPPNAME names
    another.
    """

    def __init__(self, url: str, size: int, *, application_name: str = "") -> None:
        self.size = size
        self.in_use = 0
        """How many statements have a slot."""
        self._dsn = parse(url, application_name=application_name)
        self._slots = asyncio.Semaphore(size)
        self._spare_slot = asyncio.Semaphore(1)
        self._idle: list[Connection] = []
        """The one that was used last is the last."""
        self._backoff = Backoff()
        self._retry_now = asyncio.Event()
        """Ends the pauses: a connection has become idle, or the database accepts again."""
        self._look_up: asyncio.Task[list[Dsn]] | None = None
        self._last_good: Dsn | None = None
        """The address that accepted last."""
        self._connected = 0
        """How many statements have a connection."""
        self._last_released_at = 0.0
        """When a statement last gave its connection back, by the loop's clock."""
        self._last_answered_at = 0.0
        """When the database last answered a statement, if only with an ERROR."""

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return sum(not connection.closed for connection in self._idle)

    async def fetch(
        self, sql: str, params: Mapping[str, Any], *, is_read: bool = False, spare: bool = False
    ) -> list[dict[str, Any]]:
        """Run a statement, committed when this returns, and return its rows by column name.

        A timestamp is a text (timestamps.py). A statement that returns no rows gives []. The
        statement waits for one of `size` slots, or for the `spare` one, which no other takes.
        Raises DatabaseError if the database fails or does not answer before the deadline, with a
        `reason` in the latter case. After a timeout or a lost connection it is unknown whether a
        write has happened, so a write is not sent again (R-20). After a conflict nothing has
        happened, so every statement is sent again.
        """
        slots = self._spare_slot if spare else self._slots
        began_at = _now()
        if deadline() - began_at < LEAST_SECONDS:
            raise DatabaseError(reason="too little of the request's time was left")
        has_slot = False
        try:
            async with asyncio.timeout_at(deadline()), slots:
                if deadline() - _now() < LEAST_SECONDS:
                    raise TimeoutError
                has_slot = True
                self.in_use += 1
                try:
                    return await self._run(sql, params, is_read=is_read)
                finally:
                    self.in_use -= 1
        except TimeoutError as failure:
            reason = self._why_late(began_at, has_slot=has_slot)
            raise DatabaseError(reason=reason) from failure
        except (*CONNECT_FAILURES, psycopg2.Error) as failure:
            raise DatabaseError from failure

    def _why_late(self, began_at: float, *, has_slot: bool) -> str:
        """For the log: why a statement that began at `began_at` was not answered in time."""
        none_has_a_connection = self._connected == 0
        none_had_one = self._last_released_at < began_at
        is_refused = self._backoff.pause > 0
        if none_has_a_connection and (none_had_one or is_refused):
            return "the database can't be reached"
        if self._last_answered_at < began_at:  # neither this statement was answered, nor another
            return "the database does not answer"
        if has_slot:
            return "no answer in time, while others had theirs"
        return f"all {self.size} connections were busy"

    async def _run(
        self, sql: str, params: Mapping[str, Any], *, is_read: bool
    ) -> list[dict[str, Any]]:
        """Send the statement, and send it again where that can do nothing twice.

        After a conflict every statement is sent again, until the deadline. After a lost connection
        a read is sent again, READ_ATTEMPTS times in all. A write is not.
        """
        lost_connections_left = READ_ATTEMPTS - 1 if is_read else 0
        while True:
            connection = await self._acquire()
            self._connected += 1
            try:
                return await connection.fetch(sql, params)
            except CONFLICTS:
                # The slot and the connection are kept during the pause: fewer statements at a time
                # have fewer conflicts.
                await asyncio.sleep(CONFLICT_PAUSE)
            except ReadOnlySqlTransaction:
                self._leave_standby(connection)
                raise
            except psycopg2.Error:
                if not connection.closed or lost_connections_left == 0:
                    raise
                lost_connections_left -= 1
            finally:
                self._connected -= 1
                self._last_released_at = _now()
                self._give_back(connection)

    def _leave_standby(self, connection: Connection) -> None:
        """Don't use a server again that takes no writes: it is a standby, or has become one.

        The next connection is made to the URL's servers in their order. With
        `target_session_attrs=read-write` in the URL, libpq passes over those that are standbys.
        Without it, this helps if the name leads to the new primary by now. Other idle connections
        to the standby are left one by one, each after a write of its own.
        """
        connection.expires_at = 0.0  # so that _take_idle closes it
        self._last_good = None

    def _give_back(self, connection: Connection) -> None:
        """Make a connection idle again, now that its statement has ended.

        If it is closed, its server or the way there may have failed, and the idle connections may
        be dead too without any sign. An idle connection stays if a statement on it has been
        answered since this one's statement began, which shows that it was alive then. The others
        are closed.
        """
        if connection.closed:
            self._evict(connection.statement_began_at)
        else:
            self._last_answered_at = connection.statement_ended_at
            self._idle.append(connection)
            self._retry_now.set()

    async def _acquire(self) -> Connection:
        """Return the idle connection that was used last, or else a new one.

        It tries until the deadline. Nothing has been sent yet, so nothing can happen twice. The
        server may allow fewer connections than `size`, or none for a while.
        """
        while True:
            idle_connection = self._take_idle()
            if idle_connection is not None:
                return idle_connection
            if _now() < self._backoff.next_attempt_at:
                await self._pause()
                continue
            pause_at_begin = self._backoff.begin_attempt()
            new_connection = await self._open()
            if new_connection is not None:
                self._backoff.attempt_succeeded()
                self._retry_now.set()
                return new_connection
            self._backoff.attempt_failed(pause_at_begin)

    def _take_idle(self) -> Connection | None:
        """The idle connection that was used last; closes those that can't be used any more."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.close()
        return None

    async def _pause(self) -> None:
        """Wait until the next attempt to connect may begin, or a connection may be idle."""
        self._retry_now.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._backoff.next_attempt_at):
                await self._retry_now.wait()

    async def _open(self) -> Connection | None:
        """Connect to the first address that accepts; None if none does.

        The time that is left is shared equally among the addresses that are left.
        """
        candidates = await self._addresses()
        for position, address in enumerate(candidates):
            addresses_left = len(candidates) - position
            try:
                async with asyncio.timeout((deadline() - _now()) / addresses_left):
                    connection = await Connection.open(address)
            except CONNECT_FAILURES:
                continue
            self._last_good = address
            return connection
        return None

    async def _addresses(self) -> list[Dsn]:
        """The addresses of the servers, looked up anew; the one that accepted last comes first.

        One look-up at a time: a silent resolver can't be interrupted, so it is shielded from the
        request's cancellation and serves whoever asks next. Otherwise each request would leave a
        thread behind that waits for the resolver.
        """
        if self._look_up is None or self._look_up.done():
            self._look_up = asyncio.create_task(addresses(self._dsn))
        candidates = await asyncio.shield(self._look_up)
        if self._last_good is None or self._last_good not in candidates:
            return candidates
        others = [address for address in candidates if address != self._last_good]
        return [self._last_good, *others]

    def _evict(self, before: float) -> None:
        """Close the idle connections whose last statement ended before this time."""
        for connection in list(self._idle):
            if connection.statement_ended_at < before:
                self._idle.remove(connection)
                connection.close()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when their statement is cancelled."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _now() -> float:
    """The event loop's clock, in seconds."""
    return asyncio.get_running_loop().time()
