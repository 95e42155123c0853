"""A JWKS server of the tests' own, which can misbehave, and the keys that it serves."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from tests.support.clock import PATIENCE
from tests.support.tokens import claims

MAKERS: dict[str, Callable[[], Any]] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ES256K": lambda: ec.generate_private_key(ec.SECP256K1()),
    "RSA of 1,024 bits": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - to be refused
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass
class Key:
    """A private key with its id, and what is served of it."""

    key_id: str
    algorithm: str = "EdDSA"
    kind: str | None = None
    private: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.private = MAKERS[self.kind or self.algorithm.replace("PS", "RS").replace("RS512", "RS256")]()

    @property
    def public(self) -> dict[str, Any]:
        """The key as Better Auth serves it."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        jwk = json.loads(algorithm.to_jwk(self.private.public_key()))
        return {"alg": self.algorithm, **{n: v for n, v in jwk.items() if n != "key_ops"}, "kid": self.key_id}

    def token(self, issuer: str, user: str = "alice", *, headers: dict[str, Any] | None = None, **others: Any) -> str:
        """Sign a token as Better Auth would: without `typ`; a None takes a claim or a header out."""
        header = {"alg": self.algorithm, "kid": self.key_id} | (headers or {})
        body = claims(user, **{"iss": issuer, "aud": issuer} | others)
        return self.sign({name: value for name, value in header.items() if value is not None}, body)

    def sign(self, header: dict[str, Any], body: dict[str, Any]) -> str:
        """Sign whatever is wanted; PyJWT's own encode refuses what Mallory would send."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        signed = f"{part(header)}.{part(body)}"
        return f"{signed}.{base64url(algorithm.sign(signed.encode(), self.private))}"


def base64url(data: bytes) -> str:
    """Encode as the parts of a token are."""
    return jwt.utils.base64url_encode(data).decode()


def part(content: dict[str, Any]) -> str:
    """Write a header or claims."""
    return base64url(json.dumps(content).encode())


class KeyServer:
    """A running server; what it does next can be changed at any time."""

    def __init__(self, *keys: Key) -> None:
        self.keys: list[Any] = [key.public for key in keys]
        self.habit = "serve"
        self.paths: list[str] = []
        """Of every request so far."""
        self.times: list[float] = []
        """When each of them came, by this machine's monotonic clock."""
        self.sent = 0
        """Bytes of the last body that were taken."""
        self.delay = 0.2
        """Seconds by which it is slow, where it is."""
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def serve(self, *keys: Key) -> None:
        """Serve these keys, and behave."""
        self.keys, self.habit = [key.public for key in keys], "serve"

    @property
    def fetches(self) -> int:
        """How often the keys were asked for."""
        return len(self.paths)

    def close(self) -> None:
        """Stop, and let go of those who hang."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.times.append(time.monotonic())
                outer.paths.append(self.path)
                with suppress(OSError):
                    HABITS[outer.habit](outer, self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name for it
                pass

        return Handler


def _answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"content_type": "application/json", "content_length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def _set(server: KeyServer) -> bytes:
    return json.dumps({"keys": server.keys}).encode()


def _changed_set(server: KeyServer, **changes: object) -> bytes:
    return json.dumps({"keys": [key | changes for key in server.keys]}).encode()


def _compressed_if_accepted(server: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    if "gzip" in handler.headers["accept-encoding"]:
        _answer(handler, gzip.compress(_set(server)), content_encoding="gzip")
    else:
        _answer(handler, _set(server))


def _reset(_: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.wfile.close()
    handler.rfile.close()
    handler.connection.close()


def _huge(server: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    server.sent = 0
    for _ in range(4096):
        handler.wfile.write(b" " * 64 * 1024)
        server.sent += 64 * 1024
    handler.wfile.write(_set(server))


def _drip(server: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for byte in _set(server):
        handler.wfile.write(bytes([byte]))
        if server.released.wait(0.1):
            return


def _redirect(_: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    if "elsewhere" in handler.path:
        _answer(handler, _set(_))
    else:
        _answer(handler, b"", 302, location="/elsewhere/api/auth/jwks")


def _slow(server: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    keys = _set(server)  # as they were when they were asked for
    time.sleep(server.delay)
    _answer(handler, keys)


def _held(server: KeyServer, handler: BaseHTTPRequestHandler) -> None:
    keys = _set(server)
    server.released.wait(PATIENCE)
    _answer(handler, keys)


OCT = {"kty": "oct", "alg": "HS256", "kid": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}

HABITS: dict[str, Callable[[KeyServer, BaseHTTPRequestHandler], object]] = {
    "serve": _compressed_if_accepted,
    "serve slowly": _slow,
    "serve when released": _held,
    "HTML": lambda _, handler: _answer(handler, b"<!doctype html><title>Sign in</title>", content_type="text/html"),
    "truncated JSON": lambda server, handler: _answer(handler, _set(server)[:-9]),
    "half a body": lambda server, handler: _answer(handler, _set(server), content_length="9999"),
    "not UTF-8": lambda _, handler: _answer(handler, b'{"keys": "\xff"}'),
    "deep JSON": lambda _, handler: _answer(handler, b"[" * 200_000),
    "a list": lambda _, handler: _answer(handler, b"[]"),
    "a number of keys": lambda _, handler: _answer(handler, b'{"keys": 5}'),
    "an object of keys": lambda _, handler: _answer(handler, b'{"keys": {}}'),
    "a text of keys": lambda _, handler: _answer(handler, b'{"keys": ""}'),
    "null in place of keys": lambda _, handler: _answer(handler, b'{"keys": null}'),
    "an object without keys": lambda _, handler: _answer(handler, b"{}"),
    "no JSON Web Keys": lambda _, handler: _answer(handler, b'{"keys": [null, 5, "x", [], {}]}'),
    "an empty set": lambda _, handler: _answer(handler, b'{"keys": []}'),
    "a key without an id": lambda server, handler: _answer(handler, _changed_set(server, kid=None)),
    "a key for encryption": lambda server, handler: _answer(handler, _changed_set(server, use="enc")),
    "a key for signing": lambda server, handler: _answer(handler, _changed_set(server, key_ops=["sign"])),
    "an oct key": lambda _, handler: _answer(handler, json.dumps({"keys": [OCT]}).encode()),
    "nothing": lambda _, handler: _answer(handler, b""),
    "a 500": lambda server, handler: _answer(handler, _set(server), 500),
    "a 404": lambda _, handler: _answer(handler, b"Not Found", 404),
    "a 204": lambda _, handler: _answer(handler, b"", 204),
    "gzip nobody asked for": lambda server, handler: _answer(
        handler, gzip.compress(_set(server)), content_encoding="gzip"
    ),
    "a redirect": _redirect,
    "a reset connection": _reset,
    "a huge body": _huge,
    "a dripping body": _drip,
    "hang": lambda server, _: server.released.wait(PATIENCE),
}


@contextmanager
def key_server(*keys: Key) -> Iterator[KeyServer]:
    """Serve these keys on a free port of this machine."""
    server = KeyServer(*keys)
    try:
        yield server
    finally:
        server.close()
