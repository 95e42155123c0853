"""Alembic's environment: where the database is, and what it should look like."""

import sys

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text
from sqlmodel import SQLModel

from app import models
from app.core.database.dsn import connect
from app.core.settings import PROGRAM, SettingsError, load_settings

METADATA = SQLModel.metadata

# The first statements of each transaction.
LOCKS_AND_SETTINGS = (
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
# The names of the schema's tables (and of its other relations).
TABLE_NAMES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
"""
# Every version of this service has given its table this constraint.
TASK_IS_OURS = """
    SELECT true FROM pg_constraint
    WHERE conrelid = to_regclass('task') AND conname = 'task_title_length'
"""

# The same setting of the database that migration 0001 makes, which says why. It is made again for
# a restored dump, and for workers of Citus that were added since.
CHECK_INTERVAL = """
    DO $$ BEGIN
        EXECUTE format(
            'ALTER DATABASE %I SET client_connection_check_interval = ''1s''', current_database()
        );
    END $$
"""
# Whether this role may do that, the interval that the database had when this session began, and
# whether Citus is there.
CHECK_INTERVAL_STATE = """
    SELECT
        pg_has_role(datdba, 'USAGE'),
        current_setting('client_connection_check_interval'),
        EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
    FROM pg_database
    WHERE datname = current_database()
"""
# Whether this role may make tables; NULL if no schema of the search path exists.
MAY_CREATE = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
HAS_TASK_TABLE = "SELECT to_regclass('task') IS NOT NULL"

# What PostgreSQL calls the sequence of an identity column, unless the name is taken.
ID_SEQUENCE = "task_id_seq"
# New ids begin this far beyond the largest one. ADVANCE looks at the last id that was drawn, and
# then sets another one. Requests may draw ids in between: the sequence must not be set back behind
# them, and it is assumed that they are fewer than this.
ID_MARGIN = 1000
# The last id that was drawn, if any; this needs no right to select from the sequence.
LAST_ID = f"coalesce(pg_sequence_last_value('{ID_SEQUENCE}'::regclass), 0)"
ADVANCE = f"SELECT setval('{ID_SEQUENCE}', :start) WHERE {LAST_ID} < :largest"


def take_over(connection: Connection) -> None:
    """Rename alembic_version to VERSION_TABLE if it is this service's.

    Raises SettingsError if another application has something of the same name as a table of ours
    or as the sequence of the tasks' ids, or if this role may create no tables.
    """
    names = set(connection.scalars(text(TABLE_NAMES)))
    if VERSION_TABLE in names:
        return
    if not connection.scalar(text(MAY_CREATE)):
        raise SettingsError(
            "DATABASE_URL: its role may not create tables there. Let an owner of the database give"
            " it a schema of its own: CREATE SCHEMA todo AUTHORIZATION todo, which PostgreSQL"
            " searches first for a role called todo."
        )
    taken = sorted({*METADATA.tables, ID_SEQUENCE} & names)
    if not taken:
        return
    if not connection.scalar(text(TASK_IS_OURS)):
        raise SettingsError(
            f"DATABASE_URL: another application has something called {taken[0]} there. Give this"
            " service a schema of its own: CREATE SCHEMA todo, and options=-csearch_path%3Dtodo"
            " as a parameter of DATABASE_URL."
        )
    if "alembic_version" not in names:
        return
    # Only 0001 and 0002 were ever written to alembic_version. Later ones go to VERSION_TABLE.
    ours = "SELECT FROM alembic_version WHERE version_num IN ('0001', '0002')"
    if connection.execute(text(ours)).rowcount:
        connection.execute(text(f"ALTER TABLE alembic_version RENAME TO {VERSION_TABLE}"))
        rename = "RENAME CONSTRAINT alembic_version_pkc TO"
        connection.execute(text(f"ALTER TABLE {VERSION_TABLE} {rename} {VERSION_TABLE}_pkc"))


def run() -> None:
    """Run the migrations, or write them down (`alembic upgrade head --sql`)."""
    if context.is_offline_mode():
        run_offline()
    else:
        run_online()


def run_offline() -> None:
    """Write the migrations down as SQL, which needs no database.

    What depends on a database is left out: an old alembic_version, Citus, and ids that the sequence
    has not given (advance_ids).
    """
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # psycopg2's own doubles each %
        target_metadata=METADATA,
        version_table=VERSION_TABLE,
        literal_binds=True,
    )
    with context.begin_transaction():
        for statement in LOCKS_AND_SETTINGS:
            context.execute(statement)
        context.run_migrations()


def run_online() -> None:
    """Run the migrations in one transaction, on the caller's URL or else the configured one."""
    url = context.config.attributes.get("url") or load_settings().required_database_url
    # libpq reads the URL, as it does for the service: SQLAlchemy does not know every form of it
    engine = create_engine(
        "postgresql+psycopg2://",
        # Its own name, so that PostgreSQL's log tells a migration's statements from a request's.
        # Each of a request's must name one owner (tests/faults/after_the_scenarios.py).
        creator=lambda: connect(url, application_name=f"{PROGRAM} migrate"),
        poolclass=pool.NullPool,
    )
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=METADATA, version_table=VERSION_TABLE
        )
        with context.begin_transaction():
            for statement in LOCKS_AND_SETTINGS:
                connection.execute(text(statement))
            take_over(connection)
            context.run_migrations()
            set_check_interval(connection)
            distribute(connection)
        # in a transaction of its own: it reads all of the table, and requests wait for a migration
        with connection.begin():
            for statement in LOCKS_AND_SETTINGS:
                connection.execute(text(statement))
            advance_ids(connection)


def set_check_interval(connection: Connection) -> None:
    """Set what the first migration sets on the database, where it may be missing.

    A dump that was restored into another database lacks it. If the role does not own the database,
    stderr says which statement the owner has to run.
    """
    if not connection.scalar(text(HAS_TASK_TABLE)):
        return
    is_owner, interval, is_citus = connection.execute(text(CHECK_INTERVAL_STATE)).one()
    is_set = interval != "0"
    # on Citus always: a worker that was added since does not have it
    if is_owner and (is_citus or not is_set):
        connection.execute(text(CHECK_INTERVAL))
    if not is_owner and not is_set:
        print(
            f"{PROGRAM}: client_connection_check_interval is left out, because this role does not"
            " own the database. Its owner runs: ALTER DATABASE name SET"
            " client_connection_check_interval = '1s'",
            file=sys.stderr,
        )


def advance_ids(connection: Connection) -> None:
    """If tasks were copied in with their ids, move the sequence past them, and say so on stderr.

    They are copied so by logical replication, or from a dump without the sequence. The sequence is
    never set back. Citus gives all ids on the coordinator, so it is this database's sequence there
    too.
    """
    if not connection.scalar(text(HAS_TASK_TABLE)):
        return
    largest = connection.scalar(text("SELECT max(id) FROM task")) or 0
    start = min(largest + ID_MARGIN, models.ID_MAX)
    was_behind = connection.scalar(text(ADVANCE), {"start": start, "largest": largest})
    if was_behind:
        print(
            f"{PROGRAM}: tasks came with their ids; new ones begin after {start}", file=sys.stderr
        )


def distribute(connection: Connection) -> None:
    """Distribute the tables by their users if the database has the extension Citus."""
    if not connection.scalar(text("SELECT true FROM pg_extension WHERE extname = 'citus'")):
        return
    exists = text("SELECT to_regclass(:table) IS NOT NULL")
    is_distributed = text(
        "SELECT true FROM pg_dist_partition"
        " WHERE logicalrelid = :table ::regclass AND partmethod = 'h'"
    )
    distribute_table = text("SELECT create_distributed_table(:table, 'user_id')")
    # The rows have been copied to the shards. The coordinator's own copies would stay, unseen, and
    # would not be deleted with their user.
    truncate = text("SELECT truncate_local_data_after_distributing_table(:table)")
    for table in METADATA.tables:
        params = {"table": table}
        if not connection.scalar(exists, params) or connection.scalar(is_distributed, params):
            continue
        connection.execute(distribute_table, params)
        connection.execute(truncate, params)
        print(f"{PROGRAM}: {table} is distributed by user_id (Citus)", file=sys.stderr)


run()
