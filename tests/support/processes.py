"""The service as a person runs it: `todo-api` in a process of its own, in an empty folder."""

import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

import httpx
import psutil

from app.cli import main
from app.core.settings import Settings
from tests.support.clock import PATIENCE
from tests.support.service import NO_TLS, SECRET, Service

TODO_API = [str(Path(sys.executable).parent / "todo-api")]
UVICORN = [str(Path(sys.executable).parent / "uvicorn"), "app.main:app"]

PASSED_ON = ("PATH", "PYTHONPATH")


def free_port() -> int:
    """A port that nobody listens on, nor will before a server has started on it.

    It is below those that systems give out for port 0 and to outgoing connections (from 32768 on): one of these may be
    given to somebody else meanwhile, who is then asked in place of the server.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Nothing but what a program needs, where it is (a mutant is elsewhere), what measures coverage, and these."""
    kept = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("COV")}
    return kept | {"HOME": str(folder), "DATA_DIR": str(folder / "data")} | variables


def output_of(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a program, and return what it printed; AssertionError with its errors if it fails."""
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def todo_api(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in an empty folder; in this process, since a new one takes a second to start."""
    out, err = io.StringIO(), io.StringIO()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    with (
        patch.dict(os.environ, environment(folder, **{"PORT": str(free_port())} | variables), clear=True),
        patch.object(sys, "argv", ["todo-api", *arguments]),
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            status: object = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if isinstance(status, str):  # what the interpreter does with a message
        print(status, file=err)
        status = 1
    return subprocess.CompletedProcess(arguments, int(str(status)), out.getvalue(), err.getvalue())


def answers(url: str, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> bool:
    """Wait until a service that was started answers, its process has ended, or three minutes are over; whether it does.

    A start with traces took 42 s beside four busy processes on a slow machine.
    """
    end = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(url + "/health", verify=NO_TLS)
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return True
    return False


class Run:
    """A server that is running, or was."""

    def __init__(self, folder: Path, command: list[str] | None = None, **variables: str) -> None:
        port = free_port()
        self.url, self.folder = f"http://127.0.0.1:{port}", folder
        self.process = subprocess.Popen(  # noqa: S603 - our own
            command or [*TODO_API, "serve"],
            cwd=folder,
            env=environment(folder, **{"PORT": str(port)} | variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_up(self) -> "Run":
        """Return once it answers."""
        if not answers(self.url, self.process):
            self.process.kill()
            raise AssertionError(self.process.communicate())
        return self

    def token(self, user: str) -> str:
        """A token, as the greeting tells to get one."""
        return todo_api(self.folder, "token", user).stdout.strip()

    def stop(self, by: signal.Signals) -> tuple[int, str, str]:
        """Send a signal and return the exit status, stdout and stderr."""
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


class Process:
    """`todo-api serve` on a database of its caller's, with its log in a file: a pipe would be full soon."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.log = folder / "service.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("w") as log:
            env = environment(folder, **variables, PORT=str(port))
            self._process = subprocess.Popen([*TODO_API, "serve"], cwd=folder, env=env, stdout=log, stderr=log)  # noqa: S603 - our own

    def wait_until_up(self) -> None:
        """Wait until it answers."""
        assert answers(self.url, self._process), "the service did not start: " + self.log.read_text()

    @property
    def running(self) -> psutil.Process:
        """What the system knows of it."""
        return psutil.Process(self._process.pid)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for its end and return its exit status."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


@contextmanager
def serving(folder: Path, database_url: str, **settings: str) -> Iterator[Process]:
    """Serve as a process of its own, and end it in order."""
    process = Process(folder, DATABASE_URL=database_url, BETTER_AUTH_SECRET=SECRET, **settings)
    try:
        process.wait_until_up()
        yield process
        process.terminate()
        assert process.wait() == 0, process.log.read_text()
    finally:
        process.kill()


@contextmanager
def service_process(settings: Settings) -> Iterator[Service]:
    """The service on a database of its caller's, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="todo-api-") as name:
        has_timeout = "request_timeout" in settings.model_fields_set
        timeout = {"REQUEST_TIMEOUT": f"{settings.request_timeout:g}"} if has_timeout else {}
        with (
            serving(Path(name), settings.required_database_url, **timeout) as process,
            httpx.Client(base_url=process.url, timeout=30) as client,
        ):
            yield Service(client, settings, log=process.log)


def postgres_of(folder: Path) -> list[psutil.Process]:
    """The postmasters whose data is in this folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and str(folder) in " ".join(process.info["cmdline"] or [])
    ]
