"""One connection to PostgreSQL: where it leads, how the event loop drives it, and when it can be used again.

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
from typing import Any, NoReturn, Self

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, TRANSACTION_STATUS_IDLE, parse_dsn

from app.core.settings import SettingsError

MAX_AGE = 600.0
"""Seconds until a connection is replaced: a server that is no longer the primary may keep its connections open."""
CONNECT_DEFAULTS = {
    "fallback_application_name": "todo-api",
    "connect_timeout": "3",  # seconds for each address; for `connect` alone, libpq's asynchronous mode ignores it
    # a peer that has vanished is noticed while the connection is idle, or when it does not acknowledge what was sent
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "tcp_user_timeout": "3000",
}
"""Used unless the URL says otherwise."""
CONFIGURATION_ERRORS = {
    "invalid|could not match": "it can't be read",
    "password|pg_hba.conf": "the server refuses its user or password",
    "support SSL|certificate|channel binding": "its sslmode, sslrootcert or channel_binding can't be satisfied",
    "does not exist|no such": "there is no such database or user",
    "translate host name(?!.*Temporary)": "there is no such host",
}
"""libpq's messages for which waiting won't help, and ours: libpq's may hold a part of the password."""
Dsn = Mapping[str, str]


def parse(url: str) -> dict[str, str]:
    """The URL's parts and the defaults of those it leaves out; SettingsError if it can't be read."""
    try:
        if re.match(r"\w+://[^?]*@[^?]*@", url):
            raise ValueError("libpq would end the password at the first @, and print what follows as the host")
        given = parse_dsn(url)
    except (psycopg2.ProgrammingError, ValueError):
        _refuse("it can't be read")
    variables = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT"}
    if given.get("service") or os.environ.get("PGSERVICE"):
        variables = {}  # the service's file comes before them
    found = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    return CONNECT_DEFAULTS | found | given | {"client_encoding": "UTF8"}


def _refuse(problem: str) -> NoReturn:
    form = "postgresql://USER:PASSWORD@HOST/DATABASE, with special characters %-escaped"
    raise SettingsError(f"DATABASE_URL: {problem}; check that it is {form}")


def connect(url: str) -> Any:
    """A blocking connection, for commands.

    Raises psycopg2.OperationalError if the database can't be reached now, and SettingsError if waiting
    won't help.
    """
    try:
        connection = psycopg2.connect(**parse(url))  # type: ignore[call-overload]  # its stubs know two options
    except (psycopg2.OperationalError, UnicodeDecodeError) as failure:
        # a server that is still starting writes in its own encoding, whatever the client asks for
        text = failure.object.decode("utf-8", "replace") if isinstance(failure, UnicodeDecodeError) else str(failure)
    else:
        if not (encoding := _other_encoding(connection)):
            return connection
        connection.close()
        raise SettingsError(f"DATABASE_URL: the database's encoding is {encoding}; create one with ENCODING 'UTF8'")
    for theirs, ours in CONFIGURATION_ERRORS.items():
        if re.search(theirs, re.sub('"[^"]*"', "", text)):  # without names, which may hold any word
            _refuse(ours)
    raise psycopg2.OperationalError(" ".join(text.split()))


def _other_encoding(connection: Any) -> str | None:
    """The database's encoding if it is not UTF-8; the server told it when it accepted the connection."""
    encoding: str | None = connection.get_parameter_status("server_encoding")
    return None if encoding == "UTF8" else encoding


async def addresses(dsn: Dsn) -> list[Dsn]:
    """The DSN once for each address of each of its servers whose name can be resolved.

    libpq itself would resolve names in the event loop and block it, and its asynchronous mode waits for a silent
    server without end, and never comes to the next one.
    """
    lists = {name: dsn[name].split(",") for name in ("host", "hostaddr", "port") if name in dsn}
    count = max(map(len, lists.values()), default=1)
    servers = [{**dsn, **{name: parts[n % len(parts)] for name, parts in lists.items()}} for n in range(count)]
    resolved = await asyncio.gather(*map(_resolved, servers), return_exceptions=True)
    return [address for found in resolved if isinstance(found, list) for address in found]


async def _resolved(server: Dsn) -> list[Dsn]:
    host = server.get("host", "")
    if not host or host.startswith(("/", "@")) or server.get("hostaddr"):
        return [server]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [{**server, "hostaddr": address} for address in dict.fromkeys(str(where[0]) for *_, where in found)]


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
            if encoding := _other_encoding(raw):
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
    add, remove = (loop.add_reader, loop.remove_reader) if for_reading else (loop.add_writer, loop.remove_writer)
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
