"""Each statement against the real database: what it gives, and that it names its owner."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, text

from app import store
from app.core.database.pool import Pool
from app.core.deadline import set_deadline
from app.core.errors import DatabaseError
from tests.support.cluster import Cluster
from tests.support.factories import make_task, rows

Fetch = Callable[[store.Query], tuple[Any, ...] | None]


@pytest.fixture
def fetch(cluster: Cluster, database: Engine) -> Fetch:  # noqa: ARG001 - each test starts without tasks
    """Run one query, as the service does."""

    def run(query: store.Query) -> tuple[Any, ...] | None:
        async def once() -> tuple[Any, ...] | None:
            set_deadline(5)
            pool = Pool(cluster.url, 1)
            try:
                rows = await pool.fetch(query.sql, query.params, is_read=query.is_read)
                return tuple(rows[0].values()) if rows else None
            finally:
                pool.close()

        return asyncio.run(once())

    return run


def in_utc(moment: datetime) -> str:
    """A moment as an answer shows it; the driver gives it in the zone of this machine."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_every_statement_names_the_owner() -> None:
    """Another user's row does not exist: by the filter, never by an `if`."""
    values = {"title": "x"}
    updates = [store.update_task("alice", 1, values, tags) for tags in (None, ["*"], ['"x"'])]
    deletes = [store.delete_task("alice", 1, tags) for tags in (None, ["*"], ['"x"'])]
    lists = [store.list_tasks("alice", limit=1), store.list_tasks("alice", limit=1, complete=True, after=1)]
    counts = [store.count_tasks("alice"), store.count_tasks("alice", complete=True)]
    for query in [*updates, *deletes, *lists, *counts, store.fetch_task("alice", 1)]:
        assert re.search(r" FROM task WHERE user_id = %\(owner\)s| WHERE user_id = %\(owner\)s AND id = ", query.sql)
        assert query.params["owner"] == "alice"
    assert "INSERT INTO task (user_id, title) VALUES (%(owner)s, " in store.create_task("alice", values).sql
    assert "'user_id', %(owner)s" in store.create_task_once("alice", values, "key", b"", 24).sql


def test_every_statement_of_the_function_names_the_owner(database: Engine) -> None:
    """The one that creates a task once, which stands in the database."""
    with database.connect() as connection:
        body = connection.execute(text("SELECT prosrc FROM pg_proc WHERE proname = 'create_task_once'")).scalar_one()
    statements = [part for part in body.split(";") if re.search(r"\b(FROM|INTO|UPDATE) (task|idempotency_key)\b", part)]
    assert len(statements) == 4
    for statement in statements:
        tables = re.findall(r"\b(?:FROM|INTO) (?:task|idempotency_key)\b", statement)
        owners = re.findall(r"user_id = new_task\.user_id|VALUES \(new_task\.(?:user_id|\*)", statement)
        assert len(owners) == len(tables)


def test_a_body_never_names_the_owner(fetch: Fetch, database: Engine) -> None:
    """Not even one that had got past the schemas."""
    values = {"title": "x", "user_id": "alice", "id": 7}
    with pytest.raises(DatabaseError):
        fetch(store.create_task("bob", values))
    once = store.create_task_once("bob", values, "key", b"", 24)
    assert fetch(once) == fetch(once)
    assert rows(database, "alice") == []
    assert [row["title"] for row in rows(database, "bob")] == ["x"]


def test_a_given_value_goes_before_the_default(fetch: Fetch, database: Engine) -> None:
    """With a key as without: a field with a default in the table may be in the body."""
    values = {"title": "x", "complete": True}
    fetch(store.create_task("alice", values))
    fetch(store.create_task_once("alice", values, "key", b"", 24))
    assert [row["complete"] for row in rows(database, "alice")] == [True, True]


def test_reads_alone_may_be_sent_again() -> None:
    """A write whose connection died may have happened."""
    values = {"title": "x", "description": None}
    lists = [store.list_tasks("alice", limit=1), store.count_tasks("alice")]
    reads = [*lists, store.fetch_task("alice", 1), store.READY]
    creates = [store.create_task("alice", values), store.create_task_once("alice", values, "key", b"", 24)]
    writes = [*creates, store.update_task("alice", 1, values), store.delete_task("alice", 1)]
    assert [query.is_read for query in reads] == [True] * 4
    assert [query.is_read for query in [*writes, *store.delete_user("alice").values()]] == [False] * 6


def test_no_statement_touches_anothers_task(fetch: Fetch, database: Engine) -> None:
    """Whatever Bob asks about Alice's task, by its true id."""
    task = make_task(database, user_id="alice")
    assert fetch(store.fetch_task("bob", task["id"])) is None
    assert fetch(store.update_task("bob", task["id"], {"title": "x"})) is None
    assert fetch(store.delete_task("bob", task["id"])) is None
    assert fetch(store.list_tasks("bob", limit=100)) == (None,)
    assert fetch(store.count_tasks("bob")) == (0,)
    row = fetch(store.fetch_task("alice", task["id"]))
    assert row is not None
    assert fetch(store.update_task("bob", task["id"], {"title": "x"}, [row[1]])) is None
    assert fetch(store.delete_task("bob", task["id"], [row[1]])) is None
    assert rows(database, "alice") == [task]


def test_a_task_is_given_as_the_schema_shows_it(fetch: Fetch, database: Engine) -> None:
    """PostgreSQL builds the JSON; timestamps are UTC with microseconds and Z, whatever the server's zone."""
    task = make_task(database, user_id='a"lice', title='"q" \\ 🥛', description="line\nbreak")
    row = fetch(store.fetch_task('a"lice', task["id"]))
    assert row is not None
    shown = json.loads(row[0])
    for name in ("created_at", "updated_at"):
        assert shown.pop(name) == in_utc(task.pop(name))
    assert shown == task


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "UTC"])
def test_timestamps_and_tags_do_not_depend_on_the_servers_zone(fetch: Fetch, database: Engine, zone: str) -> None:
    """A new connection takes the database's zone on; a tag that was given is known again."""
    task = make_task(database, user_id="alice")
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE postgres SET timezone = '{zone}'"))
        try:
            row = fetch(store.fetch_task("alice", task["id"]))
            assert row is not None
            assert fetch(store.update_task("alice", task["id"], {"title": "x"}, [row[1]])) is not None
        finally:
            connection.execute(text("ALTER DATABASE postgres RESET timezone"))
    assert json.loads(row[0])["created_at"] == in_utc(task["created_at"])


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
def test_a_page_is_a_line_for_each_task(fetch: Fetch, database: Engine, chosen: dict[str, Any], titles: str) -> None:
    """Newest first, whoever else's tasks lie between."""
    ids = {}
    for place, title in enumerate("ABCDE"):
        ids[title] = make_task(database, user_id="alice", title=f"{title}\n", complete=place % 2 == 1)["id"]
        make_task(database, user_id="bob", title=title)
    if "after" in chosen:
        chosen = chosen | {"after": ids[chosen["after"]]}
    row = fetch(store.list_tasks("alice", **{"limit": 100} | chosen))
    assert row is not None
    lines = row[0].split("\n") if row[0] else []
    assert [json.loads(line)["title"] for line in lines] == [f"{title}\n" for title in titles]


def test_the_count_is_of_all_that_match(fetch: Fetch, database: Engine) -> None:
    """Of one user's, and no others."""
    for place in range(5):
        make_task(database, user_id="alice", complete=place % 2 == 1)
        make_task(database, user_id="bob")
    assert fetch(store.count_tasks("alice")) == (5,)
    assert fetch(store.count_tasks("alice", complete=True)) == (2,)


def test_updated_at_is_the_time_of_the_change(fetch: Fetch, database: Engine) -> None:
    """By the database's clock."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        moved = "UPDATE task SET created_at = now() - interval '1 day', updated_at = now() - interval '1 day'"
        connection.execute(text(moved))
    fetch(store.update_task("alice", task["id"], {"complete": True}))
    assert timedelta(0) < rows(database, "alice")[0]["updated_at"] - task["updated_at"] < timedelta(minutes=1)


def test_updated_at_moves_on_even_where_the_clock_does_not(fetch: Fetch, database: Engine) -> None:
    """A task changed in the future, by another clock, is changed later still."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        connection.execute(text("UPDATE task SET updated_at = now() + interval '1 day'"))
    before = rows(database, "alice")[0]["updated_at"]
    fetch(store.update_task("alice", task["id"], {"complete": True}))
    assert (rows(database, "alice")[0]["updated_at"] - before).total_seconds() == 1e-6


@pytest.mark.parametrize(
    "foreign",
    [
        '"2025-12-20T11:30:00.123456+00:00"',
        '"2025-12-20T11:30:00.123456"',
        '"2025-12-20 11:30:00.123456Z"',
        '"20251220T113000.123456Z"',
        '"2025-12-20T11:30:00.1234560Z"',
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
def test_a_tag_is_compared_as_it_was_sent(fetch: Fetch, database: Engine, foreign: str) -> None:
    """Tags are opaque (RFC 9110, 8.8.3): another form of the same moment is another tag, and none is an error."""
    task = make_task(database, user_id="alice")
    with database.begin() as connection:
        connection.execute(
            text("UPDATE task SET created_at = :moment, updated_at = :moment"),
            {"moment": "2025-12-20T11:30:00.123456Z"},
        )
    assert fetch(store.update_task("alice", task["id"], {"title": "x"}, [foreign])) is None
    assert fetch(store.delete_task("alice", task["id"], [foreign])) is None
    own = '"2025-12-20T11:30:00.123456Z"'
    assert fetch(store.delete_task("alice", task["id"], [foreign, own])) == (task["id"],)


def test_only_the_named_fields_are_written() -> None:
    """Updating all of them would overwrite what another client has just changed."""
    assert "title = " not in store.update_task("alice", 1, {"complete": True}).sql
    assert "complete = " not in store.update_task("alice", 1, {"title": "x"}).sql


@pytest.mark.parametrize("text_", ["'; DROP TABLE task; --", "%(owner)s", "%s", "\\", "$$", "E'\\x41'", "{}"])
def test_text_is_never_sql(fetch: Fetch, database: Engine, text_: str) -> None:
    """All values are parameters."""
    fetch(store.create_task(text_, {"title": text_, "description": text_}))
    once = store.create_task_once(text_, {"title": text_, "description": text_}, text_, text_.encode(), 24)
    assert fetch(once) == fetch(once)
    assert [(row["title"], row["description"]) for row in rows(database, text_)] == [(text_, text_)] * 2


def test_what_the_database_refuses_is_a_database_error(fetch: Fetch) -> None:
    """The API would have refused it; the connection is well afterwards."""
    with pytest.raises(DatabaseError) as refused:
        fetch(store.create_task("alice", {"title": "x" * 201, "description": None}))
    assert isinstance(refused.value.__cause__, psycopg2.errors.CheckViolation)
