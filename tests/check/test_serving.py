"""`todo-api serve` as a platform starts it: its version, its migrations, one process."""

import signal
import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from select import PIPE_BUF
from types import SimpleNamespace

import httpx
import psutil
import pytest

from app.core.observability import logs
from tests.support.cluster import Cluster
from tests.support.databases import MakeDatabase
from tests.support.processes import TODO_API, Run, todo_api
from tests.support.service import SECRET
from tests.support.tokens import token

ALICE = {"authorization": f"Bearer {token('alice')}"}


def test_the_command_tells_its_version(folder: Path) -> None:
    """The one of the package; nothing else is asked for."""
    told = todo_api(folder, "--version")
    assert (told.returncode, told.stdout, told.stderr) == (0, f"todo-api {version('todo-api')}\n", "")


@pytest.mark.usefixtures("database")
def test_the_first_line_of_the_start_tells_the_version(
    cluster: Cluster, folder: Path, serve: Callable[..., Run]
) -> None:
    """So the log of an update says where the new version began."""
    run = serve(folder, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET).wait_until_up()
    _, _, err = run.stop(signal.SIGTERM)
    assert err.splitlines()[0] == f"Todo API {version('todo-api')}: {run.url}/docs"


def test_servers_that_migrate_may_start_together(
    make_database: MakeDatabase, folder: Path, serve: Callable[..., Run]
) -> None:
    """On a platform that gives no shell: all are ready, and the tables are there once."""
    command, url = [*TODO_API, "serve", "--migrate"], make_database()
    runs = [serve(folder, command, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET) for _ in range(3)]
    for run in runs:
        run.wait_until_up()
        assert httpx.get(run.url + "/health/ready").json() == {"status": "ok"}
        created = httpx.post(run.url + "/api/alice/tasks", json={"title": "Buy milk"}, headers=ALICE)
        assert created.status_code == 201
    assert [run.stop(signal.SIGTERM)[0] for run in runs] == [0, 0, 0]


def test_a_server_that_can_not_migrate_does_not_start(folder: Path) -> None:
    """The platform tries again; it would be wrong to serve on old tables."""
    refused = todo_api(
        folder, "serve", "--migrate", DATABASE_URL="postgresql://127.0.0.1:1/x", BETTER_AUTH_SECRET=SECRET
    )
    assert refused.returncode == 1
    assert "todo-api: the database failed: connection to server" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_one_process_serves_whatever_a_platform_asks_for(folder: Path, serve: Callable[..., Run]) -> None:
    """Some set `WEB_CONCURRENCY`, which uvicorn would obey, or refuse: here an instance is one process."""
    run = serve(folder, WEB_CONCURRENCY="many").wait_until_up()
    assert {child.name() for child in psutil.Process(run.process.pid).children()} <= {"postgres"}
    assert run.stop(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("host", ["::", "0:0::0", "localhost", "127.0.0.1"])
@pytest.mark.usefixtures("database")
def test_it_listens_where_it_is_told_to(cluster: Cluster, folder: Path, serve: Callable[..., Run], host: str) -> None:
    """On every address of the host; `::` is all of them, IPv4's too. The start names it as a URL does."""
    run = serve(
        folder, HOST=host, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET, ENVIRONMENT="production"
    ).wait_until_up()
    port = httpx.URL(run.url).port
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    if ":" in host and Path("/proc/net/if_inet6").exists():
        assert httpx.get(f"http://[::1]:{port}/health").status_code == 200
    if ":" in host:
        # its IPv4 peers are named as in FORWARDED_ALLOW_IPS: its default believes this one
        tls = ALICE | {"x-forwarded-proto": "https"}
        assert httpx.get(f"http://127.0.0.1:{port}/api/alice/tasks", headers=tls).status_code == 200
    status, _, err = run.stop(signal.SIGTERM)
    assert status == 0
    assert f"http://[{host}]:{port}/docs" in err if ":" in host else f"http://{host}:{port}/docs" in err


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("x86_64-conda-linux-gnu", "HOST: x86_64-conda-linux-gnu is not an address of this machine"),
        ("192.0.2.1", "HOST: 192.0.2.1 is not an address of this machine"),
        ("2001:db8::1", "HOST: 2001:db8::1 is not an address of this machine"),
        ("a" * 64, f"HOST: {'a' * 64} is not an address of this machine"),
        ("127.0.0.1", "PORT: {port} is in use already on 127.0.0.1"),
        ("::", "PORT: {port} is in use already on ::"),
    ],
)
def test_where_it_can_not_listen_it_starts_nothing(folder: Path, host: str, message: str) -> None:
    """One sentence names the variable, before a database is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = todo_api(folder, "serve", HOST=host, PORT=str(port))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("todo-api: " + message.format(port=port))
    assert not (folder / "data").exists()


def test_a_folder_that_can_not_be_written_to_is_told(folder: Path) -> None:
    """As in a container whose file system is read-only; not by a traceback."""
    (folder / "data").touch()
    for command in (["serve"], ["token", "alice"]):
        refused = todo_api(folder, *command)
        assert refused.returncode == 1
        assert str(folder / "data") in refused.stderr
        assert (refused.stderr.startswith("todo-api: "), "Traceback" in refused.stderr) == (True, False)


def test_processes_that_share_a_pipe_tear_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe takes up to PIPE_BUF bytes whole; of more, it may take another process's lines in between."""
    written: list[bytes] = []

    def write(data: bytes) -> int:
        written.append(bytes(data))
        return len(data)

    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=SimpleNamespace(raw=SimpleNamespace(write=write))))
    lines = [b'{"n": %d}\n' % n for n in range(2000)]
    long = b"x" * PIPE_BUF + b"\n"
    logs._write(b"".join([*lines, long, *lines]))
    assert b"".join(written) == b"".join([*lines, long, *lines])
    assert all(piece.endswith(b"\n") and (len(piece) <= PIPE_BUF or piece == long) for piece in written)
    assert len(written) < 20
