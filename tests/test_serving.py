"""`todo-api serve` as a platform starts it: its version, its migrations, and as many processes as are asked for."""

import re
import signal
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from select import PIPE_BUF
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from app.core.observability import logs
from tests.support.cluster import Cluster
from tests.support.processes import TODO_API, Run, postgres_of, todo_api, wait_for_two
from tests.support.service import SECRET
from tests.support.tokens import token

ALICE = {"authorization": f"Bearer {token('alice')}"}


@pytest.fixture
def empty(cluster: Cluster, database: Engine) -> Iterator[str]:
    """The URL of a second database without a table."""
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE unmigrated"))
        yield make_url(cluster.url).set(database="unmigrated").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE unmigrated WITH (FORCE)"))


def test_tables_of_a_newer_version_are_told(empty: str, folder: Path) -> None:
    """An older version that is started again must not change them, and need not: it serves without --migrate."""
    assert todo_api(folder, "migrate", DATABASE_URL=empty).returncode == 0
    with create_engine(empty.replace("postgresql:", "postgresql+psycopg2:"), poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE todo_api_version SET version_num = '9999'"))
    refused = todo_api(folder, "serve", "--migrate", DATABASE_URL=empty, BETTER_AUTH_SECRET=SECRET)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert refused.stderr.startswith("todo-api: the database failed: ")
    assert "'9999'" in refused.stderr


def test_the_command_tells_its_version(folder: Path) -> None:
    """The one of the package; nothing else is asked for."""
    told = todo_api(folder, "--version")
    assert (told.returncode, told.stdout, told.stderr) == (0, f"todo-api {version('todo-api')}\n", "")


def test_servers_that_migrate_may_start_together(empty: str, folder: Path, serve: Callable[..., Run]) -> None:
    """On a platform that gives no shell: all are ready, and the tables are there once."""
    command = [*TODO_API, "serve", "--migrate"]
    runs = [serve(folder, command, DATABASE_URL=empty, BETTER_AUTH_SECRET=SECRET) for _ in range(3)]
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


def test_as_many_processes_serve_as_the_platform_asks_for(folder: Path, serve: Callable[..., Run]) -> None:
    """One database for all, one greeting, metrics that add up whichever process answers, and one signal ends them."""
    run = serve(folder, WEB_CONCURRENCY="2").wait_until_up()
    started = wait_for_two(run)
    alice = {"authorization": f"Bearer {run.token('alice')}"}
    tasks = run.url + "/api/alice/tasks"
    assert {httpx.post(tasks, json={"title": "Buy milk"}, headers=alice).status_code for _ in range(20)} == {201}
    assert {httpx.get(tasks, headers=alice).json()["count"] for _ in range(20)} == {20}
    counted = r'http_requests_total{endpoint="/api/{user_id}/tasks",method="POST",status="201"} ([0-9.]+)'
    told = [re.findall(counted, httpx.get(run.url + "/metrics").text) for _ in range(20)]
    assert told == [["20.0"]] * 20
    assert len(postgres_of(folder)) == 1
    status, _, err = run.stop(signal.SIGTERM)
    assert (status, [one for one in started if one.is_running()], postgres_of(folder)) == (0, [], [])
    assert err.count("/docs") == 1
    assert "Traceback" not in err


def test_a_number_of_processes_that_is_none_is_told(folder: Path) -> None:
    """By the variable's name."""
    refused = todo_api(folder, "serve", WEB_CONCURRENCY="many")
    assert (refused.returncode, refused.stderr.startswith("todo-api: WEB_CONCURRENCY: ")) == (1, True)


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
