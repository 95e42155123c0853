"""Every statement of the service, but for the function of migration 0004.

Each names its owner. So nobody touches another user's task, and Citus sends it to one shard.
Citus sets two more rules for a statement that writes: no function that depends on the session,
like to_char(), and none that is volatile, like clock_timestamp().
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Request

from app.core.auth.gate import CurrentUser
from app.core.database.pool import Pool
from app.core.errors import BadRequest, Invalid, NotFound
from app.schemas import format_timestamp

# A task's columns by name; its timestamps are in the session's time zone.
Row = dict[str, Any]

# Fails unless all migrations have run. has_column_privilege() fails where there is no such column;
# to select the columns would wait for a migration that has locked the table.
READY = """
    SELECT
        'create_task_with_key'::regproc,
        has_column_privilege('task', 'id', 'SELECT'),
        has_column_privilege('task', 'user_id', 'SELECT'),
        has_column_privilege('task', 'title', 'SELECT'),
        has_column_privilege('task', 'description', 'SELECT'),
        has_column_privilege('task', 'complete', 'SELECT'),
        has_column_privilege('task', 'created_at', 'SELECT'),
        has_column_privilege('task', 'updated_at', 'SELECT')
    """

# By table, what deletes everything that is stored of a user.
DELETE_USER = {
    "task": "DELETE FROM task WHERE user_id = %(owner)s",
    "idempotency_key": "DELETE FROM idempotency_key WHERE user_id = %(owner)s",
}


class TaskNotFound(NotFound):
    """The user has no task with this id."""

    default_detail = "You have no such task."


class TaskChanged(BadRequest):
    """The task has none of the entity tags in If-Match."""

    status = 412
    default_detail = "The task has changed in the meantime: look at it again."


@dataclass(frozen=True)
class Storage:
    """What the endpoints need of the application; create_app sets it as `app.state.storage`."""

    pool: Pool
    # for which a retry with the same key is given the first answer
    idempotency_hours: int


class Tasks:
    """One user's tasks in PostgreSQL.

    Each method sends one statement. It raises DatabaseError if the database fails or does not
    answer before the request's deadline.
    """

    def __init__(self, storage: Storage, owner: str) -> None:
        self._pool = storage.pool
        self._idempotency_hours = storage.idempotency_hours
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
        """Create a task of these values and return it."""
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
        """Create a task, or return the one that the first request with this key created.

        That one is returned as it was then. A key is forgotten after `idempotency_hours`. Raises
        Invalid if the first request had another fingerprint.
        """
        # the function keeps the whole task beside its key, so the id and the defaults are given
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
                %(key)s, %(fingerprint)s, %(hours)s
            )
            """,
            {
                **values,
                "owner": self._owner,
                "key": key,
                "fingerprint": fingerprint,
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
        # Only these columns: what another client has just changed in the others is kept.
        assignments = ", ".join(f"{column} = %({column})s" for column in changes)
        tags = _as_moments(if_match)
        # updated_at moves on by a microsecond at least, even if the clock has been set back:
        # greatest(now(), updated_at + interval '1 microsecond'). That depends on the session's time
        # zone, which Citus refuses here; to add the interval to a timestamp in UTC does not.
        rows = await self._pool.fetch(
            f"""
            UPDATE task
            SET {assignments},
                updated_at = greatest(
                    now(),
                    timezone('UTC', timezone('UTC', updated_at) + interval '1 microsecond')
                )
            WHERE user_id = %(owner)s AND id = %(task_id)s
              AND (%(tags)s::timestamptz[] IS NULL OR updated_at = ANY (%(tags)s::timestamptz[]))
            RETURNING id, user_id, title, description, complete, created_at, updated_at
            """,
            {**changes, "owner": self._owner, "task_id": task_id, "tags": tags},
        )
        if not rows:
            await self._refuse(task_id, tags)
        return rows[0]

    async def delete(self, task_id: int, if_match: list[str] | None) -> None:
        """Delete the task; `if_match` and what is raised are as in `change`."""
        tags = _as_moments(if_match)
        rows = await self._pool.fetch(
            """
            DELETE FROM task
            WHERE user_id = %(owner)s AND id = %(task_id)s
              AND (%(tags)s::timestamptz[] IS NULL OR updated_at = ANY (%(tags)s::timestamptz[]))
            RETURNING id
            """,
            {"owner": self._owner, "task_id": task_id, "tags": tags},
        )
        if not rows:
            await self._refuse(task_id, tags)

    async def _refuse(self, task_id: int, tags: list[datetime] | None) -> NoReturn:
        """Say why there was nothing to write: no such task, or none of the tags."""
        if tags is None:
            raise TaskNotFound
        await self.get(task_id)
        raise TaskChanged


async def _tasks_of_user(request: Request, user: CurrentUser) -> Tasks:
    return Tasks(request.app.state.storage, user)


# The signed-in user's tasks.
MyTasks = Annotated[Tasks, Depends(_tasks_of_user)]


def entity_tag(task: Row) -> str:
    """Return the task's strong entity tag: no two of its states have the same `updated_at`."""
    return f'"{format_timestamp(task["updated_at"])}"'


def _as_moments(if_match: list[str] | None) -> list[datetime] | None:
    """The values of `updated_at` that the entity tags stand for; None if any task will do."""
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
    try:
        moment = datetime.strptime(tag, '"%Y-%m-%dT%H:%M:%S.%fZ"').replace(tzinfo=UTC)
    except ValueError:
        return None
    # tags are opaque (RFC 9110, 8.8.3): another form of the same moment is another tag
    if tag != f'"{format_timestamp(moment)}"':
        return None
    return moment
