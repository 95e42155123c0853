"""Many clients on few connections, for long: nobody wedges, and nobody is told of an error."""

import asyncio
from pathlib import Path

from sqlalchemy import Engine, text

from tests.faults.clients import Clients, Tally
from tests.support.clock import slowness
from tests.support.cluster import Cluster
from tests.support.processes import serving

CLIENTS, POOL, SECONDS = 200, 10, 20
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api'"


def test_two_hundred_clients_share_ten_connections(
    cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path
) -> None:
    """For as long as they come: no 5xx, every answer in time, never more connections than the pool has."""
    tally.fault = f"none: {CLIENTS} clients for {SECONDS} s, a pool of {POOL}"
    used = []

    def look() -> None:
        with database.connect() as connection:
            used.append(connection.execute(text(OURS)).scalar_one())

    async def load(url: str) -> None:
        async with Clients(url, tally, CLIENTS):
            for _ in range(SECONDS):
                await asyncio.sleep(1)
                await asyncio.to_thread(look)

    with serving(tmp_path, cluster.url, DATABASE_POOL_SIZE=str(POOL)) as service:
        asyncio.run(load(service.url))
    tally.hold(database)
    assert tally.statuses.keys() <= {200, 201, 204}
    assert tally.sent > 100 * SECONDS / 2 / slowness()
    assert POOL // 2 <= max(used) <= POOL
