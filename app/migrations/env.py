"""Alembic's environment: where the database is, and what it should look like."""

from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlmodel import SQLModel

from app import models
from app.core.connection import connect
from app.core.settings import load

METADATA = models.Task.metadata
assert METADATA is SQLModel.metadata  # noqa: S101 - autogenerate compares against what the models fill

LOCKS = (
    "SET LOCAL lock_timeout = '60s'",  # for another migration
    "SELECT pg_advisory_xact_lock(hashtext('todo-api migrate'))",  # two that start at once: one after the other
    # the service's requests queue up behind one who waits for a table: not for longer than they can wait
    "SET LOCAL lock_timeout = '1s'",
)


def run() -> None:
    """Run the migrations in one transaction, on the URL that the caller gave, or else the configured one."""
    url = context.config.attributes.get("url") or load().url
    # libpq reads the URL, as it does for the service: SQLAlchemy does not know every form of it
    engine = create_engine("postgresql+psycopg2://", creator=lambda: connect(url), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=METADATA)
        with context.begin_transaction():
            for lock in LOCKS:
                connection.execute(text(lock))
            context.run_migrations()


run()
