"""The service as the tests meet it: in this process, or behind a socket as `todo-api serve` runs it."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.core.observability.logs import writer
from app.core.server.protocol import Protocol
from app.core.settings import Settings
from app.main import create_app
from tests.acceptance.boundary import at_boundary
from tests.acceptance.redaction import keep_secret
from tests.support.clock import PATIENCE, wait_until

SECRET = keep_secret("the-tests-own-shared-secret-0123456789")
ORIGIN = "http://localhost:3000"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of http:// alone: httpx would read all of certifi's authorities for each client, which takes 15 ms."""


@dataclass(frozen=True)
class Service:
    """A running service."""

    http: httpx.Client
    """Calls it; of paths, the service's address comes before them."""
    settings: Settings
    app: FastAPI | None = None
    """The application, where it runs in this process."""
    log: Path | None = None
    """Where it writes its log, where it is a process of its own."""

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return str(self.http.base_url).rstrip("/")


def default_settings(database_url: str, **others: object) -> Settings:
    """The service's own defaults, whatever a `.env` says, but for a database and the tests' secret, and for these."""
    chosen = {"database_url": database_url, "better_auth_secret": SECRET} | others
    return Settings(_env_file=None, **chosen)  # type: ignore[arg-type]  # one dict for fields of many types


RUNNING: set[uvicorn.Server] = set()
"""Those of this process."""


def wait_until_logged() -> None:
    """Wait until what has been asked so far is logged: a line is written just after its answer was sent.

    Or else it would be in the output of the next test.
    """
    wait_until(lambda: not any(server.server_state.tasks for server in RUNNING))
    wait_until(writer.is_idle)


def settings_for(database_url: str, **others: object) -> Settings:
    """The same, but a statement has the time that it takes on a busy machine: for tests that are not about times."""
    return default_settings(database_url, **{"request_timeout": 20} | others)


RunService = Callable[[Settings], AbstractContextManager[Service]]
"""A way to run the service: in this process, or in one of its own."""


@contextmanager
def service_in_process(settings: Settings) -> Iterator[Service]:
    """Call the application through FastAPI's TestClient, without a socket."""
    app = create_app(settings)
    # what the application raises is answered with a 500, as by a server
    client = TestClient(at_boundary(app), raise_server_exceptions=False, follow_redirects=False)
    with client:
        yield Service(client, settings, app)


@contextmanager
def running_service(
    settings: Settings, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None, *, root_path: str = ""
) -> Iterator[Service]:
    """Serve on a free port of this machine, as `todo-api serve` does, unless another event loop is wanted.

    With a `root_path` it is behind a proxy that cuts that off.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(settings)
    config = uvicorn.Config(at_boundary(app), http=Protocol, access_log=False, log_level="warning", root_path=root_path)
    server = uvicorn.Server(config)

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory or server.config.get_loop_factory()) as runner:
            runner.run(server.serve([listener]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    RUNNING.add(server)
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the service did not start")
        time.sleep(0.01)
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=30, verify=NO_TLS) as client:
            yield Service(client, settings, app)
    finally:
        RUNNING.remove(server)
        server.should_exit = True
        thread.join(timeout=PATIENCE)
        if thread.is_alive():
            raise RuntimeError("the service did not stop")
