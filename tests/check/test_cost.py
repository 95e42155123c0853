"""What a request may cost, held without a clock: plans and threads."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest
from sqlalchemy import Engine, text

from tests.support.cluster import Cluster
from tests.support.factories import make_task
from tests.support.people import Cast, Person
from tests.support.processes import Run
from tests.support.service import running_service, settings_for
from tests.support.statements import Call, page, statement_of


@pytest.fixture(scope="module")
def crowded(cluster: Cluster) -> Iterator[Engine]:
    """A table of a hundred thousand tasks of a thousand users."""
    engine = cluster.engine
    fill = (
        "INSERT INTO task (user_id, title) SELECT 'user' || u, 'Task ' || t"
        " FROM generate_series(1, 100) t, generate_series(1, 1000) u"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(fill))
        connection.execute(text("VACUUM ANALYZE task"))
        yield engine
        connection.execute(text("TRUNCATE task"))


WHOLE = {"title": "x", "description": None, "complete": True}
TAG = '"2025-12-20T11:30:00.123456Z"'


def create_once(user: str, key: str) -> tuple[str, Mapping[str, Any]]:
    """The statement that creates a task once, with its parameters."""
    values = {"title": "x", "description": None}
    statement = statement_of(user, lambda tasks: tasks.create_once(values, key, b""))
    return statement.sql, statement.params


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


STATEMENTS: dict[str, Callable[[int], Call]] = {
    "list": lambda _: page(21),
    "page": lambda last: page(21, after=last),
    "completed": lambda _: page(21, complete=True),
    "count": lambda _: lambda tasks: tasks.count(complete=None),
    "count completed": lambda _: lambda tasks: tasks.count(complete=True),
    "fetch": lambda last: lambda tasks: tasks.get(last),
    "replace": lambda last: lambda tasks: tasks.change(last, WHOLE, None),
    "change": lambda last: lambda tasks: tasks.change(last, {"complete": True}, None),
    "delete": lambda last: lambda tasks: tasks.delete(last, None),
    "change as seen": lambda last: lambda tasks: tasks.change(last, {"complete": True}, [TAG]),
    "delete as seen": lambda last: lambda tasks: tasks.delete(last, [TAG]),
}


@pytest.mark.parametrize("call", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_every_statement_uses_the_key(cluster: Cluster, crowded: Engine, call: Callable[[int], Call]) -> None:
    """With the planner's default settings, and no walk through the table."""
    with crowded.connect() as connection:
        last = connection.execute(text("SELECT max(id) FROM task WHERE user_id = 'user500'")).scalar_one()
    statement = statement_of("user500", call(last))
    connection_ = psycopg2.connect(cluster.url)
    try:
        with connection_.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.params)
            ((((plan,),)),) = cursor.fetchall()
    finally:
        connection_.close()
    scans = [
        node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "task" and "Scan" in node["Node Type"]
    ]
    assert scans
    for scan in scans:
        assert "Seq" not in scan["Node Type"]
        assert "user_id" in scan.get("Index Cond", scan.get("Recheck Cond", ""))


def test_no_request_goes_through_a_thread(folder: Path, serve: Callable[..., Run]) -> None:
    """The event loop does all of it; each hop would cost a hundred microseconds."""
    run = serve(folder).wait_until_up()
    threads = psutil.Process(run.process.pid).num_threads()
    tasks, headers = f"{run.url}/api/alice/tasks", {"authorization": f"Bearer {run.token('alice')}"}
    task = httpx.post(tasks, json={"title": "x"}, headers=headers).json()
    one = f"{tasks}/{task['id']}"
    assert httpx.get(tasks, headers=headers).status_code == 200
    assert httpx.get(one, headers=headers).status_code == 200
    assert httpx.put(one, json={"title": "y", "complete": True}, headers=headers).status_code == 200
    assert httpx.patch(one, json={"complete": False}, headers=headers).status_code == 200
    assert httpx.delete(one, headers=headers).status_code == 204
    assert httpx.get(run.url + "/health/ready").status_code == 200
    assert httpx.get(run.url + "/metrics").status_code == 200
    assert psutil.Process(run.process.pid).num_threads() == threads


REQUESTS = 600
CPU_BUDGET = 0.005
"""Seconds of a core for one request: a hundred a second then take half of one, and none waits long for another."""


def test_a_hundred_requests_a_second_leave_the_core_half_idle(folder: Path, serve: Callable[..., Run]) -> None:
    """Counted in the server's own CPU time, for any other clock runs on while the machine does something else."""
    run = serve(folder).wait_until_up()
    server = psutil.Process(run.process.pid)
    headers = {"authorization": f"Bearer {run.token('alice')}"}
    with httpx.Client(base_url=f"{run.url}/api/alice", headers=headers) as client:
        one = f"/tasks/{client.post('/tasks', json={'title': 'x'}).json()['id']}"
        kinds: dict[str, Callable[[], httpx.Response]] = {
            "list": lambda: client.get("/tasks?limit=20"),
            "create": lambda: client.post("/tasks", json={"title": "x"}),
            "fetch": lambda: client.get(one),
            "replace": lambda: client.put(one, json={"title": "y", "complete": True}),
            "change": lambda: client.patch(one, json={"complete": False}),
            "delete": lambda: client.delete(f"/tasks/{2**60}"),
        }
        for kind, send in kinds.items():
            before = server.cpu_times()
            for _ in range(REQUESTS // len(kinds)):
                assert send().status_code in {200, 201, 404}
            after = server.cpu_times()
            used = after.user + after.system - before.user - before.system
            assert used / (REQUESTS // len(kinds)) < CPU_BUDGET, kind


@contextmanager
def statements(cluster: Cluster) -> Iterator[tuple[Person, Callable[[], list[str]]]]:
    """Alice at a service whose statements the database logs, and a look at those since the last look."""
    logged = cluster.url + ("&" if "?" in cluster.url else "?") + "options=-c%20log_statement%3Dall"
    log = cluster.log
    with running_service(settings_for(logged)) as service:
        place = log.stat().st_size

        def since() -> list[str]:
            nonlocal place
            with log.open("rb") as file:
                file.seek(place)
                text_ = file.read().decode()
                place = file.tell()
            return re.findall(r"LOG:  statement: \s*(\w+)", text_)

        yield Cast(service)("Alice"), since


def test_one_statement_for_each_request(cluster: Cluster, database: Engine) -> None:
    """With the headers or without; a part of a list is counted apart, and a refusal by a condition looks again."""
    task = make_task(database, user_id="alice")
    title, whole = {"title": "x"}, {"title": "x", "complete": True}
    with statements(cluster) as (alice, since):
        one, all_ = alice.tasks_path(task), alice.tasks_path()

        def sent(method: str, path: str, status: int, body: Any = None, **headers: str) -> list[str]:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            asked = {} if body is None else {"json": body}
            assert alice.ask(method, path, headers=given, **asked).status_code == status
            return since()

        assert sent("GET", all_, 200)[-1:] == ["SELECT"]  # the first one connects
        assert sent("GET", all_, 200) == ["SELECT"]
        assert sent("POST", all_, 201, title) == ["INSERT"]
        # two tasks now; they are counted apart only where the page does not show them all
        assert sent("GET", all_ + "?limit=2", 200) == ["SELECT"]
        assert sent("GET", all_ + "?limit=1", 200) == ["SELECT", "SELECT"]
        assert sent("GET", all_ + "?offset=1", 200) == ["SELECT", "SELECT"]
        assert sent("GET", all_ + "?after=1", 200) == ["SELECT", "SELECT"]
        assert sent("GET", one, 200) == ["SELECT"]
        assert sent("PUT", one, 200, whole) == ["UPDATE"]
        assert sent("PATCH", one, 200, title) == ["UPDATE"]
        assert sent("POST", all_, 201, title, idempotency_key="one") == ["SELECT"]
        assert sent("POST", all_, 201, title, idempotency_key="one") == ["SELECT"]
        assert sent("POST", all_, 422, whole | {"complete": 1}, idempotency_key="one") == []
        assert sent("POST", all_, 422, {"title": "y"}, idempotency_key="one") == ["SELECT"]
        tag = alice.ask("GET", one).headers["etag"]
        assert since() == ["SELECT"]
        assert sent("GET", one, 304, if_none_match=tag) == ["SELECT"]
        assert sent("PATCH", one, 200, title, if_match=tag) == ["UPDATE"]
        assert sent("PATCH", one, 412, title, if_match=tag) == ["UPDATE", "SELECT"]
        assert sent("PUT", one, 200, whole, if_match="*") == ["UPDATE"]
        assert sent("DELETE", one, 412, if_match=tag) == ["DELETE", "SELECT"]
        assert sent("DELETE", one, 204) == ["DELETE"]
        assert sent("DELETE", one, 404) == ["DELETE"]


def test_a_key_is_found_by_its_index(cluster: Cluster, database: Engine) -> None:
    """And so are the expired ones, after the key itself is decided: else two requests could wait for each other."""
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO idempotency_key SELECT 'user' || u, 'key-' || k, '', '{}', now()"
                " FROM generate_series(1, 500) u, generate_series(1, 100) k"
            )
        )
        connection.execute(text("ANALYZE idempotency_key"))
    scans = (
        "SELECT seq_scan, pg_stat_get_xact_numscans('idempotency_key_pkey'::regclass),"
        " pg_stat_get_xact_numscans('idempotency_key_user_id_created_at_idx'::regclass)"
        " FROM pg_stat_xact_user_tables WHERE relname = 'idempotency_key'"
    )
    counted = {}
    for key in ("key-7", "new"):
        with closing(psycopg2.connect(cluster.url)) as connection_, connection_.cursor() as cursor:
            cursor.execute(*create_once("user250", key))
            cursor.execute(scans)
            counted[key] = cursor.fetchone()
    # by the key: to find the conflict, and then its answer; by the time: to look for expired ones
    assert counted == {"key-7": (0, 2, 0), "new": (0, 1, 1)}


def test_a_plan_made_for_few_keys_is_good_for_many(cluster: Cluster, database: Engine) -> None:
    """The function's plans are kept by its connection, and the first ones are made while there is hardly a key."""
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE task, idempotency_key"))
    with closing(psycopg2.connect(cluster.url)) as connection_, connection_.cursor() as cursor:
        for key in range(10):
            cursor.execute(*create_once("alice", f"key-{key}"))
        cursor.execute(
            "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname IN ('task', 'idempotency_key')"
        )
        assert dict(cursor.fetchall()) == {"task": 0, "idempotency_key": 0}
