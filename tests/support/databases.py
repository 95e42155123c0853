"""Databases beside the service's own, for tests that migrate or restore one by themselves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alembic.config import Config
from sqlalchemy import Engine, create_engine, make_url, pool, text

from tests.support.cluster import Cluster

MakeDatabase = Callable[[], str]
"""Makes an empty database; returns its URL."""


@contextmanager
def empty_databases(cluster: Cluster) -> Iterator[MakeDatabase]:
    """Give what makes databases in this cluster; they go with it."""
    names: list[str] = []

    def in_cluster(statement: str) -> None:
        with cluster.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))

    def make() -> str:
        names.append(f"empty_{len(names)}")
        in_cluster(f"CREATE DATABASE {names[-1]}")
        return make_url(cluster.url).set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    for name in names:
        in_cluster(f"DROP DATABASE {name} WITH (FORCE)")


def engine(url: str) -> Engine:
    """Connect to such a database, apart from the service."""
    return create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=pool.NullPool)


def alembic(url: str) -> Config:
    """Alembic on such a database, as a developer runs it by pyproject.toml."""
    config = Config(toml_file="pyproject.toml")
    config.attributes["url"] = url
    return config
