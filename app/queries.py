"""Every statement that touches a task; each names its owner first.

Statements are compiled to SQL once, and PostgreSQL builds the JSON of the answer: as text, so that nobody
parses it on the way.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import dialect
from sqlmodel import col, select

from app.database import Query
from app.models import Task
from app.schemas import TaskResponse

OWNER = sa.bindparam("owner", type_=sa.Text)
MINE = col(Task.user_id) == OWNER
THIS_ONE = MINE & (col(Task.id) == sa.bindparam("task_id", type_=sa.BigInteger))


def _shown(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A column as JSON shows it: a timestamp in UTC, ISO 8601 with `Z` and microseconds."""
    if isinstance(column.type, sa.DateTime):
        iso_8601: sa.ColumnElement[str] = sa.literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
        return sa.func.to_char(sa.func.timezone(sa.literal_column("'UTC'"), column), iso_8601)
    return column


COLUMNS = Task.metadata.tables["task"].columns
AS_JSON = sa.func.json_build_object(
    *[part for name in TaskResponse.model_fields for part in (sa.literal_column(f"'{name}'"), _shown(COLUMNS[name]))]
)
AS_TEXT = sa.cast(AS_JSON, sa.Text)


def compiled(statement: sa.Executable) -> str:
    """Compile a statement to PostgreSQL's SQL, with psycopg2's kind of parameters."""
    return str(statement.compile(dialect=dialect(paramstyle="pyformat")))  # type: ignore[attr-defined,no-untyped-call]  # untyped there


def _list_statement() -> sa.Executable:
    """A page, how many match in all, and where the next page starts, if there is one."""
    complete, after = sa.bindparam("complete", type_=sa.Boolean), sa.bindparam("after", type_=sa.BigInteger)
    limit, offset = sa.bindparam("limit", type_=sa.BigInteger), sa.bindparam("offset", type_=sa.BigInteger)
    matching = MINE & sa.or_(complete.is_(sa.null()), col(Task.complete) == complete)
    # one row more than the page shows whether another page follows
    found = (
        select(Task.id, AS_JSON.label("task"))
        .where(matching, sa.or_(after.is_(sa.null()), col(Task.id) < after))
        .order_by(col(Task.id).desc())
        .limit(limit + sa.literal_column("1"))
        .offset(offset)
        .subquery()
    )
    place = sa.func.row_number().over(order_by=found.c.id.desc()).label("place")
    rows = sa.select(found, place).subquery()
    on_page = rows.c.place <= limit
    page = select(
        sa.func.count().label("found"),
        sa.func.coalesce(sa.func.json_agg(rows.c.task).filter(on_page), sa.literal_column("'[]'::json")).label("tasks"),
        sa.func.min(rows.c.id).filter(on_page).label("last"),
    ).subquery()
    # counting is dear, and needless where the first page holds everything
    everything = after.is_(sa.null()) & (offset == sa.literal_column("0")) & (page.c.found <= limit)
    count = select(sa.func.count()).select_from(Task).where(matching).scalar_subquery()
    return select(
        sa.cast(page.c.tasks, sa.Text),
        sa.case((everything, page.c.found), else_=count),
        sa.case((page.c.found > limit, page.c.last)),
    )


LIST = compiled(_list_statement())
FETCH = compiled(select(AS_TEXT).where(THIS_ONE))
CREATE = compiled(
    sa.insert(Task)
    .values(user_id=OWNER, title=sa.bindparam("title"), description=sa.bindparam("description"))
    .returning(col(Task.id), AS_TEXT)
)
DELETE = compiled(sa.delete(Task).where(THIS_ONE).returning(col(Task.id)))


@cache
def _update_sql(fields: frozenset[str]) -> str:
    """Write only these fields: a change that another client makes to the others meanwhile is kept."""
    moment = sa.cast(sa.literal_column("'1 microsecond'"), sa.Interval)
    values: dict[str, Any] = {name: sa.bindparam(name) for name in sorted(fields)}
    # strictly later than before, also where the clock stands or has been set back
    values["updated_at"] = sa.func.greatest(sa.func.clock_timestamp(), col(Task.updated_at) + moment)
    return compiled(sa.update(Task).where(THIS_ONE).values(values).returning(AS_TEXT))


def list_tasks(owner: str, *, complete: bool | None, limit: int, offset: int, after: int | None) -> Query:
    """Give the tasks as a JSON array, the count of all that match, and the id to page on by, or None."""
    params = {"owner": owner, "complete": complete, "limit": limit, "offset": offset, "after": after}
    return Query(LIST, params, is_read=True)


def fetch_task(owner: str, task_id: int) -> Query:
    """Give the task as JSON, or no row."""
    return Query(FETCH, {"owner": owner, "task_id": task_id}, is_read=True)


def create_task(owner: str, values: Mapping[str, Any]) -> Query:
    """Give the new task's id, and the task as JSON."""
    return Query(CREATE, {"owner": owner, **values})


def update_task(owner: str, task_id: int, values: Mapping[str, Any]) -> Query:
    """Write these fields and give the task as JSON, or no row."""
    return Query(_update_sql(frozenset(values)), {"owner": owner, "task_id": task_id, **values})


def delete_task(owner: str, task_id: int) -> Query:
    """Give the deleted task's id, or no row."""
    return Query(DELETE, {"owner": owner, "task_id": task_id})


def delete_user(owner: str) -> dict[str, Query]:
    """Give, for each table with rows of a user, the statement that deletes them and gives their number."""
    statements = {}
    for table in Task.metadata.sorted_tables:
        gone = sa.delete(table).where(table.c.user_id == OWNER).returning(table.c.user_id).cte()
        statements[table.name] = Query(compiled(sa.select(sa.func.count()).select_from(gone)), {"owner": owner})
    return statements
