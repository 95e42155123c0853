"""`todo-api` as an operator meets it: a process, its environment, its signals and its exit."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.service import SECRET

TODO_API = Path(sys.executable).with_name("todo-api")
OURS = {"ENVIRONMENT", "BETTER_AUTH_URL", "JWT_ISSUER", "JWT_AUDIENCE", "CORS_ORIGINS", "DATA_DIR", "REQUEST_TIMEOUT"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def environment(database_url: str, **others: str) -> dict[str, str]:
    """The variables of a process: those of this one, without its own settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return kept | {"DATABASE_URL": database_url, "BETTER_AUTH_SECRET": SECRET} | others


def run(folder: Path, *arguments: str, env: Mapping[str, str], timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder without a `.env`."""
    command = [str(TODO_API), *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )


class Process:
    """`todo-api serve`, under way."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.log = folder / "service.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [TODO_API, "serve"], cwd=folder, env={**env, "PORT": str(port)}, stdout=log, stderr=log
            )

    def wait_until_up(self, seconds: float = 20) -> None:
        """Wait until it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if httpx.get(self.url + "/health").status_code == 200:
                    return
            except httpx.TransportError:
                assert self._process.poll() is None, self.log.read_text()
                time.sleep(0.02)
        raise AssertionError("the service did not start: " + self.log.read_text())

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end and return its exit status."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


@contextmanager
def serving(folder: Path, database_url: str, **settings: str) -> Iterator[Process]:
    """Serve as a process of its own, and end it in order."""
    process = Process(folder, environment(database_url, **settings))
    try:
        process.wait_until_up()
        yield process
        process.terminate()
        assert process.wait() == 0, process.log.read_text()
    finally:
        process.kill()
