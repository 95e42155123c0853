"""The service's SQL on its tables; migration 0004 has the function that `create_once` calls.

Each statement that reads or writes rows names their owner. So nobody touches another user's task.
The owner is the signed-in user's id: the column is `user_id`, and the parameter is `owner`.

The tables may be distributed by Citus (migrations/env.py), which sends such a statement to one
shard. In an INSERT, UPDATE or DELETE it refuses VOLATILE functions, like clock_timestamp(), and
STABLE ones with a column as an argument, like to_char(updated_at, …). now() is STABLE and has no
argument, so it is allowed.

The columns and the condition of If-Match are repeated on purpose: each statement can be pasted into
psql, with values in place of its %(name)s. In `change` alone, Python writes the names of the
columns into it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from app.core.database.pool import Pool
from app.core.errors import Invalid, NotFound, RequestRefused

# A task's columns by name; its timestamps are texts, as they are answered.
Row = dict[str, Any]

ENTITY_TAG = re.compile(r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"')

# One row for each thing that requests need and the database does not have, or does not grant to the
# role. The statement waits for no lock. Selecting from the tables would wait while a migration has
# locked them.
READY = """
    -- Only this part reports a missing relation. In the others to_regclass() is NULL for it, so
    -- their conditions are not true.
    SELECT name || ' (run todo-api migrate, or grant USAGE on its schema)' AS missing
    FROM (VALUES ('task'), ('idempotency_key'), ('task_id_seq')) AS relations (name)
    WHERE to_regclass(name) IS NULL
    UNION ALL
    SELECT 'create_task_with_key (run todo-api migrate, or grant USAGE on its schema)'
    WHERE to_regproc('create_task_with_key') IS NULL
    UNION ALL
    -- A `pg_restore --clean` that fails half way leaves a table without its primary key and with
    -- its rows twice.
    SELECT 'PRIMARY KEY of ' || name || ' (restore the backup into an empty database)'
    FROM (VALUES ('task'), ('idempotency_key')) AS relations (name)
    WHERE to_regclass(name) IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = to_regclass(name) AND indisprimary)
    UNION ALL
    -- Rights may be granted by column. Each privilege is asked for by itself: 'SELECT, INSERT'
    -- would mean "one of these".
    SELECT privilege || ' on ' || name || ' (' || string_agg(column_name, ', ') || ')'
    FROM (VALUES
        ('SELECT', 'task', '{id,user_id,title,description,complete,created_at,updated_at}'),
        ('INSERT', 'task', '{id,user_id,title,description,complete,created_at,updated_at}'),
        ('UPDATE', 'task', '{title,description,complete,updated_at}'),
        ('SELECT', 'idempotency_key', '{user_id,key,fingerprint,answer,created_at}'),
        ('INSERT', 'idempotency_key', '{user_id,key,fingerprint,answer}'),
        ('UPDATE', 'idempotency_key', '{fingerprint,answer,created_at}')
    ) AS needed (privilege, name, columns), unnest(columns::text[]) AS column_name
    WHERE NOT has_column_privilege(to_regclass(name), column_name, privilege)
    GROUP BY name, privilege
    UNION ALL
    SELECT 'DELETE on ' || name
    FROM (VALUES ('task'), ('idempotency_key')) AS relations (name)
    WHERE NOT has_table_privilege(to_regclass(name), 'DELETE')
    UNION ALL
    -- Here "one of these" is meant: nextval() needs either.
    SELECT 'USAGE on task_id_seq'
    WHERE NOT has_sequence_privilege(to_regclass('task_id_seq'), 'USAGE, UPDATE')
    UNION ALL
    SELECT 'EXECUTE on create_task_with_key'
    WHERE NOT has_function_privilege(to_regproc('create_task_with_key'), 'EXECUTE')
    """

# The statements that delete everything that is stored of a user, by their table.
DELETE_USER = {
    "task": "DELETE FROM task WHERE user_id = %(owner)s",
    "idempotency_key": "DELETE FROM idempotency_key WHERE user_id = %(owner)s",
}


class TaskNotFound(NotFound):
    """The user has no task with this id."""

    default_detail = "You have no such task."


class TaskChanged(RequestRefused):
    """The task has none of the entity tags in If-Match."""

    status = 412
    default_detail = "The task has changed in the meantime: look at it again."


@dataclass(frozen=True)
class StoreResources:
    """What the store needs of the application; create_app sets it as `app.state.store`."""

    pool: Pool
    # how long a retry with the same key is given the first answer
    idempotency_hours: int


class Tasks:
    """One user's tasks in PostgreSQL.

    Each method sends one statement, which the pool may send again. Where a condition of If-Match
    left nothing to write, one more read tells whether there is such a task. Each method raises
    DatabaseError if the database fails or does not answer before the request's deadline.
    """

    def __init__(self, resources: StoreResources, owner: str) -> None:
        self._pool = resources.pool
        self._idempotency_hours = resources.idempotency_hours
        self._owner = owner

    async def page(
        self, limit: int, *, complete: bool | None, offset: int, after: int | None
    ) -> list[Row]:
        """Return at most `limit` tasks, newest first.

        `complete` chooses complete or open tasks. `offset` skips that many tasks. `after` is the
        id of the last task on the page before.
        """
        return await self._pool.fetch(
            """
            SELECT id, user_id, title, description, complete, created_at, updated_at
            FROM task
            WHERE user_id = %(owner)s
              AND (%(complete)s::boolean IS NULL OR complete = %(complete)s)
              AND (%(after)s::bigint IS NULL OR id < %(after)s)
            ORDER BY id DESC
            LIMIT %(limit)s OFFSET %(offset)s
            """,
            {
                "owner": self._owner,
                "complete": complete,
                "after": after,
                "limit": limit,
                "offset": offset,
            },
            is_read=True,
        )

    async def count(self, *, complete: bool | None) -> int:
        """Return how many tasks there are; slow for users with many tasks."""
        rows = await self._pool.fetch(
            """
            SELECT count(*) AS count
            FROM task
            WHERE user_id = %(owner)s
              AND (%(complete)s::boolean IS NULL OR complete = %(complete)s)
            """,
            {"owner": self._owner, "complete": complete},
            is_read=True,
        )
        count: int = rows[0]["count"]
        return count

    async def get(self, task_id: int) -> Row:
        """Return the task; raise TaskNotFound if this user has no such task."""
        rows = await self._pool.fetch(
            """
            SELECT id, user_id, title, description, complete, created_at, updated_at
            FROM task
            WHERE user_id = %(owner)s AND id = %(task_id)s
            """,
            {"owner": self._owner, "task_id": task_id},
            is_read=True,
        )
        if not rows:
            raise TaskNotFound
        return rows[0]

    async def create(self, values: Mapping[str, Any]) -> Row:
        """Create a task and return it; `values` has each field of a TaskCreate."""
        rows = await self._pool.fetch(
            """
            INSERT INTO task (user_id, title, description)
            VALUES (%(owner)s, %(title)s, %(description)s)
            RETURNING id, user_id, title, description, complete, created_at, updated_at
            """,
            {**values, "owner": self._owner},
        )
        return rows[0]

    async def create_once(self, values: Mapping[str, Any], key: str, fingerprint: bytes) -> Row:
        """Create a task as `create` does, or return the one that this key's first request created.

        That one is returned as it was then. A key is forgotten after `idempotency_hours`. Raises
        Invalid if the first request had another fingerprint.
        """
        # The function first stores the task as the answer under the key, and then inserts it. So it
        # needs the id and the times before the task is inserted: they are made here, and not by the
        # columns' defaults. Name every column: one that is not named is stored as NULL, whatever
        # its default is. Citus allows nextval(), although it is VOLATILE, because this is a SELECT.
        # The fingerprint is sent as text, because psycopg2's literal for bytes depends on a setting
        # of the server (literals.py).
        rows = await self._pool.fetch(
            """
            SELECT id, user_id, title, description, complete, created_at, updated_at
            FROM create_task_with_key(
                jsonb_populate_record(
                    NULL::task,
                    jsonb_build_object(
                        'user_id', %(owner)s,
                        'id', nextval('task_id_seq'),
                        'title', %(title)s,
                        'description', %(description)s,
                        'complete', false,
                        'created_at', now(),
                        'updated_at', now()
                    )
                ),
                %(key)s, decode(%(fingerprint)s, 'hex'), %(hours)s
            )
            """,
            {
                **values,
                "owner": self._owner,
                "key": key,
                "fingerprint": fingerprint.hex(),
                "hours": self._idempotency_hours,
            },
        )
        if not rows:
            raise Invalid.at(
                "header", "Idempotency-Key", "was used for another task before", "key_reused"
            )
        return rows[0]

    async def change(
        self, task_id: int, changes: Mapping[str, Any], if_match: list[str] | None
    ) -> Row:
        """Write these columns of the task and return it.

        `if_match` are entity tags of which the task must have one. Raises TaskNotFound if this
        user has no such task, TaskChanged if it has none of the tags.
        """
        # Only these columns: what another client has just changed in the others is kept. Their
        # names are those of a schema's fields, never the caller's.
        assignments = ", ".join(f"{column} = %({column})s" for column in changes)
        moments = _as_moments(if_match)
        # updated_at grows by a microsecond at least, even if the clock has been set back: no two
        # states of a task have the same entity tag. `updated_at + interval` would be STABLE, since
        # it depends on the session's time zone, and Citus would refuse it (module docstring).
        # timezone(), and adding to a timestamp without a zone, are IMMUTABLE.
        rows = await self._pool.fetch(
            f"""
            UPDATE task
            SET {assignments},
                updated_at = greatest(
                    now(),
                    timezone('UTC', timezone('UTC', updated_at) + interval '1 microsecond')
                )
            WHERE user_id = %(owner)s AND id = %(task_id)s
              AND (
                  %(moments)s::timestamptz[] IS NULL
                  OR updated_at = ANY (%(moments)s::timestamptz[])
              )
            RETURNING id, user_id, title, description, complete, created_at, updated_at
            """,
            {**changes, "owner": self._owner, "task_id": task_id, "moments": moments},
        )
        if not rows:
            await self._refuse(task_id, moments)
        return rows[0]

    async def delete(self, task_id: int, if_match: list[str] | None) -> None:
        """Delete the task; `if_match` and what is raised are as in `change`."""
        moments = _as_moments(if_match)
        rows = await self._pool.fetch(
            """
            DELETE FROM task
            WHERE user_id = %(owner)s AND id = %(task_id)s
              AND (
                  %(moments)s::timestamptz[] IS NULL
                  OR updated_at = ANY (%(moments)s::timestamptz[])
              )
            RETURNING id
            """,
            {"owner": self._owner, "task_id": task_id, "moments": moments},
        )
        if not rows:
            await self._refuse(task_id, moments)

    async def _refuse(self, task_id: int, moments: list[datetime] | None) -> NoReturn:
        """Raise TaskNotFound, or TaskChanged if the task has none of these `updated_at`."""
        if moments is None:
            raise TaskNotFound
        await self.get(task_id)
        raise TaskChanged


def entity_tag(task: Row) -> str:
    """Return the task's strong entity tag: no two of its states have the same `updated_at`."""
    return f'"{task["updated_at"]}"'


def _as_moments(if_match: list[str] | None) -> list[datetime] | None:
    """The values of `updated_at` that the entity tags stand for; None if every state will do."""
    if if_match is None or if_match == ["*"]:
        return None
    moments = []
    for tag in if_match:
        moment = _as_moment(tag)
        if moment is not None:
            moments.append(moment)
    return moments


def _as_moment(tag: str) -> datetime | None:
    """The `updated_at` of the task whose entity tag this is, or None if it is no tag of ours."""
    # Tags are opaque (RFC 9110, 8.8.3): another form of the same moment is another tag. strptime
    # alone would take one digit for a month.
    if not ENTITY_TAG.fullmatch(tag):
        return None
    try:
        return datetime.strptime(tag, '"%Y-%m-%dT%H:%M:%S.%fZ"').replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
