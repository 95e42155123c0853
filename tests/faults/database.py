"""Each fault of a database that the service must survive: stopped, frozen, locked, half-open, killed, asleep."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import Connection, Engine, text

from tests.faults import clients
from tests.faults.clients import Clients, HalfOpen, Tally, ordeal
from tests.support.clock import allowed
from tests.support.cluster import Cluster
from tests.support.factories import make_task, rows
from tests.support.pooler import running_pooler
from tests.support.processes import serving
from tests.support.tokens import token

POOL = 10
ALICE = {"authorization": f"Bearer {token('alice')}"}
OURS = "FROM pg_stat_activity WHERE application_name = 'todo-api'"


def ask(url: str, method: str = "GET", path: str = "", **body: Any) -> httpx.Response:
    """Ask for Alice's tasks, or to do something with them."""
    return httpx.request(method, f"{url}/api/alice/tasks{path}", headers=ALICE, timeout=30, **body)


def no_backend_is_left_over(database: Engine, within: float = 3) -> None:
    """Fail where a backend goes on working or waiting for a request that was given up."""
    end = time.monotonic() + allowed(within)
    while True:
        with database.connect() as connection:
            active = connection.execute(text(f"SELECT pid, state, query {OURS} AND state <> 'idle'")).all()
        if not active:
            return
        assert time.monotonic() < end, active
        time.sleep(0.1)


class Faults:
    """What can be done to a database, and undone."""

    def __init__(self, cluster: Cluster, database: Engine) -> None:
        self._cluster, self._database = cluster, database
        self._lock: Connection | None = None
        self._frozen: list[psutil.Process] = []

    def stop(self) -> None:
        """Shut it down."""
        self._cluster.stop()

    def start(self) -> None:
        """Start it."""
        self._cluster.start()

    def restart(self) -> None:
        """Shut it down and start it."""
        self._cluster.stop()
        self._cluster.start()

    def freeze(self) -> None:
        """Freeze every process."""
        self._cluster.freeze()

    def thaw(self) -> None:
        """Let them go on."""
        self._cluster.thaw()

    def lock(self) -> None:
        """Lock the table."""
        self._lock = self._database.connect()
        self._lock.execute(text("LOCK TABLE task"))

    def unlock(self) -> None:
        """Let it go."""
        assert self._lock
        self._lock.close()

    def freeze_some(self) -> None:
        """Freeze five of the service's backends: their sockets stay open, and nobody answers."""
        with self._database.connect() as connection:
            pids = connection.execute(text(f"SELECT pid {OURS} ORDER BY pid LIMIT 5")).scalars().all()
        self._frozen = [psutil.Process(pid) for pid in pids]
        for backend in self._frozen:
            backend.suspend()

    def thaw_some(self) -> None:
        """Let them go on."""
        for backend in self._frozen:
            backend.resume()

    def kill_backends(self) -> None:
        """End all of the service's connections."""
        with self._database.begin() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend(pid) {OURS}"))

    def nothing(self) -> None:
        """Mended by itself."""


ORDEALS: dict[str, tuple[Callable[[Faults], None], Callable[[Faults], None], float, float]] = {
    # name: what breaks it, what mends it, for how many seconds, the longest that recovery may take
    "stopped for 6 s": (Faults.stop, Faults.start, 6, 1),
    "restarted": (Faults.restart, Faults.nothing, 0, 1),
    "frozen for 7 s": (Faults.freeze, Faults.thaw, 7, 1),
    "table locked for 7 s": (Faults.lock, Faults.unlock, 7, 1),
    "five backends frozen for 6 s": (Faults.freeze_some, Faults.thaw_some, 6, 1),
    "all connections killed": (Faults.kill_backends, Faults.nothing, 0, 1),
}


@pytest.mark.parametrize("fault", ORDEALS)
def test_everybody_is_answered_and_nothing_is_lost(
    fault: str, cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path
) -> None:
    """While 32 clients work: every answer within 5 s, `/health` at once, and it recovers by itself."""
    tally.fault = fault
    break_it, mend_it, seconds, recovery = ORDEALS[fault]
    faults = Faults(cluster, database)
    with serving(tmp_path, cluster.url, DATABASE_POOL_SIZE=str(POOL)) as service:
        asyncio.run(
            ordeal(
                service.url,
                tally,
                lambda: asyncio.to_thread(break_it, faults),
                lambda: asyncio.to_thread(mend_it, faults),
                seconds,
            )
        )
        tally.hold(database)
        no_backend_is_left_over(database)
    assert tally.statuses[201] > 20
    assert tally.first_success is not None
    assert tally.first_success < allowed(recovery)
    assert tally.longest_health < allowed(1)
    assert tally.longest_ready < allowed(2)
    if fault not in ("restarted", "all connections killed", "five backends frozen for 6 s", "table locked for 7 s"):
        assert tally.statuses[500] > 0
        assert tally.ready[503] > 0


def test_five_crashes_under_32_writers_lose_nothing(
    cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path
) -> None:
    """At least 1,000 acknowledged creations, each of them there, once and whole."""
    tally.fault = "killed -9 and restarted, 6 times, 32 writers"

    async def crashes(url: str) -> None:
        async with Clients(url, tally, 32, only_create=True):
            for crash in range(1, 7):
                while tally.writes < 200 * crash:  # noqa: ASYNC110 - a look is cheaper than an event for each write
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(cluster.crash)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(cluster.start)
                tally.mend()
                tally.first_success = None
            await asyncio.sleep(1.5)

    with serving(tmp_path, cluster.url, DATABASE_POOL_SIZE=str(POOL)) as service:
        asyncio.run(crashes(service.url))
    tally.hold(database)
    assert tally.writes >= 1000
    assert tally.first_success is not None


def test_the_first_request_after_a_restart_succeeds(cluster: Cluster, database: Engine, tmp_path: Path) -> None:
    """Each kind, ten times over: the pool's dead connections are noticed before anything is sent."""
    with serving(tmp_path, cluster.url) as service:
        number = make_task(database, user_id="alice")["id"]
        first: list[tuple[str, str, Any]] = [
            ("POST", "", {"json": {"title": "Buy milk"}}),
            ("GET", "", {}),
            ("PATCH", f"/{number}", {"json": {"complete": True}}),
            ("PUT", f"/{number}", {"json": {"title": "Buy oat milk", "complete": False}}),
            ("GET", f"/{number}", {}),
        ]
        for method, path, body in first * 2:
            cluster.stop()
            cluster.start()
            answer = ask(service.url, method, path, **body)
            assert answer.status_code < 300, (method, path, answer.text)


def test_readers_are_told_of_no_restart(cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path) -> None:
    """Each read whose connection ends is sent again, on a connection that is not about to end as well."""
    tally.fault = "backends ended 12 times, server crashed 3 times, 24 readers"
    number = make_task(database, user_id="client-0")["id"]
    faults, going = Faults(cluster, database), True

    async def read(url: str, path: str) -> None:
        connection = clients.Connection(url)
        await connection.open()
        while going:
            tally.sent += 1
            began = time.monotonic()
            tally.note(await connection.request("GET", path, token("client-0"), None), began)
        connection.close()

    async def trouble() -> None:
        nonlocal going
        for turn in range(15):
            await asyncio.sleep(0.5)
            if turn % 5 == 4:
                await asyncio.to_thread(cluster.crash)
                await asyncio.to_thread(cluster.start)
                tally.mend()
            else:
                await asyncio.to_thread(faults.kill_backends)
        await asyncio.sleep(1)
        going = False

    async def all_of_it(url: str) -> None:
        paths = ["/api/client-0/tasks", f"/api/client-0/tasks/{number}"] * 12
        await asyncio.gather(trouble(), *[read(url, path) for path in paths])

    with serving(tmp_path, cluster.url, DATABASE_POOL_SIZE=str(POOL)) as service:
        asyncio.run(all_of_it(service.url))
    tally.hold(database)
    assert tally.statuses.keys() == {200}


def test_a_sleeping_compute_is_waited_for(cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path) -> None:
    """The server starts 3 s after the request came in, as Neon's does: even a write succeeds."""
    with serving(tmp_path, cluster.url) as service:
        cluster.stop()
        began = time.monotonic()

        async def wake() -> httpx.Response:
            asked = asyncio.create_task(asyncio.to_thread(ask, service.url, "POST", json={"title": "Buy milk"}))
            await asyncio.sleep(3)
            assert not asked.done()
            await asyncio.to_thread(cluster.start)
            tally.mend()
            return await asked

        tally.fault, tally.sent = "asleep, started 3 s after the request", 1
        answer = asyncio.run(wake())
        tally.note(answer, began)
        tally.created[answer.json()["id"]] = answer.json()
        tally.writes = 1
    assert answer.status_code == 201
    tally.hold(database)


@contextmanager
def locked_rows(database: Engine, user: str, count: int) -> Iterator[list[int]]:
    """Tasks of a user's that somebody else is changing."""
    numbers = [make_task(database, user_id=user)["id"] for _ in range(count)]
    with database.connect() as connection:
        connection.execute(text("SELECT 1 FROM task WHERE user_id = :user FOR UPDATE"), {"user": user})
        yield numbers


def test_an_exhausted_pool_answers_in_time(cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path) -> None:
    """Forty changes wait for locked rows on ten connections; the others' requests wait for those, not for ever."""
    tally.fault = "pool exhausted for 7 s"
    with (
        locked_rows(database, "alice", 1) as (number,),
        serving(tmp_path, cluster.url, DATABASE_POOL_SIZE=str(POOL)) as service,
    ):

        async def rush() -> None:
            async with httpx.AsyncClient(base_url=service.url, timeout=30, limits=httpx.Limits()) as http:

                async def one(place: int) -> None:
                    tally.sent += 1
                    began = time.monotonic()
                    path, body = f"/api/alice/tasks/{number}", {"complete": True}
                    if place % 2:
                        tally.note(await http.patch(path, json=body, headers=ALICE), began)
                    else:
                        tally.note(await http.get(path, headers=ALICE), began)

                waiting = []
                for place in range(70):
                    waiting.append(asyncio.create_task(one(place)))
                    await asyncio.sleep(0.1)
                await asyncio.gather(*waiting)

        asyncio.run(rush())
        tally.mend()
        no_backend_is_left_over(database)
        began = time.monotonic()
        tally.sent += 1
        tally.note(ask(service.url), began)
    tally.hold(database)
    assert tally.statuses[500] >= 35
    assert tally.first_success is not None


def test_half_open_connections_cost_one_answer(
    cluster: Cluster, database: Engine, tally: Tally, tmp_path: Path
) -> None:
    """What was sent on them is lost with nobody the wiser: the first request gets its 500, and all are replaced."""
    tally.fault = "half-open: all connections swallow what is sent"

    async def lose() -> None:
        async with HalfOpen(str(cluster.socket)) as network:
            url = f"postgresql://postgres@127.0.0.1:{network.port}/postgres?sslmode=disable"
            service = await asyncio.to_thread(start, url)
            try:
                with database.connect() as lock:  # so that they need all connections at once
                    lock.execute(text("LOCK TABLE task"))
                    asked = [asyncio.create_task(once("GET")) for _ in range(16)]
                    await asyncio.sleep(1.5)
                    lock.rollback()
                await asyncio.gather(*asked)
                assert network.connections >= 5
                network.cut()
                await once("POST", json={"title": "Lost?"})
                assert tally.statuses[500] == 1
                tally.mend()
                for _ in range(12):
                    await once("POST", json={"title": f"Task {tally.sent}"})
                assert tally.statuses[500] == 1
            finally:
                service.__exit__(None, None, None)

    services: list[Any] = []

    def start(url: str) -> Any:
        context = serving(tmp_path, url, DATABASE_POOL_SIZE=str(POOL))
        services.append(context.__enter__())
        return context

    async def once(method: str, **body: Any) -> None:
        tally.sent += 1
        began = time.monotonic()
        answer = await asyncio.to_thread(ask, services[0].url, method, **body)
        tally.note(answer, began)
        if answer.status_code == 201:
            tally.writes += 1
            tally.created[answer.json()["id"]] = answer.json()

    asyncio.run(lose())
    tally.hold(database)


@pytest.mark.parametrize("pooled", [False, pytest.param(True, marks=getattr(pytest.mark, "needs-pgbouncer"))])
@pytest.mark.parametrize("what", ["waits for a lock", "works"])
def test_no_backend_goes_on_for_a_request_that_was_given_up(
    cluster: Cluster, database: Engine, tmp_path: Path, pooled: bool, what: str
) -> None:
    """Through PgBouncer, too; the server ends it by `client_connection_check_interval`."""
    with (
        contextmanager(_pooler if pooled else _direct)(cluster) as url,
        serving(tmp_path, url, REQUEST_TIMEOUT="1") as service,
        database.connect() as other,
    ):
        if what == "works":
            # a trigger makes a creation take as long as a bad plan would
            with database.begin() as connection:
                connection.execute(text(SLOW))
        else:
            other.execute(text("LOCK TABLE task"))
        try:
            answer = ask(service.url, "POST", json={"title": "Buy milk"})
            assert answer.status_code == 500
            assert answer.elapsed.total_seconds() < allowed(1.2)
            no_backend_is_left_over(database)
        finally:
            other.rollback()
            with database.begin() as connection:
                connection.execute(text("DROP FUNCTION IF EXISTS slow CASCADE"))
    assert rows(database, "alice") == []


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION slow();
"""


def _direct(cluster: Cluster) -> Iterator[str]:
    yield cluster.url


def _pooler(cluster: Cluster) -> Iterator[str]:
    with running_pooler(cluster) as pooler:
        yield pooler.url


def test_without_its_setting_a_database_keeps_backends_waiting(
    cluster: Cluster, database: Engine, tmp_path: Path
) -> None:
    """A dump that is restored elsewhere lacks it: docs/operations.md says how to set it again, which helps."""
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        setting = "ALTER DATABASE postgres {} client_connection_check_interval"
        connection.execute(text(setting.format("RESET")))
        try:
            for within, left in ((3.0, True), (3.0, False)):
                with serving(tmp_path, cluster.url, REQUEST_TIMEOUT="1") as service, database.connect() as lock:
                    lock.execute(text("LOCK TABLE task"))
                    assert ask(service.url).status_code == 500
                    time.sleep(within)
                    waiting = connection.execute(text(f"SELECT count(*) {OURS} AND state <> 'idle'")).scalar_one()
                    assert (waiting > 0) is left
                connection.execute(text(setting.format("SET") + " = '1s'"))
        finally:
            connection.execute(text(setting.format("SET") + " = '1s'"))


def test_a_single_frozen_backend_holds_up_one_request(cluster: Cluster, database: Engine, tmp_path: Path) -> None:
    """The one that was sent to it; the next one goes to another connection."""
    with serving(tmp_path, cluster.url, REQUEST_TIMEOUT="2") as service:
        assert ask(service.url).status_code == 200
        with database.connect() as connection:
            pids = connection.execute(text(f"SELECT pid {OURS} AND query LIKE '%task%'")).scalars().all()
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert ask(service.url, "POST", json={"title": "Lost?"}).status_code == 500
            assert ask(service.url, "POST", json={"title": "Buy milk"}).status_code == 201
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
