"""Hours in minutes: mixed load on one service with faults now and then, and what it holds in the end and held before.

`python -m tests.soak [minutes] [mark]`: fails unless resident memory, descriptors, connections and threads at the end
are within a tenth of those at the mark, which is minute 2 of 30, or a quarter of a shorter run.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import text

from tests.faults.clients import Connection
from tests.support import contract
from tests.support.cluster import Cluster, DurableCluster, running_cluster
from tests.support.processes import Process, serving
from tests.support.tokens import token

CLIENTS, POOL, CROWD = 8, 5, 20
PAUSE = 0.05
"""Seconds between two requests of a client."""
FROZEN = 3
"""Seconds for which the database is silent, at times."""
WINDOW = 10
"""Seconds over which a figure is the median of what was read each second."""
TOLERANCE = 0.1
FIGURES = ("memory, MiB", "descriptors", "connections", "threads")
FORGED = token("soak-0", secret="nobody-knows-this-secret-0123456789")
SHORT = 10
"""Minutes of a run in which faults come twice as often."""

Reading = tuple[float, float, float, float]


class Soak:
    """One run: who loads, what breaks, what is read."""

    def __init__(self, cluster: Cluster, service: Process) -> None:
        self._cluster, self._service = cluster, service
        self._going = True
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.readings: list[Reading] = []

    async def run(self, minutes: float, gap: float) -> None:
        """Load for so many minutes, and break something in the middle of each gap, a minute or a part of one."""
        loads = [asyncio.create_task(self._client(place)) for place in range(CLIENTS)]
        loads += [asyncio.create_task(self._crowd()), asyncio.create_task(self._break(gap * 60))]
        began = time.monotonic()
        while (passed := time.monotonic() - began) < minutes * 60:
            failed = [load.exception() for load in loads if load.done()]
            assert not failed, failed
            self.readings.append(self._reading())
            if len(self.readings) % (gap * 60) == 0:
                print(f"{passed / 60:6.1f} min", *(f"{figure:8.1f}" for figure in self.median(-1)), flush=True)
            await asyncio.sleep(len(self.readings) - passed)
        self._going = False
        await asyncio.gather(*loads)

    def _reading(self) -> Reading:
        process = self._service.running
        connections = len(process.net_connections("all"))
        return process.memory_info().rss / 2**20, process.num_fds(), connections, process.num_threads()

    def median(self, end: int) -> Reading:
        """The medians of the seconds before a second, or before the end (-1)."""
        until = len(self.readings) if end < 0 else end
        window = self.readings[until - WINDOW : until]
        memory, descriptors, connections, threads = (statistics.median(column) for column in zip(*window, strict=True))
        return memory, descriptors, connections, threads

    async def _client(self, place: int) -> None:
        """Create, list, change, fetch and delete, err at times, and hang up in the middle of something."""
        dice, path = random.Random(place), f"/api/soak-{place}/tasks"  # noqa: S311 - it hides nothing
        bearer = token(f"soak-{place}")
        while self._going:
            connection = Connection(self._service.url)
            await connection.open()
            for _ in range(dice.randrange(1, 20)):
                made = await self._ask(connection, "POST", path, bearer, {"title": "x", "description": "y" * 500})
                one = f"{path}/{made.json()['id']}" if made.status_code == 201 else f"{path}/1"
                await self._ask(connection, "GET", path + f"?limit={dice.randrange(1, 500)}", bearer)
                await self._ask(connection, "PATCH", one, bearer, {"complete": True})
                await self._ask(connection, "GET", one, bearer)
                await self._err(connection, dice, path, bearer)
                await self._ask(connection, "DELETE", one, bearer)
            await connection.hang_up(f"POST {path} HTTP/1.1\r\nHost: todo\r\nAuthorization: Bearer {bearer}\r\n")

    async def _err(self, connection: Connection, dice: random.Random, path: str, bearer: str) -> None:
        wrong: list[tuple[str, str, str, dict[str, Any] | None]] = [
            ("POST", path, bearer, {"titel": 1}),
            ("GET", path + "/abc", bearer, None),
            ("GET", "/api/somebody-else/tasks", bearer, None),
            ("GET", path, FORGED, None),
            ("PUT", path, bearer, None),
        ]
        await self._ask(connection, *dice.choice(wrong))

    async def _ask(
        self, connection: Connection, method: str, path: str, bearer: str, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        """Ask, and hold the answer against the contract."""
        await asyncio.sleep(PAUSE)
        answer = await connection.request(method, path, bearer, body)
        contract.hold(answer)
        assert answer.status_code < 500 or answer.json()["error_code"] == "DATABASE_ERROR", answer.text
        self.statuses[answer.status_code] += 1
        return answer

    async def _crowd(self) -> None:
        """Each five seconds many come at once, and a balancer and a collector look in."""

        async def visit(path: str) -> None:
            connection = Connection(self._service.url)
            await connection.open()
            self.statuses[(await connection.request("GET", path, token("crowd"), None)).status_code] += 1
            connection.close()

        while self._going:
            paths = ["/api/crowd/tasks"] * CROWD + ["/health", "/health/ready", "/metrics"]
            await asyncio.gather(*[visit(path) for path in paths])
            await asyncio.sleep(5)

    async def _break(self, gap: float) -> None:
        """In the middle of each gap let the database restart, crash, be silent, or lose its connections."""
        kinds = [self._restart, self._crash, self._freeze, self._kill]
        began, turn = time.monotonic(), 0
        while self._going:
            await asyncio.sleep(min(1, max(0, began + (turn + 0.5) * gap - time.monotonic())))
            if time.monotonic() >= began + (turn + 0.5) * gap and self._going:
                kind = kinds[turn % len(kinds)]
                self.faults[kind.__name__.strip("_")] += 1
                await asyncio.to_thread(kind)
                turn += 1

    def _restart(self) -> None:
        self._cluster.stop()
        self._cluster.start()

    def _crash(self) -> None:
        self._cluster.crash()
        self._cluster.start()

    def _freeze(self) -> None:
        self._cluster.freeze()
        time.sleep(FROZEN)
        self._cluster.thaw()

    def _kill(self) -> None:
        theirs = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'todo-api'"
        with self._cluster.engine.connect() as connection:
            connection.execute(text(theirs))


def main(minutes: float = 30, mark: float = 0) -> None:
    """Run it, print the table, and exit with status 1 where a figure has moved too far."""
    mark = mark or (2 if minutes >= SHORT * 2 else minutes / 4)
    gap = 0.5 if minutes <= SHORT else 1.0
    with running_cluster(DurableCluster) as cluster, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with serving(Path(folder), cluster.url, DATABASE_POOL_SIZE=str(POOL)) as service, suppress(psutil.Error):
            print(f"{'':10}", *FIGURES, flush=True)
            soak = Soak(cluster, service)
            asyncio.run(soak.run(minutes, gap))
    before, after = soak.median(round(mark * 60)), soak.median(-1)
    print(f"\n{minutes:g} minutes, {soak.statuses.total()} requests:", json.dumps(dict(sorted(soak.statuses.items()))))
    print("faults:", json.dumps(soak.faults), f"\n\n| | minute {mark:g} | end | change |\n|---|---|---|---|")
    moved = [now / then - 1 for then, now in zip(before, after, strict=True)]
    for name, then, now, change in zip(FIGURES, before, after, moved, strict=True):
        print(f"| {name} | {then:.1f} | {now:.1f} | {change:+.1%} |")
    sys.exit(max(map(abs, moved)) > TOLERANCE)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
