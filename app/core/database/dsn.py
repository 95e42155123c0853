"""Where the database is: a URL as libpq reads it, one connection to it, and the addresses of its servers."""

import asyncio
import os
import re
import socket
from collections.abc import Mapping
from typing import Any, NoReturn

import psycopg2
from psycopg2.extensions import parse_dsn

from app.core.settings import SettingsError

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
            raise ValueError(
                "libpq would end the password at the first @, and print what follows as the host"
            )
        given = parse_dsn(url)
    except (psycopg2.ProgrammingError, ValueError):
        _refuse("it can't be read")
    variables = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT"}
    if given.get("service") or os.environ.get("PGSERVICE"):
        variables = {}  # the service's file comes before them
    found = {
        name: os.environ[variable]
        for name, variable in variables.items()
        if os.environ.get(variable)
    }
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
        text = (
            failure.object.decode("utf-8", "replace")
            if isinstance(failure, UnicodeDecodeError)
            else str(failure)
        )
    else:
        if not (encoding := other_encoding(connection)):
            return connection
        connection.close()
        raise SettingsError(
            f"DATABASE_URL: the database's encoding is {encoding}; create one with ENCODING 'UTF8'"
        )
    for theirs, ours in CONFIGURATION_ERRORS.items():
        if re.search(theirs, re.sub('"[^"]*"', "", text)):  # without names, which may hold any word
            _refuse(ours)
    raise psycopg2.OperationalError(" ".join(text.split()))


def other_encoding(connection: Any) -> str | None:
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
    servers = [
        {**dsn, **{name: parts[n % len(parts)] for name, parts in lists.items()}}
        for n in range(count)
    ]
    resolved = await asyncio.gather(*map(_resolved, servers), return_exceptions=True)
    return [address for found in resolved if isinstance(found, list) for address in found]


async def _resolved(server: Dsn) -> list[Dsn]:
    host = server.get("host", "")
    if not host or host.startswith(("/", "@")) or server.get("hostaddr"):
        return [server]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [
        {**server, "hostaddr": address}
        for address in dict.fromkeys(str(where[0]) for *_, where in found)
    ]
