"""Every statement that touches a task; each names its owner first.

Statements are compiled to SQL once, and PostgreSQL builds the JSON of the answer: as text, so that nobody
parses it on the way.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, dialect, insert
from sqlmodel import col, select

from app.core.database import Query
from app.models import Task
from app.schemas import TaskCreate, TaskResponse

CLEANED: sa.ColumnElement[int] = sa.literal_column("100")
"""How many expired keys of its user a request with a key clears away, at most."""
Tags = list[str] | None
"""Entity tags, of which the task must have one."""
ANY_TAG = (None, ["*"])

READY = Query(f"SELECT '{Task.__tablename__}'::regclass", {}, is_read=True)
"""Fails where the database has no table of tasks."""

OWNER = sa.bindparam("owner", type_=sa.Text)
MINE = col(Task.user_id) == OWNER
THIS_ONE = MINE & (col(Task.id) == sa.bindparam("task_id", type_=sa.BigInteger))


def _shown(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A column as JSON shows it: a timestamp in UTC, ISO 8601 with `Z` and microseconds."""
    if isinstance(column.type, sa.DateTime):
        iso_8601: sa.ColumnElement[str] = sa.literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
        return sa.func.to_char(sa.func.timezone(sa.literal_column("'UTC'"), column), iso_8601)
    return column


def _as_json(columns: Any) -> sa.ColumnElement[Any]:
    names = TaskResponse.model_fields
    return sa.func.json_build_object(
        *[part for name in names for part in (sa.literal_column(f"'{name}'"), _shown(columns[name]))]
    )


def _etag(updated_at: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The strong entity tag: no two states of a task have the same `updated_at`."""
    quote: sa.ColumnElement[str] = sa.literal_column("""'"'""")
    return quote.concat(_shown(updated_at)).concat(quote)


KEYS = Task.metadata.tables["idempotency_key"]
COLUMNS: Mapping[str, sa.Column[Any]] = dict(Task.metadata.tables["task"].columns)
AS_JSON = _as_json(COLUMNS)
ETAG = _etag(COLUMNS["updated_at"])
SHOWN = (sa.cast(AS_JSON, sa.Text), ETAG)
NEW = {"user_id": OWNER} | {name: sa.bindparam(name, type_=COLUMNS[name].type) for name in TaskCreate.model_fields}
CONDITIONS = {
    "complete": col(Task.complete) == sa.bindparam("complete", type_=sa.Boolean),
    "after": col(Task.id) < sa.bindparam("after", type_=sa.BigInteger),
}
UNCHANGED = sa.any_(sa.cast(sa.bindparam("tags"), ARRAY(sa.Text))) == ETAG


def compiled(statement: sa.Executable) -> str:
    """Compile a statement to PostgreSQL's SQL, with psycopg2's kind of parameters."""
    return str(statement.compile(dialect=dialect(paramstyle="pyformat")))  # type: ignore[attr-defined,no-untyped-call]  # untyped there


def _create_once_statement() -> sa.Executable:
    """A task, with the answer kept under its key; or the answer that is kept there already.

    The table of keys decides who is first, so its row is written before the task's: the task's number is drawn
    and the answer built in advance. A duplicate waits for the first one's commit, is given the row as it then is,
    and knows by the number in it that there is nothing to do. No lock is waited for while another is held.
    """
    number = sa.func.nextval(sa.literal_column("pg_get_serial_sequence('task', 'id')"))
    given = {name: getattr(column.server_default, "arg", number) for name, column in COLUMNS.items()} | NEW
    drawn = sa.select(*[sa.cast(given[name], column.type).label(name) for name, column in COLUMNS.items()]).cte("drawn")
    key, fingerprint = sa.bindparam("key", type_=sa.Text), sa.bindparam("fingerprint", type_=sa.LargeBinary)
    answer = [fingerprint, drawn.c.id, sa.cast(_as_json(drawn.c), sa.Text), drawn.c.created_at]
    first = insert(KEYS).from_select(list(KEYS.c), sa.select(OWNER, key, *answer))
    expired = KEYS.c.created_at < sa.func.now() - sa.bindparam("hours") * sa.literal_column("interval '1 hour'")
    renewed = {name: sa.case((expired, first.excluded[name]), else_=column) for name, column in KEYS.c.items()}
    kept = first.on_conflict_do_update(index_elements=KEYS.primary_key, set_=renewed).returning(*KEYS.c).cte("kept")
    mine = sa.text("OVERRIDING SYSTEM VALUE SELECT drawn.* FROM drawn JOIN kept ON kept.task_id = drawn.id")
    task = sa.insert(Task).from_select([*COLUMNS], mine.columns()).cte("task_made")
    old = sa.select(KEYS.c.key).where(KEYS.c.user_id == OWNER, KEYS.c.key != key, expired)
    # after the key itself, and past what others are at work on; apart, since an IN might run it again and again
    old = old.where(sa.exists().select_from(kept)).order_by(KEYS.c.created_at).limit(CLEANED)
    expired_keys = old.with_for_update(skip_locked=True).cte("expired_keys")
    gone = sa.delete(KEYS).where(KEYS.c.user_id == OWNER, KEYS.c.key.in_(sa.select(expired_keys)))
    updated_at = sa.func.json_extract_path_text(sa.cast(kept.c.answer, sa.JSON), sa.literal_column("'updated_at'"))
    row = sa.select(kept.c.task_id, kept.c.answer, _etag(updated_at), kept.c.fingerprint == fingerprint)
    return row.add_cte(drawn, kept, task, gone.cte("gone"))


FETCH = compiled(select(*SHOWN).where(THIS_ONE))
CREATE = compiled(sa.insert(Task).values(NEW).returning(col(Task.id), *SHOWN, sa.true()))
CREATE_ONCE = compiled(_create_once_statement())
DELETE = compiled(sa.delete(Task).where(THIS_ONE).returning(col(Task.id)))
DELETE_UNCHANGED = compiled(sa.delete(Task).where(THIS_ONE, UNCHANGED).returning(col(Task.id)))


@cache
def _page_sql(asked: frozenset[str]) -> str:
    """Only the conditions that are asked for: PostgreSQL plans every statement anew, and each costs."""
    limit, offset = sa.bindparam("limit", type_=sa.BigInteger), sa.bindparam("offset", type_=sa.BigInteger)
    # of many rows, row_to_json takes a sixth less than json_build_object
    found = select(*[_shown(COLUMNS[name]).label(name) for name in TaskResponse.model_fields])
    found = found.where(MINE, *[CONDITIONS[name] for name in sorted(asked)])
    page = found.order_by(col(Task.id).desc()).limit(limit).offset(offset).subquery()
    task = sa.cast(sa.func.row_to_json(page.table_valued()), sa.Text)
    return compiled(sa.select(sa.func.string_agg(task, sa.literal_column(r"E'\n'"))))


@cache
def _count_sql(asked: frozenset[str]) -> str:
    count = select(sa.func.count()).select_from(Task)
    return compiled(count.where(MINE, *[CONDITIONS[name] for name in sorted(asked)]))


@cache
def _update_sql(fields: frozenset[str], *, unchanged: bool) -> str:
    """Write only these fields: a change that another client makes to the others meanwhile is kept."""
    moment = sa.cast(sa.literal_column("'1 microsecond'"), sa.Interval)
    values: dict[str, Any] = {name: sa.bindparam(name) for name in sorted(fields)}
    # strictly later than before, also where the clock stands or has been set back
    values["updated_at"] = sa.func.greatest(sa.func.clock_timestamp(), col(Task.updated_at) + moment)
    this_one = THIS_ONE & UNCHANGED if unchanged else THIS_ONE
    return compiled(sa.update(Task).where(this_one).values(values).returning(*SHOWN))


def list_tasks(owner: str, *, limit: int, offset: int = 0, **conditions: bool | int) -> Query:
    """Give one text or None: a line of JSON for each task, newest first; `complete` or not, and `after` a task's id."""
    params = {"owner": owner, "limit": limit, "offset": offset, **conditions}
    return Query(_page_sql(frozenset(conditions)), params, is_read=True)


def count_tasks(owner: str, **conditions: bool) -> Query:
    """Give how many tasks there are, `complete` or not; dear where there are many."""
    return Query(_count_sql(frozenset(conditions)), {"owner": owner, **conditions}, is_read=True)


def fetch_task(owner: str, task_id: int) -> Query:
    """Give the task as JSON and its entity tag, or no row."""
    return Query(FETCH, {"owner": owner, "task_id": task_id}, is_read=True)


def create_task(owner: str, values: Mapping[str, Any]) -> Query:
    """Give the new task's id, the task as JSON, its entity tag, and that it is what was asked for."""
    return Query(CREATE, {"owner": owner, **values})


def create_task_once(owner: str, values: Mapping[str, Any], key: str, fingerprint: bytes, hours: int) -> Query:
    """Give the same, of the first request with the key within these hours, and whether that asked for the same."""
    return Query(CREATE_ONCE, {"owner": owner, "key": key, "fingerprint": fingerprint, "hours": hours, **values})


def update_task(owner: str, task_id: int, values: Mapping[str, Any], tags: Tags = None) -> Query:
    """Write these fields and give the task as JSON and its entity tag, or no row."""
    sql = _update_sql(frozenset(values), unchanged=tags not in ANY_TAG)
    return Query(sql, {"owner": owner, "task_id": task_id, "tags": tags, **values})


def delete_task(owner: str, task_id: int, tags: Tags = None) -> Query:
    """Give the deleted task's id, or no row."""
    sql = DELETE if tags in ANY_TAG else DELETE_UNCHANGED
    return Query(sql, {"owner": owner, "task_id": task_id, "tags": tags})


def delete_user(owner: str) -> dict[str, Query]:
    """Give, for each table with rows of a user, the statement that deletes them and gives their number."""
    statements = {}
    for table in Task.metadata.sorted_tables:
        gone = sa.delete(table).where(table.c.user_id == OWNER).returning(table.c.user_id).cte()
        statements[table.name] = Query(compiled(sa.select(sa.func.count()).select_from(gone)), {"owner": owner})
    return statements
