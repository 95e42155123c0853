"""Every statement, but for the function of migration 0003; each names its owner, so that it goes to one shard of Citus.

PostgreSQL builds the JSON of the answers, as text that nothing parses again. A write returns columns to a `WITH` and
the JSON is built outside of it, because Citus refuses to_char() in RETURNING.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import DateTime, DefaultClause

from app.core.database.pool import Pool
from app.models import Task
from app.schemas import TaskResponse


class Query(NamedTuple):
    """A statement with its parameters; a read may be sent again if its connection died."""

    sql: str
    params: Mapping[str, Any]
    is_read: bool = False


@dataclass(frozen=True)
class Storage:
    """What the endpoints need of the application; create_app sets it as `app.state.storage`."""

    pool: Pool
    idempotency_hours: int
    """How long a retry with the same key is given the first answer."""


ETags = list[str] | None
"""Entity tags, of which the task must have one; None, or `*` alone, for whatever it has."""
COLUMNS = Task.metadata.tables["task"].columns
UTC = """to_char(timezone('UTC', {}), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
JSON_VALUES = {
    name: UTC.format(name) if isinstance(COLUMNS[name].type, DateTime) else name
    for name in TaskResponse.model_fields
}
"""Each column as JSON shows it: a timestamp in UTC, ISO 8601 with `Z` and microseconds."""
LIST_COLUMNS = ", ".join(f"{value} AS {name}" for name, value in JSON_VALUES.items())
TASK_JSON = (
    "json_build_object("
    + ", ".join(f"'{name}', {value}" for name, value in JSON_VALUES.items())
    + ")::text"
)
ETAG = f"""'"' || {JSON_VALUES["updated_at"]} || '"'"""
"""The strong entity tag: no two states of a task have the same `updated_at`."""
DEFAULTS = ", ".join(
    f"'{one.name}', {one.server_default.arg}"
    for one in COLUMNS
    if isinstance(one.server_default, DefaultClause)
)
"""The columns that have a default, in pairs of name and SQL."""
OWNED = "user_id = %(owner)s"
BY_ID = f"{OWNED} AND id = %(task_id)s"
CONDITIONS = {"complete": "complete = %(complete)s", "after": "id < %(after)s"}
# Strictly later than before, even if the clock has been set back. Citus refuses `timestamptz + interval`, which
# depends on the session's time zone; `timestamp + interval` does not.
NEXT_UPDATED_AT = (
    "greatest(now(), timezone('UTC', timezone('UTC', updated_at) + interval '1 microsecond'))"
)

# fails if there is no such column; unlike `(NULL::task).name` it waits for no lock of the table
NEEDED = ", ".join(f"has_column_privilege('task', '{name}', 'SELECT')" for name in JSON_VALUES)
READY = Query(f"SELECT 'task'::regclass, 'create_task_once'::regproc, {NEEDED}", {}, is_read=True)
"""Fails unless all migrations have run: each column and the function must be there."""


def _matching(conditions: Mapping[str, Any]) -> str:
    # Only the conditions that are asked for: PostgreSQL plans each statement anew, and each condition costs time.
    return " AND ".join([OWNED, *[CONDITIONS[name] for name in conditions]])


def _by_id(owner: str, task_id: int, etags: ETags) -> tuple[str, dict[str, Any]]:
    """The condition for a task with one of the entity tags, and its parameters: `moments` if a tag is asked for.

    Tags are compared as timestamps: Citus refuses to_char() of a column in the condition of a write.
    """
    params = {"owner": owner, "task_id": task_id}
    if etags is None or etags == ["*"]:
        return BY_ID, params
    moments = []
    for etag in etags:
        with suppress(ValueError):
            moment = datetime.fromisoformat(etag[1:-1])
            # another form of the same moment is not a tag that this service has sent
            if etag == f'"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"':
                moments.append(moment)
    return f"{BY_ID} AND updated_at = ANY (%(moments)s::timestamptz[])", params | {
        "moments": moments
    }


def list_tasks(owner: str, *, limit: int, offset: int = 0, **conditions: bool | int) -> Query:
    """Return the query for a page, newest first; its row is one text, a line of JSON for each task, or None."""
    # row_to_json() is faster than json_build_object() for many rows
    sql = rf"""
        SELECT string_agg(row_to_json(page)::text, E'\n') AS lines
        FROM (
            SELECT {LIST_COLUMNS} FROM task WHERE {_matching(conditions)}
            ORDER BY task.id DESC LIMIT %(limit)s OFFSET %(offset)s
        ) AS page
    """
    return Query(
        sql, {"owner": owner, "limit": limit, "offset": offset, **conditions}, is_read=True
    )


def count_tasks(owner: str, **conditions: bool) -> Query:
    """Return the query for the number of tasks; slow for users with many tasks."""
    sql = f"SELECT count(*) FROM task WHERE {_matching(conditions)}"
    return Query(sql, {"owner": owner, **conditions}, is_read=True)


def fetch_task(owner: str, task_id: int) -> Query:
    """Return the query for a task; its row, if there is one, is (json, etag)."""
    sql = f"SELECT {TASK_JSON} AS task, {ETAG} AS etag FROM task WHERE {BY_ID}"
    return Query(sql, {"owner": owner, "task_id": task_id}, is_read=True)


def create_task(owner: str, values: Mapping[str, Any]) -> Query:
    """Return the query that creates a task; its row is (id, json, etag, true)."""
    places = ", ".join(f"%({name})s" for name in values)
    sql = f"""
        WITH made AS (INSERT INTO task (user_id, {", ".join(values)}) VALUES (%(owner)s, {places}) RETURNING *)
        SELECT id, {TASK_JSON} AS task, {ETAG} AS etag, true AS same FROM made
    """
    return Query(sql, {**values, "owner": owner})


def create_task_once(
    owner: str, values: Mapping[str, Any], key: str, fingerprint: bytes, hours: int
) -> Query:
    """Like create_task; for a key repeated within these hours, the row of the first request.

    The last column says whether its fingerprint is the same.
    """
    # the id and the defaults are there before the task, because its key is inserted first, with the answer
    sql = f"""
        SELECT kept.task_id, kept.answer, '"' || (kept.answer::json ->> 'updated_at') || '"' AS etag, kept.same
        FROM jsonb_populate_record(
                NULL::task,
                jsonb_build_object({DEFAULTS}) || %(given)s::jsonb
                || jsonb_build_object('user_id', %(owner)s, 'id', nextval('task_id_seq'))
            ) AS new_task,
            create_task_once(new_task, {TASK_JSON}, %(key)s, %(fingerprint)s, %(hours)s) AS kept
    """
    request = {"key": key, "fingerprint": fingerprint, "hours": hours}
    return Query(sql, {"owner": owner, "given": to_json(values).decode(), **request})


def update_task(owner: str, task_id: int, values: Mapping[str, Any], etags: ETags = None) -> Query:
    """Return the query that writes these fields; its row, if there is one, is (json, etag)."""
    where, params = _by_id(owner, task_id, etags)
    # only these fields: a change that another client makes to the others at the same time is kept
    changes = ", ".join(f"{name} = %({name})s" for name in values)
    sql = f"""
        WITH changed AS (UPDATE task SET {changes}, updated_at = {NEXT_UPDATED_AT} WHERE {where} RETURNING *)
        SELECT {TASK_JSON} AS task, {ETAG} AS etag FROM changed
    """
    return Query(sql, {**values, **params})


def delete_task(owner: str, task_id: int, etags: ETags = None) -> Query:
    """Return the query that deletes a task; its row, if there is one, is (id,)."""
    where, params = _by_id(owner, task_id, etags)
    return Query(f"DELETE FROM task WHERE {where} RETURNING id", params)


def delete_user(owner: str) -> dict[str, Query]:
    """Return, for each table with rows of a user, the query that deletes them; its row is (number,)."""
    sql = (
        f"WITH deleted AS (DELETE FROM {{}} WHERE {OWNED} RETURNING 1) SELECT count(*) FROM deleted"
    )
    return {table: Query(sql.format(table), {"owner": owner}) for table in Task.metadata.tables}
