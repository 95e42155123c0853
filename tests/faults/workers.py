"""A worker of Citus that is killed or frozen under 8 clients: it costs its own users alone (`make distributed`)."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.faults.conftest import SUMMARY
from tests.support.citus import Citus, Node
from tests.support.clock import allowed
from tests.support.cluster import Cluster
from tests.support.processes import serving
from tests.support.tokens import token

USERS = [f"client-{number}" for number in range(8)]
OUTAGE = 6.0
"""Seconds."""
RUNS = int(os.environ.get("RUNS", "1"))
"""How often each fault is tried."""
HEAD = (
    "| fault | run | users of the worker: 2xx, 500, longest | the others: 2xx, 500, longest | acknowledged | lost |\n"
    "|---|---|---|---|---|---|"
)


@dataclass
class Group:
    """What some of the users were answered during the outage."""

    statuses: Counter[int] = field(default_factory=Counter)
    longest: float = 0

    def __str__(self) -> str:
        good = sum(count for status, count in self.statuses.items() if status < 300)
        return f"{good}, {self.statuses[500]}, {self.longest:.2f} s"


class Clients:
    """Each user creates tasks, one with a key and one without, completes them and lists them, until told to stop."""

    def __init__(self, url: str, groups: dict[str, Group]) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=30)
        self.groups, self.out, self.going = groups, False, True
        self.acknowledged: dict[int, str] = {}
        self.others: Counter[str] = Counter()
        """Answers that are neither successes nor DATABASE_ERROR."""

    async def work(self, user: str) -> None:
        """Be this user."""
        tasks, turn = f"/api/{user}/tasks", 0
        while self.going:
            turn += 1
            title = {"title": f"{user} {turn}"}
            for headers in ({"idempotency-key": f"turn-{turn}"}, {}):
                made = await self.ask(user, "POST", tasks, json=title, headers=headers)
                if made.status_code == 201:
                    self.acknowledged[made.json()["id"]] = user
                    await self.ask(user, "PATCH", f"{tasks}/{made.json()['id']}", json={"complete": True})
            await self.ask(user, "GET", tasks + "?limit=20")

    async def ask(self, user: str, method: str, path: str, **sent: object) -> httpx.Response:
        """Send one request and note its answer down, if it comes during the outage."""
        sent["headers"] = {"authorization": f"Bearer {token(user)}"} | dict(sent.get("headers", {}))  # type: ignore[call-overload]
        began = time.monotonic()
        answer = await self.http.request(method, path, **sent)  # type: ignore[arg-type]
        if answer.status_code >= 400 and (answer.status_code, answer.json()["error_code"]) != (500, "DATABASE_ERROR"):
            self.others[f"{method} {answer.status_code}"] += 1
        if self.out:
            group = self.groups[user]
            group.statuses[answer.status_code] += 1
            group.longest = max(group.longest, time.monotonic() - began)
        return answer


def users_of(worker: Node, database: Engine) -> set[str]:
    """Those whose shard is on this worker."""
    placed = (
        "SELECT nodename FROM pg_dist_placement JOIN pg_dist_node USING (groupid)"
        " WHERE shardid = get_shard_id_for_distribution_column('task', :user)"
    )
    with database.connect() as connection:
        node = str(worker.socket.parent)
        return {user for user in USERS if connection.execute(text(placed), {"user": user}).scalar_one() == node}


FAULTS: dict[str, tuple[Callable[[Node], None], Callable[[Node], None], float]] = {
    # name: what breaks a worker, what mends it, the longest that its users may wait for an answer
    "killed": (Node.crash, Node.start, 1.0),
    "frozen": (Node.freeze, Node.thaw, 5.0),
}


@pytest.mark.parametrize("run", range(1, RUNS + 1))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_costs_its_own_users_alone(
    cluster: Cluster, database: Engine, tmp_path: Path, fault: str, run: int
) -> None:
    """They are told at once, or by the deadline; the others notice nothing; and what was acknowledged is there."""
    assert isinstance(cluster, Citus), "run `make distributed`"
    break_it, mend_it, bound = FAULTS[fault]
    worker = cluster.workers[run % 2]
    theirs = users_of(worker, database)
    assert 0 < len(theirs) < len(USERS)
    hit, spared = Group(), Group()

    async def ordeal(url: str) -> Clients:
        clients = Clients(url, {user: hit if user in theirs else spared for user in USERS})
        working = [asyncio.create_task(clients.work(user)) for user in USERS]
        await asyncio.sleep(2)
        await asyncio.to_thread(break_it, worker)
        await asyncio.sleep(0.2)  # until what was answered before has come
        clients.out = True
        await asyncio.sleep(OUTAGE)
        clients.out = False
        await asyncio.to_thread(mend_it, worker)
        await asyncio.sleep(1)
        for user in sorted(theirs):
            assert (await clients.ask(user, "GET", f"/api/{user}/tasks")).status_code == 200
        clients.going = False
        await asyncio.gather(*working)
        await clients.http.aclose()
        return clients

    try:
        with serving(tmp_path, cluster.url, DATABASE_POOL_SIZE="16") as service:
            clients = asyncio.run(ordeal(service.url))
    finally:
        mend_it(worker)
    with database.connect() as connection:
        stored = {(row.id, row.user_id) for row in connection.execute(text("SELECT id, user_id FROM task"))}
        doubled = connection.execute(
            text(
                "SELECT user_id, key FROM idempotency_key k WHERE NOT EXISTS (SELECT FROM task t"
                " WHERE t.user_id = k.user_id AND t.id = (k.answer ->> 'id')::bigint)"
            )
        ).all()
    lost = clients.acknowledged.items() - stored
    if not SUMMARY or HEAD not in SUMMARY:
        SUMMARY.append(HEAD)
    SUMMARY.append(
        f"| {fault} for {OUTAGE:.0f} s | {run} | {len(theirs)}: {hit} | {len(USERS) - len(theirs)}: {spared} |"
        f" {len(clients.acknowledged)} | {len(lost)} |"
    )
    assert clients.others == Counter()
    assert hit.statuses.keys() == {500}
    assert hit.longest < allowed(bound)
    assert 500 not in spared.statuses
    assert spared.statuses.total() > 100
    assert spared.longest < allowed(2.0)
    assert lost == set()
    assert doubled == []
