"""The service as people meet it: uvicorn, a socket, HTTP."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from tests.acceptance.redaction import keep_secret

SECRET = keep_secret("the-tests-own-shared-secret-0123456789")
ORIGIN = "http://localhost:3000"


@dataclass(frozen=True)
class Service:
    """A running service."""

    url: str
    settings: Settings
    app: FastAPI


def settings_for(database_url: str, **others: object) -> Settings:
    """Settings as a test wants them, whatever the environment or a `.env` says."""
    chosen = {"database_url": database_url, "better_auth_secret": SECRET, "request_timeout": 2} | others
    return Settings(_env_file=None, **chosen)  # type: ignore[arg-type]  # one dict for fields of many types


@contextmanager
def running_service(settings: Settings) -> Iterator[Service]:
    """Serve on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the service did not start")
        time.sleep(0.01)
    try:
        yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}", settings, app)
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        if thread.is_alive():
            raise RuntimeError("the service did not stop")
