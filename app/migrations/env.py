"""Alembic's environment: where the database is, and what it should look like."""

from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from app import models
from app.core.settings import load

METADATA = models.Task.metadata
assert METADATA is SQLModel.metadata  # noqa: S101 - autogenerate compares against what the models fill

LOCKS = (
    "SELECT pg_advisory_xact_lock(hashtext('todo-api migrate'))",  # two that start at once: one after the other
    # the service's requests queue up behind one who waits for a table: not for longer than they can wait
    "SET LOCAL lock_timeout = '1s'",
)


def run() -> None:
    """Run the migrations in one transaction, on the URL that the caller gave, or else the configured one."""
    url = context.config.attributes.get("url") or load().url
    # SQLAlchemy reads a bare postgresql:// as another driver's, and postgres:// not at all
    engine = create_engine(
        make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg2"),
        poolclass=pool.NullPool,
    )
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=METADATA)
        with context.begin_transaction():
            for lock in LOCKS:
                connection.execute(text(lock))
            context.run_migrations()


run()
