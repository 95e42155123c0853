"""The pool: order, cancellation, deadlines, and what becomes of connections."""

import asyncio
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import uvloop
from psycopg2 import OperationalError
from psycopg2.errors import DivisionByZero
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.core.database.connection import Connection, _socket_ready
from app.core.database.dsn import NO_REASON, Dsn, addresses, connect, parse
from app.core.database.pool import READ_ATTEMPTS, RETRY_LAST, Backoff, Pool
from app.core.deadline import extend_deadline, set_deadline
from app.core.errors import DatabaseError
from app.core.settings import SettingsError
from app.migrations import upgrade
from tests.support.clock import PATIENCE, allowed, pause, wait_until
from tests.support.cluster import Cluster, running_cluster
from tests.support.factories import make_task, rows
from tests.support.service import running_service, settings_for
from tests.support.tokens import token

Work = Callable[[Pool], Awaitable[Any]]
ALICE = {"authorization": f"Bearer {token('alice')}"}
ONE = "SELECT 1 AS number"
BACKEND = "SELECT pg_backend_pid() AS pid"
OURS = "SELECT pid, state, query FROM pg_stat_activity WHERE application_name = 'todo-api'"


def sleep(seconds: float) -> str:
    """A statement that takes its time."""
    return f"SELECT pg_sleep({seconds})"


async def read(pool: Pool, sql: str, *, spare: bool = False) -> list[dict[str, Any]]:
    """What a statement returns that the pool may send again."""
    return await pool.fetch(sql, {}, is_read=True, spare=spare)


def run(cluster: Cluster, work: Work, *, size: int = 1, seconds: float = 10, url: str | None = None) -> Any:
    """Do the work with a new pool and a clock that runs."""

    async def main() -> Any:
        set_deadline(seconds)
        pool = Pool(url or cluster.url, size, application_name="todo-api")
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


@pytest.mark.usefixtures("database")
def test_a_connection_is_used_again(cluster: Cluster) -> None:
    """Not one for each query."""

    async def twice(pool: Pool) -> Any:
        return await read(pool, BACKEND), await read(pool, BACKEND)

    first, second = run(cluster, twice)
    assert first == second


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (
            "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS row (id, title)",
            [{"id": 1, "title": "a"}, {"id": 2, "title": None}],
        ),
        ("SELECT 1 AS id WHERE false", []),
        ("DELETE FROM task", []),
    ],
    ids=["rows", "no rows", "nothing that could have rows"],
)
@pytest.mark.usefixtures("database")
def test_a_statement_gives_its_rows_by_column_name(cluster: Cluster, sql: str, rows: list[dict[str, Any]]) -> None:
    """In the statement's order."""
    assert run(cluster, lambda pool: pool.fetch(sql, {})) == rows


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tashkent", "Asia/Kathmandu", "Africa/Monrovia"])
@pytest.mark.parametrize(
    ("moment", "read_as"),
    [
        ("'2025-12-20 11:30:00.123456Z'", "2025-12-20T11:30:00.123456Z"),
        ("'2025-12-20 11:30:00.12Z'", "2025-12-20T11:30:00.120000Z"),
        ("'2025-12-20 11:30:00Z'", "2025-12-20T11:30:00.000000Z"),
        # in Monrovia, 44 minutes and 30 seconds behind UTC
        ("'1970-12-31 23:59:59.999999Z'", "1970-12-31T23:59:59.999999Z"),
        ("NULL", None),
    ],
)
def test_a_timestamp_is_read_as_a_text(cluster: Cluster, zone: str, moment: str, read_as: str | None) -> None:
    """In UTC, with six digits, whatever the session's time zone is."""
    url = f"{cluster.url}{'&' if '?' in cluster.url else '?'}options={quote(f'-c TimeZone={zone}')}"
    sql = f"SELECT {moment}::timestamptz AS moment, current_setting('TimeZone') AS zone"
    rows = run(cluster, lambda pool: read(pool, sql), url=url)
    assert rows == [{"moment": read_as, "zone": zone}]


@pytest.mark.parametrize(("before", "after"), [("on", "off"), ("off", "on")])
def test_a_text_stays_a_text_whatever_the_server_makes_of_backslashes(
    cluster: Cluster, database: Engine, before: str, after: str
) -> None:
    """An operator changes the setting beneath an open connection, which the driver learns with a later answer."""
    texts = [r"\', 'another", r"\'; SELECT 1 --", "\\\\' \\", "'", r"Käse 🧀 \'"]

    def set_for_all(value: str) -> None:
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ALTER SYSTEM SET standard_conforming_strings = {value}"))
            connection.execute(text("SELECT pg_reload_conf()"))
        wait_until(lambda: shown() == value)

    def shown() -> str:
        with connect(cluster.url) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW standard_conforming_strings")
            return str(cursor.fetchone()[0])

    async def told(pool: Pool) -> list[str]:
        await read(pool, ONE)
        await asyncio.to_thread(set_for_all, after)
        sent = [await pool.fetch("SELECT %(text)s AS text", {"text": one}) for one in texts * 2]
        return [rows[0]["text"] for rows in sent]

    try:
        set_for_all(before)
        assert run(cluster, told) == texts * 2
    finally:
        set_for_all("on")


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("sent", ["Buy\0milk", "\\Buy\0milk"])
def test_a_text_that_would_end_the_statement_is_refused(cluster: Cluster, sent: str) -> None:
    """A NUL ends a statement, and what stands behind it, such as a condition, would be lost."""
    with pytest.raises(ValueError, match="NUL"):
        run(cluster, lambda pool: pool.fetch("SELECT %(text)s", {"text": sent}))


def test_two_hundred_wait_in_order_for_eight(
    cluster: Cluster, watcher: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is overtaken, and no more connections are made than there are places."""

    async def rush(pool: Pool) -> tuple[list[int], int]:
        # connecting takes one longer than another; the order is that of the waiters
        await asyncio.gather(*[read(pool, sleep(0.2)) for _ in range(8)])
        started: list[int] = []
        send = pool._run

        async def noted(sql: str, params: Mapping[str, Any], **options: Any) -> Any:
            started.append(params["place"])
            return await send(sql, params, **options)

        monkeypatch.setattr(pool, "_run", noted)
        sql = "SELECT pg_sleep(0.01), %(place)s AS place"
        waiting = [asyncio.create_task(pool.fetch(sql, {"place": place})) for place in range(200)]
        await asyncio.gather(*waiting[:100])
        open_now = len(watcher())
        await asyncio.gather(*waiting)
        return started, open_now

    started, open_now = run(cluster, rush, size=8)
    assert open_now == 8
    assert started == list(range(200))


@pytest.mark.usefixtures("database")
def test_a_cancelled_waiter_leaves_no_place_taken(cluster: Cluster) -> None:
    """Whenever it is cancelled: while it waits, connects or asks."""

    async def cancel_at_every_moment(pool: Pool) -> Any:
        for moment in range(40):
            tasks = [asyncio.create_task(read(pool, sleep(0.005))) for _ in range(6)]
            await asyncio.sleep(moment / 1000)
            for task in tasks[moment % 3 :: 2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*[read(pool, ONE) for _ in range(10)])

    assert run(cluster, cancel_at_every_moment, size=2, seconds=30) == [[{"number": 1}]] * 10


def test_a_statement_that_is_given_up_ends_in_the_server_too(
    cluster: Cluster, watcher: Callable[[], list[Any]]
) -> None:
    """The backend notices within a second or two that nobody waits for it."""

    async def give_up(pool: Pool) -> float:
        clock = asyncio.get_running_loop().time  # that of the deadline
        began = clock()
        set_deadline(0.5)
        with pytest.raises(DatabaseError):
            await read(pool, sleep(60))
        return clock() - began

    assert 0.5 <= run(cluster, give_up) < allowed(0.8)
    wait_until(lambda: watcher() == [], allowed(4))


@pytest.mark.usefixtures("database")
def test_the_wait_for_a_place_counts(cluster: Cluster) -> None:
    """One deadline for all of it: it does not start anew with each step."""

    async def queue(pool: Pool) -> list[float]:
        async def one() -> float:
            began = time.monotonic()
            with pytest.raises(DatabaseError):
                await read(pool, sleep(60))
            return time.monotonic() - began

        return await asyncio.gather(*[one() for _ in range(5)])

    assert max(run(cluster, queue, seconds=0.5)) < allowed(0.9)


@pytest.mark.usefixtures("database")
def test_a_turn_that_comes_too_late_costs_no_connection(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an overload each request would be sent just to be given up, and the connection with it."""
    least = "app.core.database.pool.LEAST_SECONDS"

    async def ask(pool: Pool) -> bool:
        before = await read(pool, BACKEND)
        first, second = (asyncio.create_task(read(pool, sleep(0.5))) for _ in range(2))
        await asyncio.sleep(0)  # the first has its turn now, the second waits
        with monkeypatch.context() as too_late:
            too_late.setattr(least, PATIENCE)
            assert await first == [{"pg_sleep": ""}]
            with pytest.raises(DatabaseError):
                await second
        return bool(await read(pool, BACKEND) == before)

    assert run(cluster, ask)


@pytest.mark.usefixtures("database")
def test_time_spent_on_the_caller_does_not_count(cluster: Cluster) -> None:
    """A slow upload is not the database's fault."""
    limit = allowed(0.6)

    async def slow_caller(pool: Pool) -> Any:
        await asyncio.sleep(limit + 0.1)
        extend_deadline(limit + 0.1)
        return await read(pool, sleep(0.1))

    assert run(cluster, slow_caller, seconds=limit) == [{"pg_sleep": ""}]


def test_killed_idle_connections_cost_nobody_an_error(cluster: Cluster, database: Engine) -> None:
    """Writes too: a dead connection is noticed before anything is sent."""

    async def kill_between(pool: Pool) -> list[Any]:
        answers = []
        for _ in range(20):
            await asyncio.gather(*[read(pool, ONE) for _ in range(4)])
            with database.begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                        " WHERE application_name = 'todo-api'"
                    )
                )
            answers.append(await pool.fetch(ONE, {}))
        return answers

    assert run(cluster, kill_between, size=4, seconds=60) == [[{"number": 1}]] * 20


@pytest.mark.parametrize(("is_read", "answered"), [(True, True), (False, False)])
def test_a_read_is_sent_again_and_a_write_is_not(
    cluster: Cluster, database: Engine, is_read: bool, answered: bool
) -> None:
    """The connection dies while the statement is under way: whether a write has happened, nobody knows."""

    async def kill_while_asking(pool: Pool) -> bool:
        asked = asyncio.create_task(pool.fetch(sleep(1), {}, is_read=is_read))
        await terminate(database, "SELECT pg_sleep(1)", state="active")
        try:
            return await asked == [{"pg_sleep": ""}]
        except DatabaseError:
            return False

    assert run(cluster, kill_while_asking) is answered


def test_a_read_is_sent_three_times_at_most(cluster: Cluster, database: Engine) -> None:
    """A statement that kills its connection each time is not repeated for ever."""
    suicide = "SELECT pg_terminate_backend(pg_backend_pid()), nextval('tries')"
    with database.begin() as connection:
        connection.execute(text("CREATE SEQUENCE tries"))
    try:

        async def ask(pool: Pool) -> None:
            with pytest.raises(DatabaseError):
                await read(pool, suicide)

        run(cluster, ask)
    finally:
        with database.begin() as connection:
            tries = connection.execute(text("SELECT last_value, is_called FROM tries")).one()
            connection.execute(text("DROP SEQUENCE tries"))
    assert tries.last_value == 3


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
            return await asyncio.wait_for(waiting, PATIENCE)
        finally:
            for pair in pairs:
                pair[0].close()
                pair[1].close()

    async def work() -> bytes:
        connection = await Connection.open(parse(cluster.url))
        descriptor = connection._raw.fileno()
        asking = asyncio.create_task(connection.fetch(sleep(30), {}))
        await terminate(database, "SELECT pg_sleep(30)", state="active")
        with pytest.raises(OperationalError):
            await asking
        return await outlive(descriptor, connection)

    assert uvloop.run(work()) == b"!"


@pytest.mark.usefixtures("database")
def test_a_frozen_server_does_not_freeze_the_loop(cluster: Cluster) -> None:
    """Other work goes on, and everything is given up in time, connecting too."""

    async def ask_a_frozen_server(pool: Pool) -> tuple[float, float]:
        await read(pool, ONE)
        postmaster = cluster.pid
        os.kill(postmaster, signal.SIGSTOP)
        gaps, last, began = [], time.monotonic(), time.monotonic()
        try:
            asked = [asyncio.create_task(read(pool, sleep(60))) for _ in range(20)]
            while not all(one.done() for one in asked):
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
            assert all(isinstance(one.exception(), DatabaseError) for one in asked)
            return max(gaps), time.monotonic() - began
        finally:
            os.kill(postmaster, signal.SIGCONT)

    longest_gap, whole = run(cluster, ask_a_frozen_server, size=5, seconds=1)
    assert longest_gap < allowed(0.5)
    assert whole < allowed(1.5)


@pytest.mark.usefixtures("database")
def test_an_answer_that_comes_in_parts_does_not_freeze_the_loop(cluster: Cluster) -> None:
    """The first row fills the server's buffer, and the second one takes its time."""
    second = allowed(1)

    async def ask(pool: Pool) -> float:
        rows = "SELECT repeat('x', 100000), pg_sleep(%(seconds)s) FROM generate_series(1, 2)"
        asked = asyncio.create_task(pool.fetch(rows, {"seconds": 0.6 * second}))
        longest, last = 0.0, time.monotonic()
        while not asked.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return longest

    assert run(cluster, ask, seconds=PATIENCE) < 0.4 * second


@pytest.mark.usefixtures("database")
def test_a_server_that_is_still_starting_is_waited_for(cluster: Cluster) -> None:
    """A compute that sleeps takes seconds to wake; nothing was sent yet, so a write waits as well."""
    cluster.stop()

    async def ask_early(pool: Pool) -> Any:
        asked = asyncio.create_task(pool.fetch(ONE, {}))
        await asyncio.sleep(0.5)
        assert not asked.done()
        await asyncio.to_thread(cluster.start)
        return await asked

    assert run(cluster, ask_early, seconds=PATIENCE) == [{"number": 1}]


def resolved(url: str) -> list[dict[str, str]]:
    """What the driver is given to connect to, one after the other."""
    return [dict(address) for address in asyncio.run(addresses(parse(url)))]


def test_a_hosts_name_is_looked_up_off_the_loop() -> None:
    """The library would block the loop over it: it is given every address beside the name."""
    found = resolved("postgresql://u:p@localhost:5999/db?sslmode=require&channel_binding=require")
    assert "127.0.0.1" in [dsn["hostaddr"] for dsn in found]
    for dsn in found:
        assert (dsn["host"], dsn["port"], dsn["sslmode"], dsn["channel_binding"]) == (
            "localhost",
            "5999",
            "require",
            "require",
        )


def test_each_of_several_hosts_is_looked_up_off_the_loop() -> None:
    """With its own port; one that can't be found is left out."""
    found = resolved("postgresql://127.0.0.1:1,no.invalid:2,127.0.0.3:3/db")
    assert [(dsn["host"], dsn["hostaddr"], dsn["port"]) for dsn in found] == [
        ("127.0.0.1", "127.0.0.1", "1"),
        ("127.0.0.3", "127.0.0.3", "3"),
    ]
    found = resolved("host=127.0.0.1,/tmp,127.0.0.3 port=7")
    assert [(dsn["host"], dsn.get("hostaddr"), dsn["port"]) for dsn in found] == [
        ("127.0.0.1", "127.0.0.1", "7"),
        ("/tmp", None, "7"),  # noqa: S108 - a socket's folder
        ("127.0.0.3", "127.0.0.3", "7"),
    ]


def test_a_host_in_a_variable_is_looked_up_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would read PGHOST by itself, and look it up."""
    monkeypatch.setenv("PGHOST", "127.0.0.2,127.0.0.3")
    monkeypatch.setenv("PGPORT", "7")
    found = resolved("postgresql:///db")
    assert [(dsn["hostaddr"], dsn["port"]) for dsn in found] == [("127.0.0.2", "7"), ("127.0.0.3", "7")]
    assert resolved("postgresql://127.0.0.1:8/db")[0]["hostaddr"] == "127.0.0.1"


def test_a_service_file_comes_before_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the library has it: the variables hold for what neither the URL nor the file says."""
    monkeypatch.setenv("PGHOST", "127.0.0.2")
    assert resolved("service=todo")[0].get("host") is None
    monkeypatch.setenv("PGSERVICE", "todo")
    assert resolved("postgresql:///db")[0].get("host") is None


def test_an_address_in_the_url_is_taken_as_it_is() -> None:
    """The name beside it is for the certificate, and need not be known here."""
    [dsn] = resolved("host=no.invalid hostaddr=127.0.0.9 port=7")
    assert (dsn["host"], dsn["hostaddr"]) == ("no.invalid", "127.0.0.9")


def test_a_server_that_has_vanished_is_noticed_unless_the_url_says_otherwise() -> None:
    """By the library and TCP: what that brings, tests/faults shows."""
    limits = {"connect_timeout": "3", "keepalives_idle": "30", "keepalives_interval": "5", "tcp_user_timeout": "3000"}
    assert parse("postgresql://h/db").items() >= limits.items()
    assert parse("postgresql://h/db?tcp_user_timeout=9000")["tcp_user_timeout"] == "9000"


@pytest.mark.parametrize("host", ["/var/run", "%2Fvar%2Frun", ""])
def test_what_is_no_host_name_is_left_alone(host: str) -> None:
    """A socket's folder, and the default."""
    [dsn] = resolved(f"postgresql:///db?host={host}" if host else "postgresql:///db")
    assert "hostaddr" not in dsn


def test_a_silent_resolver_is_asked_once_at_a_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up can't be interrupted: a request that gives it up leaves it to the next one."""
    asked = []
    done = threading.Event()

    def look_up(*name: Any, **_: Any) -> list[Any]:
        asked.append(name)
        done.wait(PATIENCE)
        raise socket.gaierror

    async def ask(pool: Pool) -> None:
        for _ in range(2):
            set_deadline(0.4)
            await asyncio.gather(*[read(pool, ONE) for _ in range(4)], return_exceptions=True)
        done.set()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    run(cluster, ask, size=4, url="postgresql://u@slow.invalid/db")
    assert len(asked) == 1


def test_a_host_that_does_not_exist_is_a_database_error(cluster: Cluster) -> None:
    """In time, and no traceback."""

    async def ask(pool: Pool) -> None:
        with pytest.raises(DatabaseError):
            await read(pool, ONE)

    run(cluster, ask, seconds=0.5, url="postgresql://u@nowhere.invalid/db")


def test_closing_the_pool_closes_its_connections(cluster: Cluster, watcher: Callable[[], list[Any]]) -> None:
    """Nothing is left behind in the server."""
    run(cluster, lambda pool: read(pool, ONE))
    wait_until(lambda: watcher() == [])


# What ends a connection, and what does not


async def terminate(database: Engine, statement: str, state: str = "%") -> None:
    """End the service's backends whose last statement was this, as soon as there is one in this state."""
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query = :statement AND state LIKE :state AND pid <> pg_backend_pid()"
    )
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(text(ended), {"statement": statement, "state": state}).all():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("size", [1, 10_000_000])
@pytest.mark.usefixtures("database")
def test_a_hang_up_is_noticed_at_once(
    cluster: Cluster, run_loop: Callable[[Coroutine[Any, Any, Any]], Any], size: int
) -> None:
    """Also where the server's last words and a reset arrive together, and while a long statement is being sent."""

    async def ask() -> float:
        connection = await Connection.open(parse(cluster.url))
        [row] = await connection.fetch(BACKEND, {})
        backend = psutil.Process(row["pid"])
        backend.suspend()
        backend.terminate()
        # it ends without having read this, which is why the kernel resets the connection
        asking = asyncio.create_task(connection.fetch("SELECT %(long)s", {"long": "x" * size}))
        await asyncio.sleep(0.2)
        assert not asking.done()
        backend.resume()
        time.sleep(0.2)  # noqa: ASYNC251 - a busy loop
        began = time.monotonic()
        try:
            with pytest.raises(OperationalError):
                await asyncio.wait_for(asking, PATIENCE)
        finally:
            connection.close()
        return time.monotonic() - began

    assert run_loop(ask()) < allowed(1.5)


@pytest.mark.usefixtures("database")
def test_a_reads_unitattempt_uses_a_new_connection(cluster: Cluster) -> None:
    """Whatever ended the first one may be about to end the idle ones: it shows only after they were asked."""

    async def ask_the_dying(pool: Pool) -> Any:
        answers = await asyncio.gather(*[pool.fetch(busy, {}) for busy in BUSY_BACKENDS])
        backends = [psutil.Process(row["pid"]) for [row] in answers]
        for backend in backends:
            backend.suspend()
            backend.terminate()
        asked = asyncio.create_task(read(pool, ONE))
        await asyncio.sleep(0.2)
        for backend in reversed(backends):  # the one that was used last is asked first
            backend.resume()
            await asyncio.sleep(0.2)
        return await asked

    assert run(cluster, ask_the_dying, size=READ_ATTEMPTS) == [{"number": 1}]


BUSY_BACKENDS = [f"SELECT pg_backend_pid() AS pid, pg_sleep({seconds})" for seconds in (0.1, 0.2, 0.3)]


@pytest.mark.usefixtures("database")
def test_a_timeout_ends_the_idle_connections_that_have_not_answered_since(cluster: Cluster) -> None:
    """What does not answer one may not answer the others; one that has answered in the meantime is kept."""

    async def ask(pool: Pool) -> int:
        await asyncio.gather(*[read(pool, sleep(0.1)) for _ in range(3)])
        set_deadline(allowed(0.9))
        silent = asyncio.create_task(read(pool, sleep(60)))
        await asyncio.sleep(0.1)
        set_deadline(PATIENCE)
        await read(pool, ONE)
        with pytest.raises(DatabaseError):
            await silent
        return pool.idle

    assert run(cluster, ask, size=3) == 1


def test_a_failure_ends_the_connections_that_were_idle_all_the_while(cluster: Cluster, database: Engine) -> None:
    """What has ended one may be about to end the others; one that has answered in the meantime is kept."""

    async def ask(pool: Pool) -> int:
        await asyncio.gather(*[read(pool, sleep(0.1)) for _ in range(3)])
        failing = asyncio.create_task(pool.fetch(sleep(60), {}))
        await asyncio.sleep(0.1)
        await read(pool, ONE)
        await terminate(database, "SELECT pg_sleep(60)", state="active")
        with pytest.raises(DatabaseError):
            await failing
        return pool.idle

    assert run(cluster, ask, size=3) == 1


@pytest.mark.usefixtures("database")
def test_a_connection_survives_an_error_of_the_server(cluster: Cluster) -> None:
    """The server is ready for the next statement, and is not asked the same one twice."""

    async def err(pool: Pool) -> tuple[Any, ...]:
        before = await read(pool, BACKEND)
        for is_read in (True, False):
            with pytest.raises(DatabaseError) as failure:
                await pool.fetch("SELECT 1/0", {}, is_read=is_read)
            assert isinstance(failure.value.__cause__, DivisionByZero)
        return before, await read(pool, BACKEND), pool.idle

    before, after, idle = run(cluster, err)
    assert (before, idle) == (after, 1)


@pytest.mark.parametrize(
    "fatal",
    [
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "BEGIN; SELECT 1/0",  # answers ERROR, and stays in a failed transaction
    ],
)
@pytest.mark.usefixtures("database")
def test_a_connection_in_another_state_is_closed(cluster: Cluster, fatal: str) -> None:
    """It might fail the next request, or worse."""

    async def end(pool: Pool) -> tuple[Any, ...]:
        before = await read(pool, BACKEND)
        with pytest.raises(DatabaseError):
            await pool.fetch(fatal, {})
        return before, await read(pool, BACKEND)

    before, after = run(cluster, end)
    assert before != after


def test_a_read_only_server_is_left(cluster: Cluster, database: Engine) -> None:
    """A connection that outlived a change of the primary: the next one may lead to the new one."""
    with database.begin() as connection:
        connection.execute(text("CREATE ROLE standby LOGIN"))
        connection.execute(text("ALTER ROLE standby SET default_transaction_read_only = on"))

    async def write(pool: Pool) -> tuple[Any, ...]:
        before = await read(pool, BACKEND)
        with pytest.raises(DatabaseError):
            await pool.fetch("CREATE TABLE nothing ()", {})
        return before, await read(pool, BACKEND)

    try:
        before, after = run(cluster, write, url=as_role(cluster, "standby"))
    finally:
        with database.begin() as connection:
            connection.execute(text("DROP ROLE standby"))
    assert before != after


@pytest.mark.usefixtures("database")
def test_the_primary_is_found_again_among_several_hosts(cluster: Cluster) -> None:
    """The standby was the one that accepted last; a write that it refuses sends the next one to the first host."""

    async def write(pool: Pool) -> list[bool]:
        await asyncio.to_thread(cluster.stop)
        assert await read(pool, ONE) == [{"number": 1}]
        await asyncio.to_thread(cluster.start)
        written = []
        for _ in range(2):
            try:
                await pool.fetch("INSERT INTO task (user_id, title) VALUES ('alice', 'x') RETURNING id", {})
            except DatabaseError:
                written.append(False)
            else:
                written.append(True)
        return written

    with running_cluster() as standby:
        with standby.engine.begin() as connection:
            connection.execute(text("ALTER DATABASE postgres SET default_transaction_read_only = on"))
        hosts = ",".join(quote(str(one.socket.parent), safe="") for one in (cluster, standby))
        assert run(cluster, write, url=f"postgresql://postgres@/postgres?host={hosts}") == [False, True]


@pytest.fixture(params=["repeatable read", "serializable"])
def isolated(cluster: Cluster, database: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a role whose transactions are isolated more strictly than PostgreSQL's default."""
    with database.begin() as connection:
        connection.execute(text("CREATE ROLE isolated LOGIN"))
        connection.execute(text(f"ALTER ROLE isolated SET default_transaction_isolation = '{request.param}'"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO isolated"))
        connection.execute(text("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO isolated"))
    yield as_role(cluster, "isolated")
    with database.begin() as connection:
        connection.execute(text("DROP OWNED BY isolated"))
        connection.execute(text("DROP ROLE isolated"))


def test_a_write_that_lost_to_another_is_sent_again(cluster: Cluster, database: Engine, isolated: str) -> None:
    """The database says that nothing has happened (40001): so each happens, and once."""
    make_task(database, user_id="alice", title="o")

    async def write_at_once(pool: Pool) -> None:
        longer = "UPDATE task SET title = title || 'x' WHERE user_id = 'alice'"
        await asyncio.gather(*[pool.fetch(longer, {}) for _ in range(100)])

    run(cluster, write_at_once, size=8, url=isolated)
    assert [row["title"] for row in rows(database, "alice")] == ["o" + "x" * 100]


def test_a_task_that_is_sent_many_times_at_once_is_created_once(database: Engine, isolated: str) -> None:
    """With one key, under strict isolation as well: everybody gets the first answer."""
    with running_service(settings_for(isolated)) as service, ThreadPoolExecutor(20) as clients:
        headers = ALICE | {"idempotency-key": "one"}
        created = clients.map(
            lambda _: service.http.post("/api/alice/tasks", json={"title": "Buy milk"}, headers=headers), range(40)
        )
        answers = {(answer.status_code, answer.text) for answer in created}
    assert [status for status, _ in answers] == [201]
    assert len(rows(database, "alice")) == 1


@pytest.mark.usefixtures("database")
def test_a_write_that_ended_a_deadlock_is_sent_again(cluster: Cluster) -> None:
    """The database has undone one of the two (40P01), and both happen."""

    async def cross(pool: Pool) -> Any:
        lock = "SELECT pg_advisory_xact_lock({}), pg_sleep(0.3), pg_advisory_xact_lock({})"
        return await asyncio.gather(*[pool.fetch(lock.format(*order), {}) for order in [(1, 2), (2, 1)]])

    assert [len(answer) for answer in run(cluster, cross, size=2)] == [1, 1]


def test_a_write_that_always_loses_is_given_up_in_time(cluster: Cluster, database: Engine) -> None:
    """And is not sent in a storm meanwhile."""
    with database.begin() as connection:
        connection.execute(text("CREATE SEQUENCE tries"))
        lose = "CREATE FUNCTION lose() RETURNS void LANGUAGE plpgsql AS"
        body = "BEGIN PERFORM nextval('tries'); RAISE EXCEPTION USING ERRCODE = '40001'; END"
        connection.execute(text(f"{lose} $${body}$$"))

    async def ask(pool: Pool) -> None:
        began = time.monotonic()
        with pytest.raises(DatabaseError):
            await pool.fetch("SELECT lose()", {})
        assert 0.9 < time.monotonic() - began < 3

    try:
        run(cluster, ask, seconds=1)
    finally:
        with database.begin() as connection:
            tries = connection.execute(text("SELECT last_value FROM tries")).scalar_one()
            connection.execute(text("DROP FUNCTION lose"))
            connection.execute(text("DROP SEQUENCE tries"))
    assert 1 < tries <= 51


@pytest.mark.usefixtures("database")
def test_a_connection_is_replaced_in_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or reads would stay on a server that is no longer the primary."""
    age = allowed(1.0)
    monkeypatch.setattr("app.core.database.connection.MAX_AGE", age)

    async def grow_old(pool: Pool) -> list[Any]:
        seen = []
        for part in (0.0, 0.1, 1.1):
            await asyncio.sleep(part * age)
            seen.append(await read(pool, BACKEND))
        return seen

    first, second, third = run(cluster, grow_old, seconds=PATIENCE)
    assert first == second != third


def test_a_dead_connection_is_not_counted_as_idle(cluster: Cluster, database: Engine) -> None:
    """As soon as the server has hung up."""

    async def die(pool: Pool) -> tuple[int, int]:
        await read(pool, BACKEND)
        before = pool.idle
        await terminate(database, BACKEND)
        async with asyncio.timeout(PATIENCE):
            while pool.idle == before:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        return before, pool.idle

    assert run(cluster, die) == (1, 0)


# A server that refuses


def as_role(cluster: Cluster, name: str) -> str:
    """The cluster's URL for another role."""
    return cluster.url.replace("//postgres:", f"//{name}:")


@pytest.fixture
def limited(cluster: Cluster, database: Engine) -> Iterator[str]:
    """The URL of a role that may have two connections."""
    with database.begin() as connection:
        connection.execute(text("CREATE ROLE limited LOGIN CONNECTION LIMIT 2"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO limited"))
        connection.execute(text("GRANT USAGE ON SEQUENCE task_id_seq TO limited"))
    yield as_role(cluster, "limited")
    with database.begin() as connection:
        connection.execute(text("DROP OWNED BY limited"))
        connection.execute(text("DROP ROLE limited"))


def test_fewer_connections_than_places_serve_everybody(cluster: Cluster, limited: str) -> None:
    """Who gets none of their own takes one that is given back."""

    async def work(pool: Pool) -> tuple[float, int]:
        async def client() -> None:
            for _ in range(20):
                set_deadline(PATIENCE)
                await read(pool, sleep(0.002))

        began = time.monotonic()
        await asyncio.gather(*[client() for _ in range(24)])
        return time.monotonic() - began, pool.idle

    took, idle = run(cluster, work, size=16, url=limited)
    assert took < allowed(10)
    assert idle == 2


@pytest.mark.usefixtures("database")
def test_a_connection_that_is_given_back_during_a_refusal_is_taken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: who was refused does not pause beside an idle connection."""
    for name in ("RETRY_FIRST", "RETRY_LAST"):
        monkeypatch.setattr(f"app.core.database.pool.{name}", PATIENCE)

    async def work(pool: Pool) -> None:
        used = await pool._acquire()

        async def refuse(_: object) -> None:
            pool._idle.append(used)
            pool._retry_now.set()
            raise OperationalError("too many connections")

        monkeypatch.setattr(Connection, "open", refuse)
        assert await asyncio.wait_for(pool._acquire(), PATIENCE / 2) is used
        used.close()

    run(cluster, work, size=2)


def test_it_is_ready_where_the_pool_has_all_connections(limited: str) -> None:
    """A balancer would take a service away that works."""
    with running_service(settings_for(limited)) as service, ThreadPoolExecutor(8) as clients:
        listed = list(clients.map(lambda _: service.http.get("/api/alice/tasks", headers=ALICE), range(40)))
        assert "database_connections_idle 2.0" in service.http.get("/metrics").text
        ready = service.http.get("/health/ready")
    assert {answer.status_code for answer in listed} == {200}
    assert ready.status_code == 200
    assert ready.elapsed.total_seconds() < allowed(1)


def test_it_is_ready_while_the_table_is_locked(cluster: Cluster, database: Engine) -> None:
    """By a migration, say: it works for whoever does not need the table, and the lock will end."""
    settings = settings_for(cluster.url, database_pool_size=5, request_timeout=60)
    with running_service(settings) as service, ThreadPoolExecutor(5) as clients:
        with database.connect() as lock:
            lock.execute(text("LOCK TABLE task"))
            asked = [clients.submit(service.http.get, "/api/alice/tasks", headers=ALICE) for _ in range(5)]
            pause(0.5)  # until all connections are busy
            ready = service.http.get("/health/ready")
            lock.rollback()
        assert {answer.result().status_code for answer in asked} == {200}
    assert ready.status_code == 200
    assert ready.elapsed.total_seconds() < allowed(1)


def test_a_spare_query_waits_for_no_other(cluster: Cluster, watcher: Callable[[], list[Any]]) -> None:
    """Readiness is told while all connections are busy; and there is one such connection more, and no second one."""
    second = allowed(1)

    async def ask(pool: Pool) -> tuple[float, list[Any], int]:
        busy = [asyncio.create_task(read(pool, sleep(second))) for _ in range(6)]
        await asyncio.sleep(0.2 * second)
        began = time.monotonic()
        answers = await asyncio.gather(*[read(pool, ONE, spare=True) for _ in range(4)])
        took, open_now = time.monotonic() - began, len(watcher())
        await asyncio.gather(*busy)
        return took, answers, open_now

    took, answers, open_now = run(cluster, ask, size=3, seconds=PATIENCE)
    assert took < 0.5 * second
    assert answers == [[{"number": 1}]] * 4
    assert open_now == 4


@pytest.mark.usefixtures("database")
def test_readiness_is_asked_once_for_all_who_wait(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else strangers could queue before a balancer until it takes the service away."""
    logged = cluster.url + ("&" if "?" in cluster.url else "?") + "options=-c%20log_statement%3Dall"
    monkeypatch.setattr("app.core.http.health.READY_WITHIN", PATIENCE)
    with running_service(settings_for(logged)) as service, ThreadPoolExecutor(40) as clients:
        assert service.http.get("/health/ready").status_code == 200
        before = cluster.log.read_text().count("regclass")
        cluster.freeze()
        asked = [clients.submit(service.http.get, "/health/ready") for _ in range(40)]
        pause(0.7)  # until most of them have come in
        cluster.thaw()
        assert {answer.result().status_code for answer in asked} == {200}
        assert cluster.log.read_text().count("regclass") - before < 10


def test_a_database_that_refuses_is_asked_seldom(cluster: Cluster, database: Engine) -> None:
    """However many wait: a role that may no longer log in does not make a storm of attempts."""
    with database.begin() as connection:
        connection.execute(text("CREATE ROLE locked_out NOLOGIN"))
    before = len(cluster.log.read_text())

    async def ask(pool: Pool) -> None:
        asked = [read(pool, ONE) for _ in range(20)]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, DatabaseError)

    try:
        run(cluster, ask, size=16, seconds=2, url=as_role(cluster, "locked_out"))
    finally:
        with database.begin() as connection:
            connection.execute(text("DROP ROLE locked_out"))
    refused = cluster.log.read_text()[before:].count('role "locked_out" is not permitted to log in')
    assert 5 < refused <= 16 + 8


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_pause_between_attempts_doubles_up_to_a_limit(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """A database that wakes up is noticed soon, and one that stays away is not asked all the time.

    Attempts that were under way together are one: their number says nothing about how long it will be away.
    """
    monkeypatch.setattr("app.core.database.pool.RETRY_FIRST", 0.001)
    monkeypatch.setattr("app.core.database.pool.RETRY_LAST", 0.004)

    async def ask(pool: Pool) -> list[float]:
        pauses: list[float] = []

        async def refuse(_: object) -> None:
            pauses.append(pool._backoff.pause)
            await asyncio.sleep(0)
            raise OperationalError("the database system is starting up")

        monkeypatch.setattr(Connection, "open", refuse)
        answers = await asyncio.gather(*[read(pool, ONE) for _ in range(at_once)], return_exceptions=True)
        assert [type(answer) for answer in answers] == [DatabaseError] * at_once
        return pauses

    pauses = run(cluster, ask, size=at_once, seconds=allowed(0.8))
    assert pauses[:at_once] == [0] * at_once
    # After a pause that a busy machine has lengthened, others of the attempts may begin together too.
    assert [pause for pause, _ in groupby(pauses)] == [0, 0.001, 0.002, 0.004]


def test_an_attempt_that_fails_late_does_not_shorten_the_pause() -> None:
    """A server that is silent holds an attempt up, while others fail at another address at once."""

    async def pauses() -> tuple[float, float]:
        backoff = Backoff()
        slow = backoff.begin_attempt()
        for _ in range(3):
            backoff.attempt_failed(backoff.begin_attempt())
        grown = backoff.pause
        backoff.attempt_failed(slow)
        return grown, backoff.pause

    assert asyncio.run(pauses()) == (RETRY_LAST, RETRY_LAST)


@pytest.mark.usefixtures("database")
def test_each_attempt_looks_the_hosts_up_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name leads elsewhere after a failover."""
    looked_up = []

    async def counted(dsn: Dsn) -> list[Dsn]:
        looked_up.append(dsn)
        return await addresses(dsn)

    monkeypatch.setattr("app.core.database.pool.addresses", counted)

    async def ask(pool: Pool) -> None:
        for _ in range(2):
            await read(pool, ONE)
            pool.close()

    run(cluster, ask)
    assert len(looked_up) == 2


@pytest.fixture(params=["says nothing", "swallows"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port of this machine that accepts and says nothing, or where not even that happens."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        if request.param == "swallows":
            for _ in range(4):
                filler = sockets.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            time.sleep(0.1)
        yield listener.getsockname()[1]


@pytest.mark.usefixtures("database")
def test_a_dead_address_leaves_time_for_the_next_one(cluster: Cluster, dead_port: int) -> None:
    """And the address that has worked is tried first from then on."""
    url = f"host=127.0.0.1,{cluster.socket.parent} port={dead_port},5432 user=postgres dbname=postgres"
    url += " tcp_user_timeout=0"  # the default would end the attempt after 3 s, where a unit is longer
    unit = allowed(1)

    async def ask(pool: Pool) -> list[float]:
        took = []
        for _ in range(2):
            set_deadline(1.8 * unit)
            began = time.monotonic()
            assert await pool.fetch(ONE, {}) == [{"number": 1}]
            took.append(time.monotonic() - began)
            pool.close()
        return took

    first, second = run(cluster, ask, url=url)
    assert 0.5 * unit < first < 1.5 * unit
    assert second < 0.3 * unit


def test_who_waits_for_a_silent_server_takes_no_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, dead_port: int
) -> None:
    """The socket is waited for, and not asked again and again."""
    waits = []

    async def counted(descriptor: int, *, for_reading: bool) -> None:
        waits.append(for_reading)
        await _socket_ready(descriptor, for_reading=for_reading)

    monkeypatch.setattr("app.core.database.connection._socket_ready", counted)

    async def ask(pool: Pool) -> None:
        with pytest.raises(DatabaseError):
            await read(pool, ONE)

    run(cluster, ask, url=f"postgresql://u@127.0.0.1:{dead_port}/db", seconds=0.8)
    assert 0 < len(waits) < 10


@pytest.fixture
def latin1() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server that says in Latin-1 that it is still starting, and a note of each attempt to connect.

    A stand-in: PostgreSQL speaks so before it knows a client's encoding, in a locale that is not installed here.
    """
    fields = b"SFATAL\0VFATAL\0C57P03\0M" + "Das Datenbanksystem f\u00e4hrt hoch".encode("latin-1") + b"\0\0"
    attempts: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            attempts.append("refused")
            self.request.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"postgresql://u@127.0.0.1:{server.server_address[1]}/db?sslmode=disable&gssencmode=disable", attempts
        server.shutdown()


def test_a_refusal_in_another_encoding_is_waited_out(cluster: Cluster, latin1: tuple[str, list[str]]) -> None:
    """As any other one."""
    url, attempts = latin1

    async def ask(pool: Pool) -> DatabaseError:
        with pytest.raises(DatabaseError) as failure:
            await read(pool, ONE)
        return failure.value

    assert isinstance(run(cluster, ask, url=url, seconds=0.5).__cause__, TimeoutError)
    assert len(attempts) > 1


def test_a_refusal_in_another_encoding_is_told(latin1: tuple[str, list[str]]) -> None:
    """`serve` says that it waits, and `migrate` that it can't; what is lost has a sentence of ours."""
    url, _ = latin1
    sentence = f"Das Datenbanksystem f\ufffdhrt hoch|{NO_REASON}"
    with pytest.raises(OperationalError, match=sentence):
        connect(url)
    with pytest.raises(DBAPIError, match=sentence):
        upgrade(url)


def test_a_refusal_without_a_word_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver raises on Debian 12's Python 3.11.2 for a message that is not in UTF-8."""

    def refuse(**_: str) -> None:
        raise OperationalError

    monkeypatch.setattr("psycopg2.connect", refuse)
    with pytest.raises(OperationalError, match=NO_REASON):
        connect("postgresql://127.0.0.1/db")


def test_a_server_without_the_encryption_that_is_asked_for_is_not_waited_for() -> None:
    """What is wrong is in the URL; a stand-in, since a server of the tests listens on no port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(b"N")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(SettingsError, match="sslmode, sslrootcert or channel_binding can't be satisfied"):
            connect(f"postgresql://u@127.0.0.1:{server.server_address[1]}/db?sslmode=require&gssencmode=disable")
        server.shutdown()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_is_not_utf8_is_refused(cluster: Cluster, database: Engine, encoding: str) -> None:
    """By `migrate`, at the start and for each request: it can't hold every title, or can't count its characters."""
    name = f"in_{encoding.lower()}"
    autocommit = database.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        made = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        connection.execute(text(made))
    url = cluster.url.replace("/postgres?", f"/{name}?")

    async def ask(pool: Pool) -> DatabaseError:
        began = time.monotonic()
        with pytest.raises(DatabaseError) as failure:
            await read(pool, ONE)
        assert time.monotonic() - began < allowed(1)
        return failure.value

    try:
        for refusing in (connect, upgrade):
            with pytest.raises(SettingsError, match=f"DATABASE_URL: the database's encoding is {encoding}; "):
                refusing(url)
        failure = run(cluster, ask, url=url)
        assert f"encoding is {encoding}" in str(failure.__cause__)
    finally:
        with autocommit.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.usefixtures("database")
def test_text_is_utf8_whatever_the_url_says(cluster: Cluster) -> None:
    """A title in another script would be an error."""
    url = cluster.url + "&client_encoding=LATIN1"
    sql = "SELECT %(title)s AS title, current_setting('client_encoding') AS encoding"
    rows = run(cluster, lambda pool: pool.fetch(sql, {"title": "\u65e5\u672c"}), url=url)
    assert rows == [{"title": "\u65e5\u672c", "encoding": "UTF8"}]


@pytest.mark.parametrize("form", ["two hosts", "keywords", "a socket's folder as the host"])
@pytest.mark.usefixtures("database")
def test_migrations_take_the_urls_that_the_service_takes(cluster: Cluster, form: str) -> None:
    """The library reads them for both."""
    folder = str(cluster.socket.parent)
    quoted = quote(folder, safe="")
    url = {
        "two hosts": f"postgres://postgres@{quoted}:1,{quoted}:5432/postgres",
        "keywords": f"host={folder} user=postgres dbname=postgres",
        "a socket's folder as the host": f"postgresql://postgres@{quoted}/postgres",
    }[form]
    assert run(cluster, lambda pool: read(pool, ONE), url=url) == [{"number": 1}]
    upgrade(url)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """By the variable that says where; OpenSSL would pass them over, and then trust nobody."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(variable, "/missing")
    with pytest.raises(SettingsError, match=f"^{variable}: there is no such "):
        parse("postgresql://localhost/db?sslrootcert=system")
    monkeypatch.setenv("PGSSLROOTCERT", "system")
    with pytest.raises(SettingsError, match=f"^{variable}: there is no such "):
        parse("postgresql://localhost/db")
    parse("postgresql://localhost/db?sslrootcert=/my/own")


def test_one_of_several_folders_of_certificates_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OpenSSL takes a list."""
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", f"/missing:{tmp_path}")
    assert parse("postgresql://localhost/db?sslrootcert=system")["sslrootcert"] == "system"


@pytest.mark.parametrize("after", ["@@localhost", "@%2F{}@localhost", "@{}/x@localhost"])
def test_no_part_of_a_password_is_taken_for_a_host(after: str) -> None:
    """The library ends it at the first @, and would print what follows."""
    with pytest.raises(SettingsError, match="DATABASE_URL: it can't be read") as problem:
        connect(f"postgresql://u:s3cret{after.format('s3cret')}/db")
    assert "s3cret" not in str(problem.value)


# What the log says of a statement that came too late


def reasons(
    cluster: Cluster, statements: list[str], *, size: int, url: str | None = None, seconds: float | None = None
) -> set[str | None]:
    """Why statements failed that were sent at once, with the same little time to be answered."""

    async def failure(pool: Pool, sql: str) -> str | None:
        try:
            await read(pool, sql)
        except DatabaseError as error:
            return error.reason
        return None

    async def work(pool: Pool) -> set[str | None]:
        set_deadline(allowed(1) if seconds is None else seconds)
        return set(await asyncio.gather(*[failure(pool, sql) for sql in statements]))

    told: set[str | None] = run(cluster, work, size=size, url=url)
    return told - {None}


@pytest.mark.usefixtures("database")
def test_all_who_wait_for_a_database_that_is_away_say_so(cluster: Cluster) -> None:
    """Those too that wait behind the ones that try to connect: it is not the pool that is too small."""
    cluster.stop()
    assert reasons(cluster, [ONE] * 40, size=4) == {"the database can't be reached"}


def test_all_who_wait_for_a_database_that_is_silent_say_so(cluster: Cluster, dead_port: int) -> None:
    """It has accepted nobody."""
    url = f"postgresql://postgres@127.0.0.1:{dead_port}/postgres"
    assert reasons(cluster, [ONE] * 40, size=4, url=url) == {"the database can't be reached"}


def test_a_database_that_answers_nobody_is_told(cluster: Cluster) -> None:
    """It is locked, say, for all of them."""
    assert reasons(cluster, [sleep(PATIENCE)] * 8, size=4) == {"the database does not answer"}


@pytest.mark.parametrize("seconds", [0.2, 0, -1])
def test_a_statement_that_comes_too_late_is_told(cluster: Cluster, seconds: float) -> None:
    """The page before it has taken nearly all of the request's time, say: the database has done nothing wrong."""
    told = reasons(cluster, [ONE] * 3, size=2, seconds=seconds)
    assert told == {"too little of the request's time was left"}


def test_a_pool_that_is_too_small_is_told(cluster: Cluster) -> None:
    """Others have been answered meanwhile."""
    told = reasons(cluster, [ONE] * 4 + [sleep(PATIENCE)] * 8, size=4)
    assert told == {"all 4 connections were busy", "no answer in time, while others had theirs"}
