"""What the servers' logs tell after all scenarios have run on Citus, in the same run (`make distributed`)."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest

from tests.faults.after_the_scenarios import KINDS, TABLE
from tests.faults.conftest import SUMMARY
from tests.support.citus import Citus
from tests.support.cluster import Cluster

ENTRY = re.compile(r"^([^|\t\n]*)\|(\d+)\|(\w+):  ((?:.|\n\t)*)", re.MULTILINE)
"""An application, a backend's process, a level and a message; a tab begins the message's further lines."""
SHARD = re.compile(r"\bpublic\.(task|idempotency_key)_(\d+)\b")


@dataclass
class Statement:
    """A statement that the service has sent, and where Citus sent what it made of it."""

    sql: str
    shards: set[tuple[str, str]] = field(default_factory=set)
    """Tables and their shards."""
    servers: set[str] = field(default_factory=set)

    @property
    def on_one_shard(self) -> bool:
        """Whether one server alone had it, on one shard of each table: tables that are colocated share their shards."""
        tables = [table for table, _ in self.shards]
        return len(self.servers) == 1 and len(tables) == len(set(tables))


def statements(log: str) -> list[Statement]:
    """Everything that the service has sent to the coordinator."""
    sent, last, place = [], {}, None
    for application, backend, level, message in ENTRY.findall(log):
        text = " ".join(message.split())
        if application != "todo-api":
            continue
        if level == "LOG" and text.startswith("statement: "):
            last[backend] = Statement(text.removeprefix("statement: "))
            sent.append(last[backend])
        elif level == "NOTICE" and text.startswith(("issuing ", "executing the command locally")):
            place = set(SHARD.findall(text))
            last[backend].shards |= place
        elif level == "DETAIL" and text.startswith("on server ") and place:
            last[backend].servers.add(text.split()[2])
    return sent


@pytest.fixture
def citus(cluster: Cluster) -> Citus:
    """The coordinator and its workers."""
    assert isinstance(cluster, Citus), "run `make distributed`"
    return cluster


def test_each_statement_went_to_one_shard(citus: Citus) -> None:
    """The coordinator logs what it receives, and what it sends to which worker."""
    sent = statements(citus.log.read_text())
    touching = [one for one in sent if TABLE.search(one.sql)]
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    unknown = []
    for one in touching:
        kinds = [kind for kind, pattern in KINDS.items() if re.search(pattern, one.sql)]
        if len(kinds) != 1:
            unknown.append((kinds, one.sql))
        for kind in kinds:
            counted[kind]["one" if one.on_one_shard else "more" if one.shards else "none"] += 1
    SUMMARY.append(
        "| statement | on one shard | on more | on none: refused, or cut off by a fault |\n|---|---|---|---|"
    )
    SUMMARY.extend(
        f"| {kind} | {count['one']} | {count['more']} | {count['none']} |" for kind, count in counted.items()
    )
    assert [one for one in touching if one.shards and not one.on_one_shard] == []
    assert counted.keys() == KINDS.keys() - {"ready"}
    assert all(count["one"] > 0 for count in counted.values())
    assert unknown == []


def test_the_workers_logs_agree(citus: Citus) -> None:
    """Each worker has had shards that the other has not, and together they have had all that the coordinator used."""
    used = set().union(*(one.shards for one in statements(citus.log.read_text())))
    first, second = [set(SHARD.findall(worker.log.read_text())) for worker in citus.workers]
    assert first & second == set()
    assert used <= first | second
    assert used & first
    assert used & second


@pytest.mark.parametrize(
    ("remote", "good"),
    [
        ([("task_102008", "one")], True),
        ([("task_102008", "one"), ("idempotency_key_102016", "one")], True),
        ([("task_102008", "one"), ("task_102009", "one")], False),
        ([("task_102008", "one"), ("idempotency_key_102017", "two")], False),
    ],
)
def test_a_second_shard_would_be_found(remote: list[tuple[str, str]], good: bool) -> None:
    """The check itself can fail."""
    log = "todo-api|7|LOG:  statement: \n\tSELECT 1\n" + "".join(
        f"todo-api|7|NOTICE:  issuing SELECT FROM public.{shard}\ntodo-api|7|DETAIL:  on server {server}:5432\n"
        for shard, server in remote
    )
    (statement,) = statements(log)
    assert statement.on_one_shard == good
