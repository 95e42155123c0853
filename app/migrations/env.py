"""Alembic's environment: where the database is, and what it should look like."""

import sys

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text
from sqlmodel import SQLModel

from app import models
from app.core.database.dsn import connect
from app.core.settings import SettingsError, load

METADATA = models.Task.metadata
# Autogenerate compares against what the models fill.
assert METADATA is SQLModel.metadata  # noqa: S101 - see above

LOCKS = (
    # Concurrent migrations run one after the other, and wait for each other for a minute.
    "SET LOCAL lock_timeout = '60s'",
    "SELECT pg_advisory_xact_lock(hashtext('todo-api migrate'))",
    # Requests queue behind a migration that waits for a table's lock: it waits 1 s at most.
    "SET LOCAL lock_timeout = '1s'",
    # Citus refuses to replace a function after a distributed table was altered in parallel. Without
    # Citus this setting means nothing.
    "SET LOCAL citus.multi_shard_modify_mode = 'sequential'",
)

# Alembic's default, alembic_version, may belong to another application in the same database.
VERSION_TABLE = "todo_api_version"
# The tables and other relations of the schema, and the constraints of a table called task.
NAMES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    UNION
    SELECT conname FROM pg_constraint WHERE conrelid = to_regclass('task')
"""
# Every version of this service has given its table this constraint.
OUR_CONSTRAINT = "task_title_length"

# as the first migration does; Citus passes it on to the workers that there are by now
CHECK_INTERVAL = (
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_connection_check_interval = ''1s'''"
    ", current_database()); END $$"
)


def take_over(connection: Connection) -> None:
    """Rename alembic_version if it is this service's; raises SettingsError if a table is not."""
    names = set(connection.scalars(text(NAMES)))
    if VERSION_TABLE in names:
        return
    tables = sorted(METADATA.tables.keys() & names)
    if not tables:
        return
    if OUR_CONSTRAINT not in names:
        raise SettingsError(
            f"DATABASE_URL: another application has a table called {tables[0]} there. Give this"
            " service a schema of its own: CREATE SCHEMA todo, and options=-csearch_path%3Dtodo"
            " as a parameter of DATABASE_URL."
        )
    if "alembic_version" not in names:
        return
    # what versions of this service have written there
    ours = "SELECT FROM alembic_version WHERE version_num IN ('0001', '0002')"
    if connection.execute(text(ours)).rowcount:
        connection.execute(text(f"ALTER TABLE alembic_version RENAME TO {VERSION_TABLE}"))
        rename = "RENAME CONSTRAINT alembic_version_pkc TO"
        connection.execute(text(f"ALTER TABLE {VERSION_TABLE} {rename} {VERSION_TABLE}_pkc"))


def run() -> None:
    """Run the migrations in one transaction, on the caller's URL or else the configured one."""
    url = context.config.attributes.get("url") or load().required_database_url
    # libpq reads the URL, as it does for the service: SQLAlchemy does not know every form of it
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: connect(url, application_name="todo-api"),
        poolclass=pool.NullPool,
    )
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=METADATA, version_table=VERSION_TABLE
        )
        with context.begin_transaction():
            for lock in LOCKS:
                connection.execute(text(lock))
            take_over(connection)
            context.run_migrations()
            distribute(connection)


def distribute(connection: Connection) -> None:
    """Distribute the tables by their users if the database has the extension Citus."""
    if not connection.scalar(text("SELECT true FROM pg_extension WHERE extname = 'citus'")):
        return
    connection.execute(text(CHECK_INTERVAL))
    exists = text("SELECT to_regclass(:table) IS NOT NULL")
    is_distributed = text(
        "SELECT true FROM pg_dist_partition"
        " WHERE logicalrelid = :table ::regclass AND partmethod = 'h'"
    )
    distribute_table = text("SELECT create_distributed_table(:table, 'user_id')")
    # The rows have been copied to the shards. Nobody would see these again, nor delete them with
    # their user.
    truncate = text("SELECT truncate_local_data_after_distributing_table(:table)")
    for table in METADATA.tables:
        params = {"table": table}
        if not connection.scalar(exists, params) or connection.scalar(is_distributed, params):
            continue
        connection.execute(distribute_table, params)
        connection.execute(truncate, params)
        print(f"todo-api: {table} is distributed by user_id (Citus)", file=sys.stderr)


run()
