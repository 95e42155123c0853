"""The pool: order, cancellation, deadlines, and what becomes of connections (design: Decisions)."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from psycopg2 import OperationalError
from psycopg2.extensions import parse_dsn
from sqlalchemy import Engine, text

from app.core.database import Connection, Pool, Query
from app.core.deadline import start_clock, stop_clock
from app.core.errors import DatabaseError
from tests.support.cluster import Cluster

Work = Callable[[Pool], Awaitable[Any]]
ONE = Query("SELECT 1", {}, is_read=True)
BACKEND = Query("SELECT pg_backend_pid()", {}, is_read=True)
OURS = "SELECT pid, state, query FROM pg_stat_activity WHERE application_name = 'todo-api'"


def sleep(seconds: float, *, is_read: bool = True) -> Query:
    """A statement that takes its time."""
    return Query("SELECT pg_sleep(%(seconds)s)", {"seconds": seconds}, is_read)


def run(cluster: Cluster, work: Work, *, size: int = 1, seconds: float = 10, url: str | None = None) -> Any:
    """Do the work with a new pool and a clock that runs."""

    async def main() -> Any:
        start_clock(seconds)
        pool = Pool(url or cluster.url, size)
        try:
            return await work(pool)
        finally:
            pool.close()

    return asyncio.run(main())


@pytest.fixture
def watcher(database: Engine) -> Callable[[], list[Any]]:
    """What the database says of the service's connections, once those of earlier tests are gone."""

    def backends() -> list[Any]:
        with database.connect() as connection:
            return list(connection.execute(text(OURS)))

    before = {backend.pid for backend in backends()}
    return lambda: [backend for backend in backends() if backend.pid not in before]


def test_a_connection_is_used_again(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001 - running
    """Not one for each query."""

    async def twice(pool: Pool) -> Any:
        return await pool.fetch(BACKEND), await pool.fetch(BACKEND)

    first, second = run(cluster, twice)
    assert first == second


def test_two_hundred_wait_in_order_for_eight(cluster: Cluster, watcher: Callable[[], list[Any]]) -> None:
    """Nobody is starved, and no more connections are made than there are places."""

    async def rush(pool: Pool) -> tuple[list[int], int]:
        served: list[int] = []

        async def wait(place: int) -> None:
            await pool.fetch(sleep(0.01))
            served.append(place)

        waiting = [asyncio.create_task(wait(place)) for place in range(200)]
        await asyncio.gather(*waiting[:100])
        open_now = len(watcher())
        await asyncio.gather(*waiting)
        return served, open_now

    served, open_now = run(cluster, rush, size=8)
    assert open_now == 8
    assert sorted(served) == list(range(200))
    assert all(abs(place - turn) <= 16 for turn, place in enumerate(served))


def test_a_cancelled_waiter_leaves_no_place_taken(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001
    """Whenever it is cancelled: while it waits, connects or asks."""

    async def cancel_at_every_moment(pool: Pool) -> Any:
        for moment in range(40):
            tasks = [asyncio.create_task(pool.fetch(sleep(0.005))) for _ in range(6)]
            await asyncio.sleep(moment / 1000)
            for task in tasks[moment % 3 :: 2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(2):
            return await asyncio.gather(*[pool.fetch(ONE) for _ in range(10)])

    assert run(cluster, cancel_at_every_moment, size=2, seconds=30) == [(1,)] * 10


def test_a_statement_that_is_given_up_ends_in_the_server_too(
    cluster: Cluster, watcher: Callable[[], list[Any]]
) -> None:
    """The backend notices within a second or two that nobody waits for it."""

    async def give_up(pool: Pool) -> float:
        began = time.monotonic()
        with pytest.raises(DatabaseError):
            await pool.fetch(sleep(60))
        return time.monotonic() - began

    assert run(cluster, give_up, seconds=0.5) == pytest.approx(0.5, abs=0.3)
    end = time.monotonic() + 4
    while watcher() and time.monotonic() < end:
        time.sleep(0.1)
    assert watcher() == []


def test_the_wait_for_a_place_counts(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001 - running
    """One deadline for all of it: it does not start anew with each step."""

    async def queue(pool: Pool) -> list[float]:
        async def one() -> float:
            began = time.monotonic()
            with pytest.raises(DatabaseError):
                await pool.fetch(sleep(60))
            return time.monotonic() - began

        return await asyncio.gather(*[one() for _ in range(5)])

    assert max(run(cluster, queue, seconds=0.5)) < 0.9


def test_time_spent_on_the_caller_does_not_count(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001
    """A slow upload is not the database's fault."""

    async def slow_caller(pool: Pool) -> Any:
        await asyncio.sleep(0.4)
        stop_clock(0.4)
        return await pool.fetch(sleep(0.1))

    assert run(cluster, slow_caller, seconds=0.3) == ("",)


def test_killed_idle_connections_cost_nobody_an_error(cluster: Cluster, database: Engine) -> None:
    """Writes too: a dead connection is noticed before anything is sent."""

    async def kill_between(pool: Pool) -> list[Any]:
        answers = []
        for _ in range(20):
            await asyncio.gather(*[pool.fetch(ONE) for _ in range(4)])
            with database.begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                        " WHERE application_name = 'todo-api'"
                    )
                )
            answers.append(await pool.fetch(Query("SELECT 1", {}, is_read=False)))
        return answers

    assert run(cluster, kill_between, size=4, seconds=60) == [(1,)] * 20


@pytest.mark.parametrize(("is_read", "answered"), [(True, True), (False, False)])
def test_a_read_is_sent_again_and_a_write_is_not(
    cluster: Cluster, database: Engine, is_read: bool, answered: bool
) -> None:
    """The connection dies while the statement is under way: whether a write has happened, nobody knows."""

    async def kill_while_asking(pool: Pool) -> bool:
        asked = asyncio.create_task(pool.fetch(sleep(1, is_read=is_read)))
        await asyncio.sleep(0.3)
        with database.begin() as connection:
            killed = text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1)%'"
                " AND pid <> pg_backend_pid() AND state = 'active'"
            )
            assert connection.execute(killed).all() == [(True,)]
        try:
            return await asked == ("",)
        except DatabaseError:
            return False

    assert run(cluster, kill_while_asking) is answered


def test_a_read_is_sent_again_only_once(cluster: Cluster, database: Engine) -> None:
    """A statement that kills its connection each time is not repeated for ever."""
    suicide = Query("SELECT pg_terminate_backend(pg_backend_pid()), nextval('tries')", {}, is_read=True)
    with database.begin() as connection:
        connection.execute(text("CREATE SEQUENCE tries"))
    try:

        async def ask(pool: Pool) -> None:
            with pytest.raises(DatabaseError):
                await pool.fetch(suicide)

        run(cluster, ask)
    finally:
        with database.begin() as connection:
            tries = connection.execute(text("SELECT last_value, is_called FROM tries")).one()
            connection.execute(text("DROP SEQUENCE tries"))
    assert tries.last_value <= 2


def test_a_dead_connection_lets_go_of_no_other_socket(cluster: Cluster, database: Engine) -> None:
    """The driver closes its socket once the server is gone; the number may then be a client's, who waits for us."""

    async def outlive(descriptor: int, connection: Connection) -> bytes:
        pairs: list[tuple[socket.socket, socket.socket]] = []
        while descriptor not in [end.fileno() for pair in pairs for end in pair]:
            pairs.append(socket.socketpair())
            assert len(pairs) < 100
        [(ours, theirs)] = [
            (one, other) for a, b in pairs for one, other in [(a, b), (b, a)] if one.fileno() == descriptor
        ]
        ours.setblocking(False)
        waiting = asyncio.create_task(asyncio.get_running_loop().sock_recv(ours, 1))
        await asyncio.sleep(0.1)
        connection.close()
        theirs.send(b"!")
        try:
            return await asyncio.wait_for(waiting, 2)
        finally:
            for pair in pairs:
                pair[0].close()
                pair[1].close()

    async def work() -> bytes:
        connection = await Connection.open(parse_dsn(cluster.url))
        descriptor = connection._raw.fileno()
        asking = asyncio.create_task(connection.fetch(sleep(30)))
        await asyncio.sleep(0.2)
        with database.connect() as other:
            other.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")
            )
        with pytest.raises(OperationalError):
            await asking
        return await outlive(descriptor, connection)

    assert uvloop.run(work()) == b"!"


def test_a_frozen_server_does_not_freeze_the_loop(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001
    """Other work goes on, and everything is given up in time, connecting too."""

    async def ask_a_frozen_server(pool: Pool) -> tuple[float, float]:
        await pool.fetch(ONE)
        postmaster = cluster.pid
        os.kill(postmaster, signal.SIGSTOP)
        gaps, last, began = [], time.monotonic(), time.monotonic()
        try:
            asked = [asyncio.create_task(pool.fetch(sleep(60))) for _ in range(20)]
            while not all(one.done() for one in asked):
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
            assert all(isinstance(one.exception(), DatabaseError) for one in asked)
            return max(gaps), time.monotonic() - began
        finally:
            os.kill(postmaster, signal.SIGCONT)

    longest_gap, whole = run(cluster, ask_a_frozen_server, size=5, seconds=1)
    assert longest_gap < 0.5
    assert whole < 1.5


def test_a_server_that_is_still_starting_is_waited_for(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001
    """A compute that sleeps takes seconds to wake; nothing was sent yet, so a write waits as well."""
    cluster.stop()

    async def ask_early(pool: Pool) -> Any:
        asked = asyncio.create_task(pool.fetch(Query("SELECT 1", {})))
        await asyncio.sleep(0.5)
        assert not asked.done()
        await asyncio.to_thread(cluster.start)
        return await asked

    assert run(cluster, ask_early) == (1,)


def test_a_hosts_name_is_looked_up_off_the_loop(cluster: Cluster) -> None:
    """The library would block the loop over it: it is given every address beside the name."""

    async def resolve(pool: Pool) -> Any:
        return await pool._resolved()

    dsn = run(cluster, resolve, url="postgresql://u:p@localhost:5999/db?sslmode=require&channel_binding=require")
    assert set(dsn["host"].split(",")) == {"localhost"}
    assert "127.0.0.1" in dsn["hostaddr"].split(",")
    assert len(dsn["host"].split(",")) == len(dsn["hostaddr"].split(","))
    assert (dsn["port"], dsn["sslmode"], dsn["channel_binding"]) == ("5999", "require", "require")


@pytest.mark.parametrize("host", ["/var/run", "%2Fvar%2Frun", "", "a.invalid,b.invalid"])
def test_what_is_no_host_name_is_left_alone(cluster: Cluster, host: str) -> None:
    """A socket's folder, the default, and a list that libpq has to go through itself."""

    async def resolve(pool: Pool) -> Any:
        return await pool._resolved()

    url = f"postgresql:///db?host={host}" if host else "postgresql:///db"
    assert "hostaddr" not in run(cluster, resolve, url=url)


def test_a_host_that_does_not_exist_is_a_database_error(cluster: Cluster) -> None:
    """In time, and no traceback."""

    async def ask(pool: Pool) -> None:
        with pytest.raises(DatabaseError):
            await pool.fetch(ONE)

    run(cluster, ask, seconds=0.5, url="postgresql://u@nowhere.invalid/db")


def test_closing_the_pool_closes_its_connections(cluster: Cluster, watcher: Callable[[], list[Any]]) -> None:
    """Nothing is left behind in the server."""
    run(cluster, lambda pool: pool.fetch(ONE))
    end = time.monotonic() + 2
    while watcher() and time.monotonic() < end:
        time.sleep(0.05)
    assert watcher() == []
