"""How `serve` runs uvicorn: streams, signals, sockets, and what it says at the start."""

import errno
import ipaddress
import math
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI

from app.core.server.protocol import Protocol
from app.core.settings import Settings, SettingsError

STDERR = 2
"""The descriptor of the last one of the standard streams."""

NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What the system says of an address of a family that it does not have."""


def install_signal_handlers() -> None:
    """Have the first SIGTERM, SIGINT or SIGHUP raise KeyboardInterrupt, so that `finally` runs.

    Call it as late as possible. Before it, SIGTERM ends the process at once, also while libpq waits
    for a database; after it, libpq goes on waiting, because a handler in Python can't interrupt it.
    A SIGHUP becomes a SIGTERM unless nohup has it ignored.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        # uvicorn handles SIGTERM, and not this one
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _interrupt(*_: object) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second one would cut the stopping short
    raise KeyboardInterrupt


def open_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that is closed.

    A socket would get its number, and uvloop aborts the process when it closes such a socket.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= STDERR:  # the lowest free number is given first
        os.set_inheritable(descriptor, True)  # for the processes that this one starts
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    if sys.stderr is None:  # print(file=None) would write to stdout
        sys.stderr = os.fdopen(STDERR, "w")


@contextmanager
def listen(settings: Settings) -> Iterator[list[socket.socket]]:
    """Bind HOST and PORT, and yield a socket for each address of the host; close them afterwards.

    They do not listen yet, so a connection is refused until `run` is ready for it. Raises
    SettingsError, which names HOST or PORT, if that is impossible.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in _addresses(settings.host, settings.port):
            try:
                listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                _bind(listener, address)
            except OSError as error:
                if error.errno in NO_SUCH_FAMILY:  # the host may have another address
                    continue
                raise SettingsError(_reason(error, settings)) from None
            sockets.append(listener)
        if not sockets:
            raise SettingsError(f"HOST: {settings.host} is not an address of this machine")
        yield sockets


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """The family and the socket's address for each address of a host; SettingsError if none."""
    hosts = [host]
    if _is_every_ipv6_address(host):
        hosts.append("0.0.0.0")  # noqa: S104 - every address, of IPv4 too, is what `::` means
    infos = []
    for name in hosts:
        try:
            infos += socket.getaddrinfo(
                name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except (OSError, UnicodeError) as error:
            raise SettingsError(
                f"HOST: {host} is not an address of this machine: {error}"
            ) from None
    return list(dict.fromkeys((int(info[0]), info[4]) for info in infos))


def _is_every_ipv6_address(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host) == ipaddress.IPv6Address("::")
    return False


def _bind(listener: socket.socket, address: Any) -> None:
    """Bind as asyncio does: the port may be used again at once, and IPv6 does not take IPv4."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(address)


def _reason(error: OSError, settings: Settings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"PORT: {settings.port} is in use already on {settings.host}"
    if error.errno == errno.EACCES:
        return f"PORT: {settings.port} may not be used by this user"
    return f"HOST: {settings.host} is not an address of this machine: {error.strerror}"


def run(app: FastAPI, settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve the application in this process until a signal."""
    install_signal_handlers()
    config = uvicorn.Config(
        app,
        http=Protocol,
        workers=1,  # or uvicorn would read WEB_CONCURRENCY
        log_config=None,  # the lifespan sets the log up, without an access log of uvicorn's
        log_level="warning",
        timeout_graceful_shutdown=math.ceil(settings.request_timeout),
    )
    # uvicorn raises the signal again when it has stopped, which ends in KeyboardInterrupt.
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets)


def greeting(settings: Settings, title: str, *, secret_name: str) -> list[str]:
    """Where the documentation is, and whose tokens and pages are accepted, a line for each.

    `secret_name` tells the reader which secret is shared, where one is.
    """
    host = f"[{settings.host}]" if ":" in settings.host else settings.host  # RFC 3986, 3.2.2
    lines = [f"{title}: http://{host}:{settings.port}/docs"]
    if settings.auth_origin:
        lines.append(_tokens(f"keys from {settings.jwks_url}", settings.auth_origin, settings))
    if settings.secret:
        lines.append(_tokens(f"HS256 under {secret_name}", "any", settings))
    origins = ", ".join(settings.allowed_origins) or "none on another origin"
    lines.append(f"Pages: {origins} (CORS_ORIGINS)")
    return lines


def _tokens(keys: str, issuer: str, settings: Settings) -> str:
    """The line about the tokens that are verified with these keys."""
    required_issuer = settings.jwt_issuer or issuer
    required_audience = settings.jwt_audience or issuer
    return f"Tokens: {keys}; iss {required_issuer}, aud {required_audience}"
