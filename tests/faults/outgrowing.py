"""A database that has outgrown one machine: `todo-api migrate` distributes its tables (`make distributed`)."""

import pytest
from sqlalchemy import make_url, text

from app.migrations import upgrade
from tests.support.citus import Citus
from tests.support.cluster import Cluster
from tests.support.databases import engine
from tests.support.people import Cast
from tests.support.service import running_service, settings_for


def test_an_existing_database_is_distributed(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """With its tasks and its keys, and without a copy of them left behind; the second time there is nothing to do."""
    assert isinstance(cluster, Citus), "run `make distributed`"
    for node in (cluster, *cluster.workers):
        node.run("CREATE DATABASE outgrown")
    url = make_url(cluster.url).set(database="outgrown").render_as_string(hide_password=False)

    def sent(key: str) -> tuple[int, str]:
        with running_service(settings_for(url)) as service:
            alice = Cast(service)("Alice")
            answer = alice.ask("POST", alice.tasks_path(), json={"title": key}, headers={"Idempotency-Key": key})
            return answer.status_code, answer.text

    upgrade(url)
    first = sent("one")
    with engine(url).begin() as connection:
        connection.execute(
            text("INSERT INTO task (user_id, title) SELECT 'user' || n % 100, 'x' FROM generate_series(1, 1000) n")
        )
    cluster.distribute("outgrown")
    capsys.readouterr()
    upgrade(url)
    assert capsys.readouterr().err.splitlines() == [
        "todo-api: task is distributed by user_id (Citus)",
        "todo-api: idempotency_key is distributed by user_id (Citus)",
    ]
    upgrade(url)
    assert capsys.readouterr().err == ""
    assert sent("one") == first
    assert sent("two")[0] == 201
    with engine(url).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM task")).scalar_one() == 1002
        assert connection.execute(text("SELECT count(DISTINCT colocationid) FROM pg_dist_partition")).scalar_one() == 1
        interval = "SELECT result FROM run_command_on_workers('SHOW client_connection_check_interval')"
        assert connection.execute(text(interval)).scalars().all() == ["1s", "1s"]
        # what the coordinator itself still holds
        assert connection.execute(text("SELECT pg_relation_size('task')")).scalar_one() == 0
