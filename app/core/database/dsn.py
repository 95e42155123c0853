"""Where the database is: a URL as libpq reads it, a connection to it, its servers' addresses."""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn

from app.core.settings import SettingsError

CONNECT_DEFAULTS = {
    # Seconds for each address. For `connect` alone: libpq's asynchronous mode ignores it.
    "connect_timeout": "3",
    # These notice a peer that has vanished, while the connection is idle or data is unacknowledged.
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "tcp_user_timeout": "3000",
}
"""libpq's parameters that are used unless the URL says otherwise."""
URL_FORM = "postgresql://USER:PASSWORD@HOST/DATABASE, with special characters %-escaped"
DriverError = psycopg2.Error
"""What a connection of `connect` raises if a statement fails."""
Unreachable = psycopg2.OperationalError
"""What `connect` raises if the database can't be reached now."""
NO_REASON = (
    "the driver gives no reason; under Python 3.11.2 it loses a message that is not in UTF-8"
)
UNUSABLE_VALUE = re.compile(
    r'^invalid "?(\w+)"? value: |'
    r'invalid \w+ value "[^"]*" for connection option "(?!port)(\w+)"'
)
"""libpq's words for a parameter's value that it can't use.

Not for the port's: in `//user:pass/word@host`, whose `/` should be escaped, libpq takes `pass` for
a port.
"""
Dsn = Mapping[str, str]
"""libpq's parameters by name."""


def parse(url: str, *, application_name: str = "") -> dict[str, str]:
    """The URL's parameters, with defaults for those that it leaves out.

    Raises SettingsError if it can't be read. Its message holds no part of the URL, except the name
    of an unknown parameter. If `sslrootcert` is `system`, this also sets variables of the process
    that tell libpq where they are (`_locate_system_certificates`).
    """
    # libpq would end the password at the first @, and print what follows it as the host
    has_unescaped_at = re.match(r"\w+://[^?]*@[^?]*@", url)
    if has_unescaped_at:
        raise _refusal("it can't be read")
    try:
        from_url = parse_dsn(url)
    except psycopg2.ProgrammingError as failure:
        raise _refusal(_syntax_problem(url, str(failure))) from None
    except ValueError:  # NUL or a lone surrogate
        raise _refusal("it can't be read") from None
    if from_url.get("sslrootcert", os.environ.get("PGSSLROOTCERT")) == "system":
        _locate_system_certificates()
    # the later ones win
    return {
        "fallback_application_name": application_name,
        **CONNECT_DEFAULTS,
        **_from_environment(from_url),
        **from_url,
        "client_encoding": "UTF8",
    }


def _syntax_problem(url: str, message: str) -> str:
    """What is wrong with a URL that libpq can't read, by its message.

    An unknown parameter is named, unless it may be a part of the password: if that has an unescaped
    `?`, its rest looks like a parameter.
    """
    parameter = re.search(r'invalid URI query parameter: "([\w.-]+)"', message)
    if parameter is None or _may_hold_password(url):
        return "it can't be read"
    return f'PostgreSQL has no parameter "{parameter[1]}"'


def _may_hold_password(url: str) -> bool:
    """Whether a URL's query may be the rest of a password with an unescaped `?`.

    The password ends at an @. In `//user:pass?word@host/database` the @ comes behind the `?`. In
    `//user:pass?word`, whose @ was forgotten, there is none, and what follows the colon may be a
    password as well as a port.
    """
    before_query, _, query = url.partition("?")
    location = before_query.partition("://")[2]
    return "@" in query or (":" in location and "@" not in location)


def _locate_system_certificates() -> None:
    """Have OpenSSL find the system's certificates where Python finds them.

    psycopg2's wheel brings an OpenSSL of its own, which looks for them where it was built.
    SSL_CERT_FILE and SSL_CERT_DIR overrule that; they are left as they are if either is set.
    putenv() sets them for C alone, and not in `os.environ`: httpx reads the same variables there,
    and fetches Better Auth's keys by other certificates.
    Raises SettingsError if one that is set leads nowhere: OpenSSL would pass it over in silence.
    """
    file = os.environ.get("SSL_CERT_FILE")
    folders = os.environ.get("SSL_CERT_DIR")
    if file and not Path(file).is_file():
        raise SettingsError("SSL_CERT_FILE: there is no such file, which sslrootcert=system needs")
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise SettingsError("SSL_CERT_DIR: there is no such folder, which sslrootcert=system needs")
    if file or folders:
        return
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        os.putenv("SSL_CERT_FILE", paths.cafile)
    if paths.capath:
        os.putenv("SSL_CERT_DIR", paths.capath)


def _from_environment(from_url: Dsn) -> dict[str, str]:
    """The server that PGHOST, PGHOSTADDR and PGPORT name, as parameters.

    So `addresses` resolves its name; libpq would block the event loop meanwhile. Empty if a service
    file is used: libpq prefers the server that it names, and this module does not read it.
    """
    if from_url.get("service") or os.environ.get("PGSERVICE"):
        return {}
    variables = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT"}
    return {
        name: os.environ[variable]
        for name, variable in variables.items()
        if os.environ.get(variable)
    }


def _refusal(problem: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL: {problem}; check that it is {URL_FORM}")


def connect(url: str, *, application_name: str = "") -> Any:
    """A blocking connection, for commands.

    Raises Unreachable, a DriverError, if the database can't be reached now, and SettingsError if
    waiting won't help.
    """
    dsn = parse(url, application_name=application_name)
    try:
        # mypy takes the mapping's values for the stubs' connection_factory too
        connection = psycopg2.connect(**dsn)  # type: ignore[call-overload]
    except (psycopg2.OperationalError, UnicodeDecodeError) as failure:
        message = _message(failure)
        problem = _configuration_problem(message)
        if problem is not None:
            raise _refusal(problem) from None  # a traceback would show the message
        raise Unreachable(" ".join(message.split()) or NO_REASON) from None
    encoding = other_encoding(connection)
    if encoding is not None:
        connection.close()
        raise SettingsError(
            f"DATABASE_URL: the database's encoding is {encoding}; create one with ENCODING 'UTF8'"
        )
    return connection


def _message(failure: psycopg2.OperationalError | UnicodeDecodeError) -> str:
    """What libpq says; a server that is still starting writes in an encoding of its own."""
    if isinstance(failure, UnicodeDecodeError):
        return failure.object.decode("utf-8", "replace")
    return str(failure)


def _configuration_problem(message: str) -> str | None:
    """What is wrong with the URL, by libpq's message; None if waiting may help.

    The message decides because there is nothing else: where connecting fails, psycopg2 has no
    SQLSTATE. The message itself is not shown: it may hold a part of the password.
    """
    text = re.sub('"[^"]*"', "", message)  # names may hold any word
    parameter = UNUSABLE_VALUE.search(message)
    problem = None
    if parameter is not None:
        name = parameter[1] or parameter[2]
        problem = f"PostgreSQL can't use the value of {name}, or of its PG variable"
    elif re.search("invalid|could not match", text):
        problem = "it can't be read"
    elif re.search(r"password|pg_hba\.conf", text):
        problem = "the server refuses its user or password"
    elif re.search("support SSL|certificate|channel binding", text):
        problem = "its sslmode, sslrootcert or channel_binding can't be satisfied"
    elif re.search("does not exist|no such", text):
        problem = "there is no such database or user"
    # "Temporary failure in name resolution" may mend by itself
    elif "translate host name" in text and "Temporary" not in text:
        problem = "there is no such host"
    return problem


def other_encoding(connection: Any) -> str | None:
    """The database's encoding if it is not UTF-8.

    The server has told it when it accepted the connection.
    """
    encoding: str | None = connection.get_parameter_status("server_encoding")
    return None if encoding == "UTF8" else encoding


async def addresses(dsn: Dsn) -> list[Dsn]:
    """A DSN for each address of each server that this DSN names.

    Servers whose name can't be resolved are left out.
    libpq itself would block the event loop while it resolves a name. In its asynchronous mode it
    also waits for a silent server without end, and never comes to the next one.
    """
    resolutions = await asyncio.gather(
        *[_resolve(server) for server in _servers(dsn)], return_exceptions=True
    )
    resolved: list[Dsn] = []
    for resolution in resolutions:
        if isinstance(resolution, list):
            resolved += resolution
    return resolved


def _servers(dsn: Dsn) -> list[Dsn]:
    """A DSN for each server: `host`, `hostaddr` and `port` may be lists, with commas."""
    lists = {name: dsn[name].split(",") for name in ("host", "hostaddr", "port") if name in dsn}
    count = max((len(values) for values in lists.values()), default=1)
    servers: list[Dsn] = []
    for position in range(count):
        server = dict(dsn)
        for name, values in lists.items():
            server[name] = values[position % len(values)]  # one port is for all hosts
        servers.append(server)
    return servers


async def _resolve(server: Dsn) -> list[Dsn]:
    """A DSN for each address of the server; OSError if it has none."""
    host = server.get("host", "")
    is_socket = not host or host.startswith(("/", "@"))
    if is_socket or server.get("hostaddr"):
        return [server]
    infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    unique_addresses = dict.fromkeys(str(socket_address[0]) for *_, socket_address in infos)
    return [{**server, "hostaddr": address} for address in unique_addresses]
