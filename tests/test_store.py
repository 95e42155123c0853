"""Each statement against the real database: what it gives, and that it names its owner."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, text

from app import store
from app.core.database.pool import Pool
from app.core.deadline import set_deadline
from app.core.errors import DatabaseError, Invalid
from app.models import Task
from app.schemas import TaskCreate, TaskPatch, TaskResponse
from app.store import Row, StoreResources, TaskChanged, TaskNotFound, Tasks
from tests.support.clock import wait_until
from tests.support.cluster import Cluster
from tests.support.factories import make_task, rows
from tests.support.statements import Call, page, statement_of

Ask = Callable[[str, Callable[[Tasks], Awaitable[Any]]], Any]


@pytest.fixture
def ask(cluster: Cluster, database: Engine) -> Ask:  # noqa: ARG001 - each test starts without tasks
    """Call a method of a user's tasks, as the service does."""

    def run(owner: str, call: Callable[[Tasks], Awaitable[Any]]) -> Any:
        async def once() -> Any:
            set_deadline(5)
            pool = Pool(cluster.url, 1)
            try:
                return await call(Tasks(StoreResources(pool, 24), owner))
            finally:
                pool.close()

        return asyncio.run(once())

    return run


def get(task_id: int) -> Callable[[Tasks], Awaitable[Row]]:
    """Fetch a task."""
    return lambda tasks: tasks.get(task_id)


def change(task_id: int, changes: dict[str, Any], *if_match: str) -> Callable[[Tasks], Awaitable[Row]]:
    """Change a task, if it has one of the tags, where there are any."""
    return lambda tasks: tasks.change(task_id, changes, list(if_match) or None)


def delete(task_id: int, *if_match: str) -> Callable[[Tasks], Awaitable[None]]:
    """Delete a task, on the same condition."""
    return lambda tasks: tasks.delete(task_id, list(if_match) or None)


NEW = {"title": "x", "description": None}
READS: dict[str, Call] = {
    "page": page(1),
    "page of a filter": page(1, complete=True, offset=1, after=1),
    "count": lambda tasks: tasks.count(complete=None),
    "get": get(1),
}
WRITES: dict[str, Call] = {
    "create": lambda tasks: tasks.create(NEW),
    "create once": lambda tasks: tasks.create_once(NEW, "key", b""),
    "change": change(1, NEW),
    "change as seen": change(1, NEW, '"x"'),
    "delete": delete(1),
    "delete as seen": delete(1, '"x"'),
}


def test_every_method_is_looked_at_here() -> None:
    """A new one too."""
    methods = {name for name, _ in inspect.getmembers(Tasks, inspect.iscoroutinefunction) if name[0] != "_"}
    assert methods == {name.split(" as ")[0].split(" of ")[0].replace(" ", "_") for name in READS | WRITES}


@pytest.mark.parametrize("call", (READS | WRITES).values(), ids=(READS | WRITES).keys())
def test_every_statement_names_the_owner(call: Call) -> None:
    """Another user's row does not exist: by the filter, never by an `if`."""
    statement = statement_of("alice", call)
    named = r"WHERE user_id = %\(owner\)s|\(user_id, .*\n\s+VALUES \(%\(owner\)s, |'user_id', %\(owner\)s,"
    assert len(re.findall(named, statement.sql)) == 1
    assert statement.params["owner"] == "alice"


@pytest.mark.parametrize(("calls", "is_read"), [(READS, True), (WRITES, False)])
def test_reads_alone_may_be_sent_again(calls: dict[str, Call], is_read: bool) -> None:
    """A write whose connection died may have happened."""
    assert {statement_of("alice", call).is_read for call in calls.values()} == {is_read}


def test_what_is_stored_of_a_user_can_be_deleted() -> None:
    """In every table, of this user alone."""
    assert {
        table: f"DELETE FROM {table} WHERE user_id = %(owner)s"  # noqa: S608 - our names
        for table in Task.metadata.tables
    } == store.DELETE_USER


@pytest.mark.parametrize(
    ("privilege", "needed"),
    [
        ("SELECT", TaskResponse.model_fields),
        ("INSERT", TaskResponse.model_fields),
        ("UPDATE", [*TaskPatch.model_fields, "updated_at"]),
    ],
)
def test_readiness_asks_for_every_column(privilege: str, needed: Iterable[str]) -> None:
    """Those that the statements name: a new field's too."""
    (columns,) = re.findall(rf"'{privilege}', 'task', '{{(.*)}}'", store.READY)
    assert columns.split(",") == list(needed)


def test_both_ways_to_create_store_every_field(ask: Ask) -> None:
    """A statement that does not name one would drop it without a word."""
    values = {"title": "Buy milk", "description": "Two litres"}
    assert values.keys() == TaskCreate.model_fields.keys(), "give the new field a value here, not its default"
    created = ask("alice", lambda tasks: tasks.create(values))
    created_once = ask("alice", lambda tasks: tasks.create_once(values, "key", b""))
    assert [{name: task[name] for name in values} for task in (created, created_once)] == [values, values]


def test_every_statement_of_the_function_names_the_owner(database: Engine) -> None:
    """The one that creates a task once, which stands in the database."""
    with database.connect() as connection:
        body = connection.execute(
            text("SELECT prosrc FROM pg_proc WHERE proname = 'create_task_with_key'")
        ).scalar_one()
    statements = [part for part in body.split(";") if re.search(r"\b(FROM|INTO|UPDATE) (task|idempotency_key)\b", part)]
    assert len(statements) == 4
    for statement in statements:
        tables = re.findall(r"\b(?:FROM|INTO) (?:task|idempotency_key)\b", statement)
        owners = re.findall(r"user_id = new_task\.user_id|VALUES \(new_task\.(?:user_id|\*)", statement)
        assert len(owners) == len(tables)


def test_a_body_never_names_the_owner(ask: Ask, database: Engine) -> None:
    """Not even one that had got past the schemas."""
    values = NEW | {"owner": "alice", "user_id": "alice", "id": 7}
    ask("bob", lambda tasks: tasks.create(values))
    ask("bob", lambda tasks: tasks.create_once(values, "key", b""))
    assert rows(database, "alice") == []
    assert [row["title"] for row in rows(database, "bob")] == ["x", "x"]
    task = make_task(database, user_id="alice")
    with pytest.raises(DatabaseError):  # there is no such column
        ask("bob", change(task["id"], {"title": "y", "owner": "alice"}))
    assert rows(database, "alice") == [task]


def test_no_statement_touches_anothers_task(ask: Ask, database: Engine) -> None:
    """Whatever Bob asks about Alice's task, by its true id and tag."""
    task = make_task(database, user_id="alice")
    tag = store.entity_tag(ask("alice", get(task["id"])))
    changes = [change(task["id"], {"title": "x"}, *tags) for tags in ([], [tag], ["*"])]
    deletes = [delete(task["id"], *tags) for tags in ([], [tag], ["*"])]
    for call in (get(task["id"]), *changes, *deletes):
        with pytest.raises(TaskNotFound):
            ask("bob", call)
    assert ask("bob", page(100)) == []
    assert ask("bob", lambda tasks: tasks.count(complete=None)) == 0
    assert rows(database, "alice") == [task]


def read_rows(database: Engine, owner: str) -> list[Row]:
    """The user's rows as the pool gives them: with their timestamps as texts."""
    found = rows(database, owner)
    for row in found:
        for name in ("created_at", "updated_at"):
            row[name] = f"{row[name]:%Y-%m-%dT%H:%M:%S.%fZ}"
    return found


def test_a_task_is_a_row(ask: Ask, database: Engine) -> None:
    """Its columns by name, whichever statement gives it."""
    first = ask("alice", lambda tasks: tasks.create({"title": '"q" \\ 🥛', "description": "line\nbreak"}))
    once = ask("alice", lambda tasks: tasks.create_once({"title": "x", "description": None}, "key", b""))
    for task in (first, once):
        (row,) = [row for row in read_rows(database, "alice") if row["id"] == task["id"]]
        assert task == row == ask("alice", get(task["id"]))
        assert row in ask("alice", page(100))
        assert list(task) == list(TaskResponse.model_fields)
        assert (task["user_id"], task["complete"], task["created_at"]) == ("alice", False, task["updated_at"])
        changed = ask("alice", change(task["id"], {"title": "y"}))
        assert [changed] == [row for row in read_rows(database, "alice") if row["id"] == task["id"]]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "UTC"])
def test_timestamps_and_tags_do_not_depend_on_the_servers_zone(ask: Ask, database: Engine, zone: str) -> None:
    """A new connection takes the database's zone on; a tag or a key that was given is known again."""
    task = make_task(database, user_id="alice")
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE postgres SET timezone = '{zone}'"))
        try:
            row = ask("alice", get(task["id"]))
            tag = store.entity_tag(row)
            first = ask("alice", lambda tasks: tasks.create_once(NEW, "key", b""))
            ask("alice", change(task["id"], {"title": "x"}, tag))
        finally:
            connection.execute(text("ALTER DATABASE postgres RESET timezone"))
    moment = task["updated_at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert tag == f'"{moment}"'
    assert row["updated_at"] == TaskResponse(**row).model_dump(mode="json")["updated_at"] == moment
    retry = ask("alice", lambda tasks: tasks.create_once(NEW, "key", b""))
    assert TaskResponse(**retry).model_dump_json() == TaskResponse(**first).model_dump_json()


@pytest.mark.parametrize("microsecond", [0, 5, 120000, 123456])
def test_a_timestamp_always_has_six_digits(ask: Ask, database: Engine, microsecond: int) -> None:
    """Also where they are zeros."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        connection.execute(
            text("UPDATE task SET created_at = :moment, updated_at = :moment"),
            {"moment": datetime(2025, 12, 20, 12, 30, 0, microsecond, timezone(timedelta(hours=1)))},
        )
    shown = TaskResponse(**ask("alice", get(task["id"]))).model_dump(mode="json")
    assert shown["created_at"] == shown["updated_at"] == f"2025-12-20T11:30:00.{microsecond:06}Z"


@pytest.mark.parametrize(
    ("chosen", "titles"),
    [
        ({}, "EDCBA"),
        ({"limit": 4}, "EDCB"),
        ({"limit": 2, "offset": 2}, "CB"),
        ({"limit": 2, "offset": 5}, ""),
        ({"limit": 501, "offset": 2**63 - 1}, ""),
        ({"after": "C"}, "BA"),
        ({"after": "C", "limit": 1}, "B"),
        ({"after": "A"}, ""),
        ({"complete": True}, "DB"),
        ({"complete": False, "after": "C"}, "A"),
    ],
)
def test_a_page_is_newest_first(ask: Ask, database: Engine, chosen: dict[str, Any], titles: str) -> None:
    """Whoever else's tasks lie between."""
    ids = {}
    for place, title in enumerate("ABCDE"):
        ids[title] = make_task(database, user_id="alice", title=title, complete=place % 2 == 1)["id"]
        make_task(database, user_id="bob", title=title)
    if "after" in chosen:
        chosen = chosen | {"after": ids[chosen["after"]]}
    assert [task["title"] for task in ask("alice", page(**{"limit": 100} | chosen))] == list(titles)


def test_the_count_is_of_all_that_match(ask: Ask, database: Engine) -> None:
    """Of one user's, and no others."""
    for place in range(5):
        make_task(database, user_id="alice", complete=place % 2 == 1)
        make_task(database, user_id="bob")
    assert ask("alice", lambda tasks: tasks.count(complete=None)) == 5
    assert ask("alice", lambda tasks: tasks.count(complete=True)) == 2
    assert ask("alice", lambda tasks: tasks.count(complete=False)) == 3


def test_a_key_belongs_to_one_task(ask: Ask, database: Engine) -> None:
    """The first one, as it was; another fingerprint is refused, and nothing is created."""
    first = ask("alice", lambda tasks: tasks.create_once(NEW, "key", b"1"))
    ask("alice", change(first["id"], {"title": "y"}))
    assert ask("alice", lambda tasks: tasks.create_once(NEW, "key", b"1")) == first
    with pytest.raises(Invalid, match="was used for another task before"):
        ask("alice", lambda tasks: tasks.create_once(NEW, "key", b"2"))
    assert [row["title"] for row in rows(database, "alice")] == ["y"]


def test_updated_at_is_the_time_of_the_change(ask: Ask, database: Engine) -> None:
    """By the database's clock."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        moved = "UPDATE task SET created_at = now() - interval '1 day', updated_at = now() - interval '1 day'"
        connection.execute(text(moved))
    ask("alice", change(task["id"], {"complete": True}))
    assert timedelta(0) < rows(database, "alice")[0]["updated_at"] - task["updated_at"] < timedelta(minutes=1)


def test_updated_at_moves_on_even_where_the_clock_does_not(ask: Ask, database: Engine) -> None:
    """A task changed in the future, by another clock, is changed later still."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        connection.execute(text("UPDATE task SET updated_at = now() + interval '1 day'"))
    before = rows(database, "alice")[0]["updated_at"]
    ask("alice", change(task["id"], {"complete": True}))
    assert (rows(database, "alice")[0]["updated_at"] - before).total_seconds() == 1e-6


@pytest.mark.parametrize(
    "foreign",
    [
        '"2025-12-20T11:30:00.123456+00:00"',
        '"2025-12-20T11:30:00.123456"',
        '"2025-12-20 11:30:00.123456Z"',
        '"20251220T113000.123456Z"',
        '"2025-12-20T11:30:00.1234560Z"',
        '"2025-12-20T11:30:0.123456Z"',
        '"2025-12-20t11:30:00.123456z"',
        '"2025-13-45T11:30:00.123456Z"',
        '"2025-12-20T13:30:00.123456+02:00"',
        'W/"2025-12-20T11:30:00.123456Z"',
        "2025-12-20T11:30:00.123456Z",
        "'2025-12-20T11:30:00.123456Z'",
        '"infinity"',
        '"now"',
        '"',
        "",
        "\xff",
    ],
)
def test_a_tag_is_compared_as_it_was_sent(ask: Ask, database: Engine, foreign: str) -> None:
    """Tags are opaque (RFC 9110, 8.8.3): another form of the same moment is another tag, and none is an error."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        connection.execute(
            text("UPDATE task SET created_at = :moment, updated_at = :moment"),
            {"moment": "2025-12-20T11:30:00.123456Z"},
        )
    with pytest.raises(TaskChanged):
        ask("alice", change(task["id"], {"title": "x"}, foreign))
    with pytest.raises(TaskChanged):
        ask("alice", delete(task["id"], foreign))
    own = '"2025-12-20T11:30:00.123456Z"'
    ask("alice", delete(task["id"], foreign, own))
    assert rows(database, "alice") == []


@pytest.mark.parametrize("year", ["0001", "0999", "9999"])
def test_a_tag_of_any_year_is_a_tag(ask: Ask, database: Engine, year: str) -> None:
    """As the task has it."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        connection.execute(
            text("UPDATE task SET created_at = :moment, updated_at = :moment"), {"moment": f"{year}-06-20T11:30:00.5Z"}
        )
    tag = store.entity_tag(ask("alice", get(task["id"])))
    assert tag == f'"{year}-06-20T11:30:00.500000Z"'
    ask("alice", delete(task["id"], tag))


def test_only_the_named_fields_are_written() -> None:
    """Updating all of them would overwrite what another client has just changed."""
    assert re.findall(r"(\w+) = %", statement_of("alice", change(1, {"complete": True})).sql)[0] == "complete"
    for column in ("title", "description"):
        assert f"{column} = " not in statement_of("alice", change(1, {"complete": True})).sql
    assert "complete = " not in statement_of("alice", change(1, {"title": "x"})).sql


@pytest.mark.parametrize("text_", ["'; DROP TABLE task; --", "%(owner)s", "%s", "\\", "$$", "E'\\x41'", "{}"])
def test_text_is_never_sql(ask: Ask, database: Engine, text_: str) -> None:
    """All values are parameters."""
    values = {"title": text_, "description": text_}
    ask(text_, lambda tasks: tasks.create(values))
    first = ask(text_, lambda tasks: tasks.create_once(values, text_, text_.encode()))
    assert ask(text_, lambda tasks: tasks.create_once(values, text_, text_.encode())) == first
    ask(text_, change(first["id"], values))
    assert [(row["title"], row["description"]) for row in rows(database, text_)] == [(text_, text_)] * 2


def test_what_the_database_refuses_is_a_database_error(ask: Ask) -> None:
    """The API would have refused it; the connection is well afterwards."""
    with pytest.raises(DatabaseError) as refused:
        ask("alice", lambda tasks: tasks.create({"title": "x" * 201, "description": None}))
    assert isinstance(refused.value.__cause__, psycopg2.errors.CheckViolation)


# The tests' own database


def test_the_next_test_does_not_meet_what_this_one_has_given_up(cluster: Cluster, database: Engine) -> None:
    """A statement that waits for a lock is executed when that is free, though nobody waits for it any more."""
    late = text("INSERT INTO task (user_id, title) SELECT 'alice', 'late' FROM pg_sleep(0.5)")
    asleep = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")

    def insert() -> None:
        with database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(late)

    def is_under_way() -> bool:
        with database.connect() as connection:
            return bool(connection.execute(asleep).scalar_one())

    with ThreadPoolExecutor(1) as threads:
        given_up = threads.submit(insert)
        wait_until(is_under_way)
        cluster.wait_until_idle()
        assert [row["title"] for row in rows(database, "alice")] == ["late"]
        given_up.result()
