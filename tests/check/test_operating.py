"""What docs/deploying.md and docs/operations.md give an operator to copy: it does what they say."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, make_url, pool, text

from app.migrations import upgrade
from tests.support.cluster import Cluster
from tests.support.factories import rows
from tests.support.people import Cast
from tests.support.service import SECRET, running_service, service_in_process, settings_for

ROOT = Path(__file__).parents[2]


def example(document: str, first_line: str) -> str:
    """The block of a document that begins with this line."""
    (found,) = re.findall(
        rf"^```\w+\n({re.escape(first_line)}\n.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL
    )
    return str(found)


# Backup and restore


@pytest.fixture
def make_database(cluster: Cluster, database: Engine) -> Iterator[Callable[[str], str]]:
    """Make an empty database of this name, and return its URL."""
    made: list[str] = []
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        def make(name: str) -> str:
            connection.execute(text(f"CREATE DATABASE {name}"))
            made.append(name)
            return make_url(cluster.url).set(database=name).render_as_string(hide_password=False)

        yield make
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def engine(url: str) -> Engine:
    """Connect apart from the service."""
    return create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=pool.NullPool)


def in_shell(cluster: Cluster, folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as an operator does, where PostgreSQL's own programs and `todo-api` are on the PATH."""
    path = os.pathsep.join([str(cluster.bin), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(  # noqa: S603 - our own
        ["/bin/sh", "-eu", "-c", script],
        cwd=folder,
        env={"PATH": path, "BETTER_AUTH_SECRET": SECRET} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def old(cluster: Cluster, make_database: Callable[[str], str], tmp_path: Path) -> dict[str, Any]:
    """A backup of before migration 0003, which created the first function that depends on `task`; what was in it."""
    url = make_database("old")
    config = Config(toml_file="pyproject.toml")
    config.attributes["url"] = url
    command.upgrade(config, "0002")
    answer = (
        '{"id": 2, "user_id": "alice", "title": "Buy milk", "description": null, "complete": false,'
        ' "created_at": "2025-12-20T11:30:00.123456Z", "updated_at": "2025-12-20T11:30:00.123456Z"}'
    )
    with engine(url).begin() as connection:
        connection.execute(
            text("INSERT INTO task (user_id, title) VALUES ('bob', 'Call Alice'), ('alice', 'Buy milk')")
        )
        connection.execute(
            text("INSERT INTO idempotency_key VALUES ('alice', 'one', sha256(:body), 2, :answer)"),
            {"body": b'{"title":"Buy milk"}', "answer": answer},
        )
    saved = in_shell(cluster, tmp_path, example("docs/operations.md", "# back up"), DATABASE_URL=url)
    assert saved.returncode == 0, saved.stderr
    return {"url": url, "alice": rows(engine(url), "alice"), "bob": rows(engine(url), "bob")}


def test_a_backup_of_an_older_version_is_restored(
    cluster: Cluster, make_database: Callable[[str], str], tmp_path: Path, old: dict[str, Any]
) -> None:
    """By the page's own commands: every task and key is there, and no id is given again that the lost tasks had."""
    url = make_database("restored")
    restore = example("docs/operations.md", "# restore")
    restored = in_shell(cluster, tmp_path, restore, RESTORED_URL=url, DATABASE_URL=old["url"])
    assert restored.returncode == 0, restored.stderr
    assert {user: rows(engine(url), user) for user in ("alice", "bob")} == {"alice": old["alice"], "bob": old["bob"]}
    with running_service(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 200
        alice = Cast(service)("Alice")
        retry, new = [
            alice.ask("POST", alice.tasks_path(), json={"title": "Buy milk"}, headers=headers)
            for headers in ({"Idempotency-Key": "one"}, {})
        ]
    assert (retry.json()["id"], retry.headers["etag"]) == (2, '"2025-12-20T11:30:00.123456Z"')
    assert new.json()["id"] > 1_000_000


def test_a_backup_is_not_restored_over_newer_tables(
    cluster: Cluster, make_database: Callable[[str], str], tmp_path: Path, old: dict[str, Any]
) -> None:
    """With the page's options nothing changes. Without them the tables are damaged, and everything says so."""
    url = make_database("newer")
    upgrade(url)
    with engine(url).begin() as connection:
        connection.execute(text("INSERT INTO task (user_id, title) VALUES ('bob', 'New'), ('alice', 'New')"))
    before = in_shell(cluster, tmp_path, f"pg_dump --restrict-key=x '{url}'").stdout
    assert "New" in before

    whole = in_shell(
        cluster, tmp_path, example("docs/operations.md", "# restore"), RESTORED_URL=url, DATABASE_URL=old["url"]
    )
    assert "already exists" in whole.stderr
    over = "pg_restore --clean --if-exists {} --no-owner --dbname='{}' todo.dump"
    cleaned = in_shell(cluster, tmp_path, over.format("--single-transaction", url))
    assert "cannot drop table public.task because other objects depend on it" in cleaned.stderr
    assert in_shell(cluster, tmp_path, f"pg_dump --restrict-key=x '{url}'").stdout == before

    in_shell(cluster, tmp_path, over.format("", url))
    assert len(rows(engine(url), "alice")) == 2
    with service_in_process(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 503
    migrated = in_shell(cluster, tmp_path, "todo-api migrate", DATABASE_URL=url)
    assert (migrated.returncode, "already exists" in migrated.stderr) == (1, True)
