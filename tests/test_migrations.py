"""The table as the models say it, as the migrations make it, and what it refuses by itself."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, make_url, pool, text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from sqlmodel import SQLModel

from app.cli import upgrade
from tests.support.cluster import Cluster
from tests.support.factories import make_task


@pytest.fixture
def empty(cluster: Cluster, database: Engine, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give the URL of a database with nothing in it; a second call gives another one."""
    made: list[str] = []

    def make() -> str:
        name = f"empty_{request.node.name.split('[')[0]}_{len(made)}"
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        made.append(name)
        return str(make_url(cluster.url).set(database=name).render_as_string(hide_password=False))

    yield make
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def engine(url: str) -> Engine:
    """Connect apart from the service."""
    return create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=pool.NullPool)


def dump(cluster: Cluster, url: str) -> str:
    """The schema as PostgreSQL itself tells it, without what differs from run to run, and Alembic's own table."""
    arguments = [str(cluster.bin / "pg_dump"), "--schema-only", "--exclude-table=alembic_version", url]
    told = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    return "\n".join(line for line in told.splitlines() if not line.startswith("\\"))


def alembic(url: str) -> Config:
    """Alembic as a developer runs it, by pyproject.toml."""
    config = Config(toml_file="pyproject.toml")
    config.attributes["url"] = url
    return config


def test_models_and_migrations_agree(cluster: Cluster, empty: Any) -> None:
    """To the letter: keys, checks, defaults and names, of which `alembic check` sees too little."""
    migrated, modelled = empty(), empty()
    upgrade(migrated)
    SQLModel.metadata.create_all(engine(modelled))
    assert dump(cluster, migrated) == dump(cluster, modelled)
    assert "task_title_length" in dump(cluster, migrated)


def test_migrations_go_up_and_down_and_up(cluster: Cluster, empty: Any) -> None:
    """Down leaves nothing behind."""
    url = empty()
    upgrade(url)
    there = dump(cluster, url)
    command.downgrade(alembic(url), "base")
    assert "CREATE" not in dump(cluster, url)
    command.upgrade(alembic(url), "head")
    assert dump(cluster, url) == there


def test_migrating_again_changes_nothing(cluster: Cluster, empty: Any) -> None:
    """`todo-api migrate` may be run at every start."""
    url = empty()
    upgrade(url)
    there = dump(cluster, url)
    upgrade(url)
    assert dump(cluster, url) == there


def test_there_is_nothing_to_generate(empty: Any) -> None:
    """`alembic check` agrees too."""
    url = empty()
    upgrade(url)
    command.check(alembic(url))


def test_backends_look_whether_their_client_is_there(empty: Any) -> None:
    """A statement that the service gives up must end."""
    url = empty()
    upgrade(url)
    with engine(url).connect() as connection:
        assert connection.execute(text("SHOW client_connection_check_interval")).scalar_one() == "1s"


def test_the_owner_comes_first_in_the_key(database: Engine) -> None:
    """Every query of a user reads one range of one index."""
    key = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'task_pkey'"
    with database.connect() as connection:
        assert connection.execute(text(key)).scalar_one() == "PRIMARY KEY (user_id, id)"


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"title": ""}, "task_title_length"),
        ({"title": "x" * 201}, "task_title_length"),
        ({"title": None}, '"title"'),
        ({"description": "x" * 1001}, "task_description_length"),
        ({"user_id": ""}, "task_user_id_length"),
        ({"user_id": "x" * 256}, "task_user_id_length"),
        ({"user_id": None}, '"user_id"'),
        ({"complete": None}, '"complete"'),
        ({"created_at": None}, '"created_at"'),
        ({"updated_at": None}, '"updated_at"'),
        ({"updated_at": "2020-01-01T00:00:00Z"}, "task_updated_after_created"),
    ],
)
def test_the_database_defends_itself(database: Engine, values: dict[str, Any], constraint: str) -> None:
    """It refuses what the API would have refused."""
    row = {"user_id": "alice", "title": "x"} | values
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    with database.begin() as connection, pytest.raises(IntegrityError, match=constraint):
        connection.execute(text(f"INSERT INTO task ({columns}) VALUES ({places})"), row)  # noqa: S608 - our names


def test_the_limits_are_limits(database: Engine) -> None:
    """What is just within them is stored."""
    task = make_task(database, user_id="u" * 255, title="🥛" * 200, description="d" * 1000)
    assert (task["complete"], task["created_at"]) == (False, task["updated_at"])


def test_nobody_else_gives_ids(database: Engine) -> None:
    """They come from the database alone, and can't be set."""
    with database.begin() as connection, pytest.raises(ProgrammingError, match="identity column"):
        connection.execute(text("INSERT INTO task (user_id, id, title) VALUES ('alice', 1, 'x')"))
    with database.begin() as connection, pytest.raises((IntegrityError, DataError), match="task_id_positive"):
        connection.execute(
            text("INSERT INTO task (user_id, id, title) OVERRIDING SYSTEM VALUE VALUES ('alice', 0, 'x')")
        )
