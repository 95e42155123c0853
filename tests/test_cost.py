"""What a request may cost, held without a clock: plans and threads (spec: Non-functional requirements)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest
from sqlalchemy import Engine, text

from app import queries
from app.core.database import Query
from tests.support.cluster import Cluster
from tests.support.processes import Run


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


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


STATEMENTS: dict[str, Callable[[int], Query]] = {
    "list": lambda _: queries.list_tasks("user500", limit=21),
    "page": lambda last: queries.list_tasks("user500", limit=21, after=last),
    "completed": lambda _: queries.list_tasks("user500", limit=21, complete=True),
    "count": lambda _: queries.count_tasks("user500"),
    "count completed": lambda _: queries.count_tasks("user500", complete=True),
    "fetch": lambda last: queries.fetch_task("user500", last),
    "replace": lambda last: queries.update_task("user500", last, {"title": "x", "description": None, "complete": True}),
    "change": lambda last: queries.update_task("user500", last, {"complete": True}),
    "delete": lambda last: queries.delete_task("user500", last),
    "change as seen": lambda last: queries.update_task("user500", last, {"complete": True}, ['"tag"']),
    "delete as seen": lambda last: queries.delete_task("user500", last, ['"tag"']),
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_every_statement_uses_the_key(cluster: Cluster, crowded: Engine, statement: Callable[[int], Query]) -> None:
    """With the planner's default settings, and no walk through the table."""
    with crowded.connect() as connection:
        last = connection.execute(text("SELECT max(id) FROM task WHERE user_id = 'user500'")).scalar_one()
    query = statement(last)
    connection_ = psycopg2.connect(cluster.url)
    try:
        with connection_.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query.sql}", query.params)
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
