"""`todo-api` as an operator starts, stops and uses it: what it says when something is wrong, and how it ends."""

import json
import math
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

import app.main
from app import migrations
from app.core.database.dsn import connect
from app.core.settings import SettingsError
from tests.support.clock import PATIENCE, allowed, pause, wait_until
from tests.support.cluster import Cluster
from tests.support.databases import MakeDatabase
from tests.support.factories import make_task, rows
from tests.support.processes import TODO_API, UVICORN, Process, Run, free_port, postgres_of, serving, todo_api
from tests.support.service import SECRET, Service
from tests.support.tokens import token

ALICE = {"authorization": f"Bearer {token('alice')}"}
PASSWORD = "s3cret-pa55word"


@pytest.fixture
def with_passwords(cluster: Cluster, database: Engine) -> Iterator[Cluster]:
    """The cluster, with a user `guarded` who needs a password."""
    rules = cluster.log.parent / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all guarded scram-sha-256\n" + before)
    with database.begin() as connection:
        connection.execute(text(f"CREATE ROLE guarded LOGIN PASSWORD 'not-{PASSWORD}'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    yield cluster
    rules.write_text(before)
    with database.begin() as connection:
        connection.execute(text("DROP ROLE guarded"))
        connection.execute(text("SELECT pg_reload_conf()"))


def url(cluster: Cluster, **parts: str) -> str:
    """The cluster's URL, with some of it changed."""
    return make_url(cluster.url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


WRONG: dict[str, tuple[Callable[[Cluster], str], str]] = {
    "a wrong password": (
        lambda c: url(c, username="guarded", password=PASSWORD),
        "the server refuses its user or password",
    ),
    "no password": (lambda c: url(c, username="guarded"), "the server refuses its user or password"),
    "no such user": (lambda c: url(c, username="nobody", password=PASSWORD), "there is no such database or user"),
    "no such database": (lambda c: url(c, database="nothing", password=PASSWORD), "there is no such database or user"),
    "no such host": (lambda _: f"postgresql://u:{PASSWORD}@no..where/db", "there is no such host"),
    "an @ in the password": (lambda _: f"postgresql://u:x@{PASSWORD}..@localhost/db", "it can't be read"),
    "a / in the password": (lambda _: f"postgresql://u:{PASSWORD}/x@localhost/db", "it can't be read"),
    "another database's scheme": (lambda _: f"mysql://u:{PASSWORD}@localhost/db", "it can't be read"),
    "an option of other drivers": (
        lambda _: f"postgresql://u:{PASSWORD}@localhost/db?sslmode=disable&schema=public",
        'PostgreSQL has no parameter "schema"',
    ),
    "an unknown option": (lambda _: "postgresql://localhost/db?tls=yes", 'PostgreSQL has no parameter "tls"'),
    "a / and a ? in the password": (lambda _: f"postgresql://u:x/y?{PASSWORD}=z@localhost/db", "it can't be read"),
    "a ? in the password, and no host": (lambda _: f"postgresql://u:x?{PASSWORD}=y", "it can't be read"),
    "an @ and a ? in the password": (lambda _: f"postgresql://u:x@y?{PASSWORD}=z@localhost/db", "it can't be read"),
    "a space in the password": (lambda _: f"host=localhost password=x {PASSWORD}=y", "it can't be read"),
    "an impossible sslmode": (
        lambda _: f"postgresql://u:{PASSWORD}@localhost/db?sslmode=on",
        "PostgreSQL can't use the value of sslmode, or of its PG variable",
    ),
    "an impossible timeout": (
        lambda _: f"postgresql://u:{PASSWORD}@localhost/db?connect_timeout=soon",
        "PostgreSQL can't use the value of connect_timeout, or of its PG variable",
    ),
    "an impossible target": (
        lambda _: f"postgresql://u:{PASSWORD}@localhost/db?target_session_attrs=rw",
        "PostgreSQL can't use the value of target_session_attrs, or of its PG variable",
    ),
    "an impossible version of TLS": (
        lambda _: f"postgresql://u:{PASSWORD}@localhost/db?ssl_min_protocol_version=9",
        "PostgreSQL can't use the value of ssl_min_protocol_version, or of its PG variable",
    ),
    "no URL": (lambda _: PASSWORD, "it can't be read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_url_is_told_by_what_is_wrong(with_passwords: Cluster, what: str) -> None:
    """One sentence that names the variable and what to check, and holds nothing of the password."""
    wrong, said = WRONG[what]
    with pytest.raises(SettingsError) as problem:
        connect(wrong(with_passwords))
    assert str(problem.value).startswith(f"DATABASE_URL: {said}; check that it is postgresql://USER:PASSWORD@HOST/")
    assert PASSWORD not in str(problem.value)


def test_a_name_in_a_message_is_not_its_cause(cluster: Cluster, database: Engine) -> None:
    """A database that is away for now is waited for, whatever its role is called."""
    with database.begin() as connection:
        connection.execute(text("CREATE ROLE password_certificate LOGIN CONNECTION LIMIT 0"))
    try:
        with pytest.raises(psycopg2.OperationalError, match="too many connections"):
            connect(url(cluster, username="password_certificate"))
    finally:
        with database.begin() as connection:
            connection.execute(text("DROP ROLE password_certificate"))


@pytest.mark.parametrize("what", ["a wrong password", "another database's scheme"])
@pytest.mark.parametrize("arguments", [["serve"], ["migrate"], ["delete-user", "alice"]], ids=" ".join)
def test_a_wrong_url_ends_every_command(
    with_passwords: Cluster, tmp_path: Path, what: str, arguments: list[str]
) -> None:
    """With that sentence alone, and status 1."""
    wrong, said = WRONG[what]
    ended = todo_api(tmp_path, *arguments, DATABASE_URL=wrong(with_passwords), PORT=str(free_port()))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"todo-api: DATABASE_URL: {said}; check that it is ")
    assert ended.stderr.count("\n") == 1
    assert PASSWORD not in ended.stderr


def test_a_wrong_url_stops_another_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who imports `app.main:app`, as `uvicorn app.main:app` does, is told the same."""
    monkeypatch.setenv("DATABASE_URL", f"mysql://u:{PASSWORD}@localhost/db")
    monkeypatch.setenv("BETTER_AUTH_SECRET", SECRET)
    with pytest.raises(SystemExit) as ended:
        _ = app.main.app
    assert str(ended.value).startswith("DATABASE_URL: it can't be read")
    assert PASSWORD not in str(ended.value)


def test_it_starts_without_its_database_and_is_ready_when_that_comes(
    cluster: Cluster, database: Engine, tmp_path: Path
) -> None:
    """It says clearly what is missing, serves errors until then, and needs no second start."""
    cluster.stop()
    with serving(tmp_path, cluster.url, REQUEST_TIMEOUT="1") as service:
        assert "todo-api: the database can't be reached yet: " in service.log.read_text()
        refused = httpx.post(service.url + "/api/alice/tasks", json={"title": "Buy milk"}, headers=ALICE)
        assert (refused.status_code, refused.json()["error_code"]) == (500, "DATABASE_ERROR")
        cluster.start()
        assert httpx.get(service.url + "/health/ready").status_code == 200
        created = httpx.post(service.url + "/api/alice/tasks", json={"title": "Buy milk"}, headers=ALICE)
        assert created.status_code == 201
    assert [row["title"] for row in rows(database, "alice")] == ["Buy milk"]


def test_migrate_says_that_the_database_is_away(tmp_path: Path) -> None:
    """What can't be done now ends with status 1 and says why, without the password."""
    ended = todo_api(tmp_path, "migrate", DATABASE_URL=f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/db")
    assert ended.returncode == 1
    assert "todo-api: the database can't be reached yet: connection to server" in ended.stderr
    assert "todo-api: the database failed: connection to server" in ended.stderr
    assert PASSWORD not in ended.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a database that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://u:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}/db"


def test_migrate_gives_a_silent_database_up(silent: str, tmp_path: Path) -> None:
    """In seconds, and says so."""
    began = time.monotonic()
    ended = todo_api(tmp_path, "migrate", DATABASE_URL=silent)
    assert time.monotonic() - began < allowed(12)
    assert ended.returncode == 1
    assert "todo-api: the database failed: connection to server" in ended.stderr
    assert "timeout expired" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert PASSWORD not in ended.stderr


def test_a_signal_ends_migrate_whatever_it_waits_for(silent: str, tmp_path: Path, serve: Callable[..., Run]) -> None:
    """The library waits where Python sees no signal."""
    run = serve(tmp_path, [*TODO_API, "migrate"], DATABASE_URL=silent)
    migrating = psutil.Process(run.process.pid)
    wait_until(lambda: [link for link in migrating.net_connections("tcp") if link.status == psutil.CONN_ESTABLISHED])
    began = time.monotonic()
    status, _, err = run.stop(signal.SIGTERM)
    assert time.monotonic() - began < allowed(1)
    assert status == -signal.SIGTERM
    assert "Traceback" not in err


def requests_under_way(service: Process, database: Engine, count: int, do: Callable[[], None]) -> list[httpx.Response]:
    """Send so many creations while the table is locked, do something, and return their answers."""
    with (
        ThreadPoolExecutor(count) as clients,
        httpx.Client(base_url=service.url, headers=ALICE, timeout=PATIENCE) as http,
    ):
        with database.connect() as lock:
            lock.execute(text("LOCK TABLE task"))
            sent = [clients.submit(http.post, "/api/alice/tasks", json={"title": f"Task {n}"}) for n in range(count)]
            pause(0.5)  # until all of them have come in
            assert not any(answer.done() for answer in sent)
            do()
            pause(0.3)
            lock.rollback()
        return [answer.result() for answer in sent]


def test_a_signal_lets_what_is_under_way_finish(cluster: Cluster, database: Engine, tmp_path: Path) -> None:
    """All 40 answers arrive, nobody new is let in, the pool is closed, and it ends at once after that."""
    with database.connect() as connection:
        others = connection.execute(text("SELECT pid FROM pg_stat_activity")).scalars().all()
    with serving(tmp_path, cluster.url, DATABASE_POOL_SIZE="5", REQUEST_TIMEOUT="60") as service:
        answers = requests_under_way(service, database, 40, service.terminate)
        began = time.monotonic()
        assert service.wait() == 0
        assert time.monotonic() - began < allowed(2)
        assert [answer.status_code for answer in answers] == [201] * 40
        assert len(rows(database, "alice")) == 40
        with pytest.raises(httpx.ConnectError):
            httpx.get(service.url + "/health")
        with database.connect() as connection:
            left = text(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND pid <> ALL(:others)"
            )
            assert connection.execute(left, {"others": list(others)}).scalar_one() == 0


def idle_stop(cluster: Cluster, folder: Path) -> float:
    """The seconds in which a service that nobody has asked ends, on this machine, now: 0.4 on an idle one."""
    folder.mkdir()
    with serving(folder, cluster.url) as service:
        began = time.monotonic()
        service.terminate()
        assert service.wait() == 0
        return time.monotonic() - began


@pytest.mark.usefixtures("database")
def test_a_signal_is_not_held_up(cluster: Cluster, tmp_path: Path) -> None:
    """By a silent database or a slow caller: the process ends within REQUEST_TIMEOUT and a second.

    Who waits for the database is told to try again, and so is who has not sent a whole request by then.
    """
    # whole seconds, as uvicorn counts a stop; a body is given up after 30 s, whatever REQUEST_TIMEOUT is
    timeout = math.ceil(min(allowed(2), 20))
    idle_before = idle_stop(cluster, tmp_path / "before")
    with (
        serving(tmp_path, cluster.url, REQUEST_TIMEOUT=str(timeout)) as service,
        ThreadPoolExecutor(20) as clients,
        httpx.Client(base_url=service.url, headers=ALICE, timeout=PATIENCE) as http,
        socket.create_connection(("127.0.0.1", http.base_url.port or 0), timeout=PATIENCE) as slow,
    ):
        assert http.get("/api/alice/tasks").status_code == 200
        head = f"POST /api/alice/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['authorization']}\r\n"
        slow.sendall(head.encode() + b'Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"title":')
        cluster.freeze()
        asked = [clients.submit(http.get, "/api/alice/tasks") for _ in range(20)]
        time.sleep(timeout / 4)  # until all of them have come in
        assert not any(answer.done() for answer in asked)
        began = time.monotonic()
        service.terminate()
        assert service.wait() == 0
        seconds = time.monotonic() - began
        assert [answer.result().status_code for answer in asked] == [500] * 20
        told = slow.makefile("rb").read().decode()
    cluster.start()  # it was frozen
    idle = max(idle_before, idle_stop(cluster, tmp_path / "after"))
    assert seconds < timeout + max(1, 2 * idle)
    assert "HTTP/1.1 500" in told
    assert '"error_code": "INTERNAL_ERROR"' in told
    assert "x-request-id: " in told
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    assert {line["status"] for line in lines if "status" in line} == {200, 500}
    assert not any("exception" in line for line in lines if "status" not in line)


# Migrations


def test_migrations_that_start_together_take_turns(
    make_database: MakeDatabase, tmp_path: Path, serve: Callable[..., Run]
) -> None:
    """While one is at work the others wait; each of them ends well then, and the tables are there once."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    url = make_database()
    with closing(psycopg2.connect(url)) as first, first.cursor() as cursor, ThreadPoolExecutor(1) as threads:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('todo-api migrate'))")
        second, third = (
            threads.submit(migrations.upgrade, url),
            serve(tmp_path, [*TODO_API, "migrate"], DATABASE_URL=url),
        )

        def both_wait() -> bool:
            assert not second.done()
            cursor.execute(waiting)
            return cursor.fetchone() == (2,)

        wait_until(both_wait)
        first.rollback()
        second.result()
        assert (third.process.communicate(timeout=PATIENCE)[1], third.process.returncode) == ("", 0)
        cursor.execute(
            "SELECT count(*) FROM todo_api_version, pg_tables WHERE tablename IN ('task', 'idempotency_key')"
        )
        assert cursor.fetchone() == (2,)


def test_a_migration_that_must_wait_gives_up_before_the_service_does(
    cluster: Cluster, service: Service, database: Engine, tmp_path: Path
) -> None:
    """A long reader keeps it from its lock; requests that queue up behind it are all answered well."""
    (tmp_path / "later.py").write_text(
        "from alembic import op\nrevision = 'later'\ndown_revision = '0001'\n"
        "def upgrade() -> None:\n    op.execute('ALTER TABLE task ADD COLUMN note text')\n"
    )
    config, migrations = Config(), Path(__file__).parents[2] / "app" / "migrations"
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{migrations / 'versions'}\n{tmp_path}")
    config.attributes["url"] = cluster.url
    make_task(database, user_id="alice", title="Buy milk")
    with ThreadPoolExecutor(1) as threads:
        with database.connect() as reader:
            reader.execute(text("SELECT * FROM task")).all()
            migration = threads.submit(upgrade, config, "later")
            answers = []
            while not migration.done():
                answers.append(service.http.get("/api/alice/tasks", headers=ALICE))
        with pytest.raises(OperationalError, match="lock timeout"):
            migration.result()
    assert {answer.status_code for answer in answers} == {200}
    assert max(answer.elapsed.total_seconds() for answer in answers) > 0.5  # one did queue up


# Closed accounts


def test_a_closed_account_is_deleted_and_no_other(cluster: Cluster, database: Engine, tmp_path: Path) -> None:
    """Every row of the user's, in every table, and it says how many."""
    for owner in ("alice", "bob", "bob", "carol"):
        make_task(database, user_id=owner)
    ended = todo_api(tmp_path, "delete-user", "bob", DATABASE_URL=cluster.url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "task rows deleted: 2\n" in ended.stdout
    assert [len(rows(database, owner)) for owner in ("alice", "bob", "carol")] == [1, 0, 1]


# The command, as a person runs it


def create(run: Run, title: str) -> None:
    """Create a task of Alice's."""
    headers = {"authorization": f"Bearer {run.token('alice')}"}
    assert httpx.post(f"{run.url}/api/alice/tasks", json={"title": title}, headers=headers).status_code == 201


def titles(run: Run) -> list[str]:
    """Alice's tasks."""
    answer = httpx.get(f"{run.url}/api/alice/tasks", headers={"authorization": f"Bearer {run.token('alice')}"})
    return [task["title"] for task in answer.json()["tasks"]]


def test_a_task_survives_the_server(folder: Path, serve: Callable[..., Run]) -> None:
    """Stopped in order, nothing is left behind; killed, the next run takes the orphaned PostgreSQL over."""
    kept: list[str] = []
    for by in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        run = serve(folder).wait_until_up()
        assert titles(run) == kept
        create(run, by.name)
        kept.insert(0, by.name)
        status, _, err = run.stop(by)
        if by is signal.SIGKILL:
            assert len(postgres_of(folder)) == 1
        else:
            assert (status, postgres_of(folder)) == (0, [])
            assert "Traceback" not in err
    again = serve(folder).wait_until_up()
    assert titles(again) == kept
    assert again.stop(signal.SIGTERM)[0] == 0
    assert postgres_of(folder) == []


def test_a_server_greets_and_keeps_its_folder_to_itself(folder: Path, serve: Callable[..., Run]) -> None:
    """It tells where the docs are and how to get a token; of two, the first to stop would take the other's database."""
    run = serve(folder).wait_until_up()
    second = serve(folder)
    _, refusal = second.process.communicate(timeout=PATIENCE)
    assert second.process.returncode == 1
    assert "is in use by another todo-api" in refusal
    httpx.get(run.url + "/docs")
    _, out, err = run.stop(signal.SIGTERM)
    assert f"{run.url}/docs" in err
    assert "todo-api token alice" in err
    assert "Tokens: HS256" in err
    assert "Pages: http://localhost:3000" in err
    # stdout holds nothing but the log
    assert [json.loads(line)["endpoint"] for line in out.splitlines()][-1] == "/docs"


def test_a_port_in_use_is_told_and_leaves_nothing_behind(folder: Path, serve: Callable[..., Run]) -> None:
    """Its PostgreSQL is not even started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = serve(folder, PORT=str(taken.getsockname()[1]))
        out, err = run.process.communicate(timeout=PATIENCE)
    assert (run.process.returncode, out) == (1, "")
    assert err.startswith("todo-api: PORT: ")
    assert postgres_of(folder) == []


def test_uvicorn_serves_the_app_too(folder: Path, cluster: Cluster, serve: Callable[..., Run]) -> None:
    """As everyone in this ecosystem expects, where a database and a secret are set."""
    port = str(free_port())
    command = [*UVICORN, "--port", port, "--no-access-log"]
    run = serve(folder, command, PORT=port, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET)
    run.url = f"http://127.0.0.1:{port}"
    run.wait_until_up()
    assert httpx.get(run.url + "/health/ready").json() == {"status": "ok"}


def test_uvicorn_is_told_what_is_missing(folder: Path, serve: Callable[..., Run]) -> None:
    """One message, no traceback."""
    run = serve(folder, UVICORN)
    _, err = run.process.communicate(timeout=PATIENCE)
    assert run.process.returncode == 1
    assert "DATABASE_URL is missing" in err
    assert "Traceback" not in err
