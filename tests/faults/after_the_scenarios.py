"""What can be told after all scenarios have run through PgBouncer, in the same run (`make pooled`)."""

import re

import pytest

from app.store import READY
from tests.support.cluster import Cluster
from tests.support.pooler import Pooler

READINESS = " ".join(READY.split())
KINDS = {
    "list": r"^SELECT id, .* FROM task .* ORDER BY id DESC",
    "count": r"^SELECT count\(",
    "fetch": r"^SELECT id, .* FROM task WHERE user_id = E?'(?:[^']|'')+' AND id = \S+$",
    "create": r"^INSERT INTO task",
    "create once": r"^SELECT id, .* FROM create_task_with_key\(",
    "update": r"^UPDATE task",
    "delete": r"^DELETE FROM task",
    "ready": f"^{re.escape(READINESS)}$",
}
TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN) (?:ONLY )?(?:task|idempotency_key)\b|\bcreate_task_with_key\(")
OWNER = re.compile(r"\buser_id = E?'[^']+'|\bINSERT INTO \w+ \(user_id, |'user_id', E?'[^']+'")


def statements(cluster: Cluster) -> list[str]:
    """Everything that the service has sent, from the server's own log, each statement on one line."""
    # a tab begins the further lines of a statement
    entries = re.split(r"^(?!\t)([^|\n]*)\|", cluster.log.read_text(), flags=re.MULTILINE)[1:]
    sent = []
    for application, entry in zip(entries[::2], entries[1::2], strict=True):
        level, _, said = entry.partition("statement: ")
        # PgBouncer itself passes a client's name on to the server
        if application == "todo-api" and level.strip() == "LOG:" and not said.startswith("SET application_name="):
            sent.append(" ".join(said.split()))
    return sent


def names_owner(statement: str) -> bool:
    """Whether each place that touches a table compares or inserts `user_id`."""
    return len(OWNER.findall(statement)) >= len(TABLE.findall(statement))


def test_the_scenarios_went_through_pgbouncer(through_pgbouncer: Pooler | None) -> None:
    """It counts what it passes on."""
    assert through_pgbouncer, "run `make pooled`"
    assert through_pgbouncer.queries() > 200


def test_every_statement_names_its_owner(cluster: Cluster) -> None:
    """So the table can be distributed by `user_id`, and none can read over the fence."""
    sent = statements(cluster)
    kinds = {name: [one for one in sent if re.search(pattern, one)] for name, pattern in KINDS.items()}
    assert all(kinds.values()), {name: len(found) for name, found in kinds.items()}
    touching = [one for one in sent if TABLE.search(one)]
    assert len(touching) > 200
    assert [one for one in touching if not names_owner(one)] == []
    # nothing else was sent: no BEGIN, SET, or anything that would cost a round trip or outlive a transaction
    assert {one for one in sent if one not in touching} == {READINESS}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM task WHERE id = 1",
        "SELECT count(*) FROM task",
        "SELECT 1 FROM task WHERE user_id = 'a' AND id IN (SELECT id FROM task)",
        "UPDATE task SET user_id='b' WHERE id = 1",
        "DELETE FROM task WHERE id = 1",
        "INSERT INTO task (title) VALUES ('a')",
        "WITH kept AS (INSERT INTO idempotency_key (user_id, key) VALUES ('a', 'b')) DELETE FROM idempotency_key",
    ],
)
def test_a_statement_without_an_owner_would_be_found(statement: str) -> None:
    """The check itself can fail."""
    assert not names_owner(statement)
