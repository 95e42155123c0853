"""The one way to PostgreSQL: a pool of psycopg2 connections in asynchronous mode, driven by the event loop.

Each query is one autocommitted statement and one round trip. One deadline, counted from the request's
arrival, bounds the wait for a connection, connecting and the statement alike. Nothing else in the
application knows the driver.

A statement that is given up takes its connection with it: the socket is closed, and the server ends the
backend by `client_connection_check_interval`, which the first migration sets. (psycopg2's own `cancel()`
holds the interpreter's lock while it waits for the server; with a frozen server it froze the process.)
"""

import asyncio
import os
import re
import select
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, parse_dsn

from app.core.deadline import deadline
from app.core.errors import DatabaseError
from app.core.settings import SettingsError

RECONNECT_PAUSE = 0.1
"""Seconds between attempts to connect to a database that refuses: it may be starting, or waking up."""

LINK = {
    "fallback_application_name": "todo-api",
    "connect_timeout": "3",  # seconds; `unreachable` alone, libpq's asynchronous mode ignores it
    # a peer that has vanished is noticed while the connection is idle, or when it does not acknowledge what was sent
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "tcp_user_timeout": "3000",
}
"""What the URL does not say otherwise."""
WRONG = {
    "invalid": "it can't be read",
    "password|pg_hba.conf": "the server refuses its user or password",
    "does not exist|no such": "there is no such database or user",
    "translate host name(?!.*Temporary)": "there is no such host",
    "support SSL|certificate|channel binding": "the server does not agree to its sslmode or channel_binding",
}
"""What libpq says where waiting won't help, and what we say: its own words may hold a part of the password."""


def _dsn(url: str) -> dict[str, Any]:
    try:
        return LINK | parse_dsn(url)
    except psycopg2.ProgrammingError as failure:
        _refuse_wrong(failure)
        raise AssertionError from None  # all that it says is "invalid"


def _refuse_wrong(failure: psycopg2.Error) -> None:
    for theirs, ours in WRONG.items():
        if re.search(theirs, str(failure)):
            form = "postgresql://USER:PASSWORD@HOST/DATABASE, with special characters %-escaped"
            raise SettingsError(f"DATABASE_URL: {ours}; check that it is {form}") from None


def unreachable(url: str) -> str | None:
    """Why the database can't be connected to right now, in libpq's words, or None where it can; takes a few seconds.

    Raises SettingsError where the URL is wrong, so that waiting won't help.
    """
    try:
        psycopg2.connect(**_dsn(url)).close()
    except psycopg2.OperationalError as failure:
        _refuse_wrong(failure)
        return " ".join(str(failure).split())
    return None


class Query(NamedTuple):
    """A statement with its parameters; a read may be sent again where its connection died."""

    sql: str
    params: Mapping[str, Any]
    is_read: bool = False


class Connection:
    """One connection, for one statement at a time."""

    answered = 0.0
    """When it was last heard of, by the loop's clock."""

    def __init__(self, dsn: Mapping[str, Any]) -> None:
        self._raw = psycopg2.connect(**dsn, async_=True)
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[None] | None = None
        self._poller = select.poll()
        self._watched: int | None = None

    @classmethod
    async def open(cls, dsn: Mapping[str, Any]) -> Self:
        """Connect; psycopg2.OperationalError where the server can't be reached or refuses."""
        connection = cls(dsn)
        try:
            while (state := connection._raw.poll()) != POLL_OK:
                await connection._socket_ready(for_reading=state == POLL_READ)
        except BaseException:
            connection.close()
            raise
        # The socket stays the same from now on: to ask the event loop anew for each statement would be dear. libpq
        # closes it as soon as the server is gone; a number of our own is nobody else's as long as the loop watches it.
        connection._watched = os.dup(connection._raw.fileno())
        connection._poller.register(connection._watched, select.POLLIN)
        connection._loop.add_reader(connection._watched, connection._readable)
        return connection

    async def fetch(self, query: Query) -> tuple[Any, ...] | None:
        """Send the query and return its first row, if it has one."""
        cursor = self._raw.cursor()
        self._answer = self._loop.create_future()
        cursor.execute(query.sql, query.params)
        while (state := self._raw.poll()) == POLL_WRITE:
            await self._socket_ready(for_reading=False)
        if state != POLL_OK:
            await self._answer
        self._answer = None
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row

    def _readable(self) -> None:
        """Take what has come in; where nobody has asked for anything, the server hangs up."""
        if self._answer is None:
            self.close()
        elif not self._answer.done():
            try:
                if self._raw.poll() == POLL_OK:
                    self._answer.set_result(None)
            except psycopg2.Error as failure:
                self._answer.set_exception(failure)

    async def _socket_ready(self, *, for_reading: bool) -> None:
        # The socket is asked for anew each time: while it connects, libpq may change it.
        loop, descriptor = self._loop, self._raw.fileno()
        add, remove = (loop.add_reader, loop.remove_reader) if for_reading else (loop.add_writer, loop.remove_writer)
        ready = asyncio.Event()
        add(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            remove(descriptor)

    @property
    def usable(self) -> bool:
        """Whether nothing came in that nobody asked for: else the server has closed, or is about to."""
        return not (self._watched is None or self._poller.poll(0))

    def close(self) -> None:
        """Close the socket at once, whatever is going on."""
        if self._watched is not None:
            self._loop.remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None
        self._raw.close()


class Pool:
    """At most `size` connections to the database at `url`; those who wait for one are served in order."""

    def __init__(self, url: str, size: int) -> None:
        self.size = size
        self.in_use = 0
        self._dsn = _dsn(url)
        self._places = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    async def fetch(self, query: Query) -> tuple[Any, ...] | None:
        """Run the query, committed when this returns, and return its first row, if it has one.

        Raises DatabaseError where the database fails or does not answer before the deadline; whether a
        write has happened is then unknown, so a write is never sent twice.
        """
        try:
            async with asyncio.timeout_at(deadline()), self._places:
                self.in_use += 1
                try:
                    return await self._run(query)
                finally:
                    self.in_use -= 1
        except (TimeoutError, OSError, psycopg2.Error) as failure:
            raise DatabaseError from failure

    async def _run(self, query: Query, *, again: bool = True) -> tuple[Any, ...] | None:
        connection, clock = self._take_idle() or await self._connect(), asyncio.get_running_loop().time
        sent = clock()
        try:
            row = await connection.fetch(query)
        except psycopg2.Error:
            connection.close()
            if not (query.is_read and again):
                raise
            return await self._run(query, again=False)
        except BaseException:
            connection.close()
            # silence: those that nobody has heard of since may be half-open too, which shows by nothing else
            while self._idle and self._idle[0].answered < sent:
                self._idle.pop(0).close()
            raise
        connection.answered = clock()
        self._idle.append(connection)
        return row

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        """A new connection, tried for until the deadline: nothing has been sent yet, so nothing can happen twice."""
        while True:
            try:
                return await Connection.open(await self._resolved())
            except (OSError, psycopg2.OperationalError):
                await asyncio.sleep(RECONNECT_PAUSE)

    async def _resolved(self) -> Mapping[str, Any]:
        """The DSN with its host's addresses: libpq itself would look them up in the event loop, and block it."""
        host = self._dsn.get("host", "")
        if not host or host.startswith(("/", "@")) or "," in host or "hostaddr" in self._dsn:
            return self._dsn
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        return self._dsn | {"host": ",".join([host] * len(addresses)), "hostaddr": ",".join(addresses)}

    def close(self) -> None:
        """Close the idle connections; those in use are closed by whoever gives up on them."""
        while self._idle:
            self._idle.pop().close()
