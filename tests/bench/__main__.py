"""Measure everything in one run, and print it: `make bench` (five minutes; `--quick`: one).

Every figure is a whole process's, on this machine, while the load generator runs on it too: what counts is the
ratio to the yardstick, which is loaded in turn with the service, round by round. The servers have a core of their
own, one after the other, and the database and the load have the rest: left to itself, the kernel puts them on the
core where the service is at work, and lets another one idle.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import Engine, text

from app.core.auth.tokens import VERIFIED_MAX
from app.schemas import LIMIT_DEFAULT
from tests.support.cluster import Cluster, DurableCluster, running_cluster
from tests.support.service import SECRET
from tests.support.statements import Call, page, statement_of
from tests.support.tokens import token

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
USERS, TASKS = 1000, 20
CONNECTIONS = (1, 16, 64)
HELLO_PORT, SERVICE_PORT, FASTIFY_PORT = 8951, 8952, 8953
FASTIFY = HERE.parent / "node" / "fastify.mjs"
"""The same six endpoints as a Better Auth user would write them: Fastify, pg and jose."""
Cores = set[int] | None
"""Where a process may run; None: where the kernel likes."""


@dataclass
class Round:
    """What one load on one server gave."""

    per_second: float
    p50: float
    p95: float
    p99: float
    cpu: float
    """µs of the server's CPU for a request."""


@dataclass
class Server:
    """One of the servers that are measured."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """CPU that it has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def share_out() -> tuple[Cores, Cores]:
    """One core for the server, and the rest for the database and the load; no choice where there is but one."""
    first, *rest = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else [0]
    return ({first}, set(rest)) if rest else (None, None)


def keep_to(cores: Cores, pid: int) -> None:
    """Keep a process, and what it starts from now on, to these cores."""
    if cores:
        os.sched_setaffinity(pid, cores)


@contextmanager
def serve(command: list[str], port: int, path: str, cores: Cores = None, **variables: str) -> Iterator[Server]:
    """Run a server in a process of its own, its output thrown away."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    env = kept | {"BETTER_AUTH_SECRET": SECRET} | variables
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own
        try:
            keep_to(cores, process.pid)
            for _ in range(200):
                if _answers(port, path):
                    break
                time.sleep(0.1)
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.terminate()


def _answers(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}").status_code > 0
    except httpx.TransportError:
        return False


def node_has_fastify() -> bool:
    """Whether Node.js and what tests/node takes from npm are installed."""
    return shutil.which("node") is not None and (FASTIFY.parent / "node_modules" / "fastify").exists()


def fill(engine: Engine, users: int, tasks: int, prefix: str = "user") -> None:
    """Give each of these users so many tasks."""
    statement = text(
        "INSERT INTO task (user_id, title, description, complete)"
        " SELECT :prefix || u, 'Task ' || t, 'What there is to do about it', t % 3 = 0"
        " FROM generate_series(1, :tasks) t, generate_series(1, :users) u"
    )
    with engine.begin() as connection:
        connection.execute(statement, {"prefix": prefix, "users": users, "tasks": tasks})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE task"))


def write_users(engine: Engine, path: Path, prefix: str = "user") -> None:
    """Write the file that the load rotates over."""
    one_of_each = "SELECT user_id, max(id) FROM task WHERE user_id LIKE :prefix GROUP BY user_id ORDER BY random()"
    with engine.connect() as connection:
        rows = connection.execute(text(one_of_each), {"prefix": f"{prefix}%"})
        lines = [f"{user} {token(user, exp=int(time.time()) + 3600)} {task}" for user, task in rows]
    path.write_text("\n".join(lines))


def load(server: Server, what: str, connections: int, seconds: float, users: Path) -> Round:
    """Load a server with wrk."""
    threads = "1"
    command = ["wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds:.0f}s", "--timeout", "10s"]
    script = ["-s", str(HERE / "load.lua"), f"http://127.0.0.1:{server.port}", "--", str(users), what]
    before = server.cpu_seconds()
    printed = subprocess.run([*command, *script], check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    cpu = server.cpu_seconds() - before
    (result,) = [line for line in printed.splitlines() if line.startswith("RESULT")]
    requests, micros, errors, p50, p95, p99 = map(int, result.split()[1:])
    if errors:
        raise SystemExit(f"{errors} of {requests} requests failed: {what} at {connections} connections")
    return Round(requests / micros * 1e6, p50 / 1000, p95 / 1000, p99 / 1000, cpu / requests * 1e6)


def median(rounds: list[Round]) -> Round:
    """The median of each figure."""
    return Round(*(statistics.median(getattr(one, name) for one in rounds) for name in Round.__annotations__))


def compare(hello: Server, others: dict[str, Server], whats: list[str], connections: int, **load_with: Any) -> None:
    """Load all in turn, round by round, and print the table with the ratios to the yardstick.

    `others` are the servers with the six endpoints, by what is printed before a row of theirs.
    """
    rounds, seconds = load_with["rounds"], load_with["seconds"]
    # those who create are others than those whose lists are read, which stay as long as they are
    users = {what: load_with["writers" if what == "create" else "users"] for what in ("hello", *whats)}
    loads = {"hello": (hello, "hello")}
    for name, server in others.items():
        loads |= {f"{name}{what}": (server, what) for what in whats}
    found: dict[str, list[Round]] = {row: [] for row in loads}
    for server, what in loads.values():
        load(server, what, connections, 1, users[what])  # warm
    for _ in range(rounds):
        for row, (server, what) in loads.items():
            found[row].append(load(server, what, connections, seconds, users[what]))
    medians = {row: median(ones) for row, ones in found.items()}
    print(f"\n{connections} connections, medians of {rounds} rounds of {seconds:g} s")
    print(f"{'':16}{'req/s':>8}{'ratio':>7}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}{'p95/p50':>8}{'CPU µs':>8}")
    for row, one in medians.items():
        ratio = one.per_second / medians["hello"].per_second
        print(
            f"{row:16}{one.per_second:8.0f}{ratio:7.2f}{one.p50:8.2f}{one.p95:8.2f}{one.p99:8.2f}"
            f"{one.p95 / one.p50:8.1f}{one.cpu:8.0f}"
        )


@contextmanager
def without_waiting_for_the_disk(engine: Engine) -> Iterator[None]:
    """Let PostgreSQL answer before a commit is on the disk; what is left is not the disk's part."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ALTER SYSTEM SET synchronous_commit = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
        try:
            yield
        finally:
            connection.execute(text("ALTER SYSTEM RESET synchronous_commit"))
            connection.execute(text("SELECT pg_reload_conf()"))


def pgbench(cluster: Cluster, folder: Path, seconds: float) -> None:
    """What PostgreSQL by itself makes of the list's statement, at 16 connections."""
    statement = statement_of("", page(LIMIT_DEFAULT + 1))
    literals = {name: "NULL" if value is None else value for name, value in statement.params.items()}
    sql = statement.sql % (literals | {"owner": "'user' || :user"})
    script = folder / "list.sql"
    script.write_text(f"\\set user random(1, {USERS})\n{' '.join(sql.split())};\n")
    command = [str(cluster.bin / "pgbench"), "-n", "-c", "16", "-j", "1", "-T", f"{seconds:g}", "-f", str(script)]
    printed = subprocess.run([*command, cluster.url], check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    (line,) = [line for line in printed.splitlines() if line.startswith("tps")]
    print(f"\npgbench with the list's statement alone, 16 connections: {line}")


async def pace(port: int, seconds: float, per_second: int = 100) -> list[float]:
    """One user at a steady pace; latencies in ms from the moment each request was meant to be sent."""
    bearer = {"authorization": f"Bearer {token('user1')}", "x-forwarded-proto": "https"}
    latencies: list[float] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=bearer) as client:
        began = time.perf_counter() + 0.2

        async def ask(place: int) -> None:
            meant = began + place / per_second
            await asyncio.sleep(max(0.0, meant - time.perf_counter()))
            if place % 10 == 0:
                answer = await client.post("/api/user1/tasks", json={"title": "Buy milk"})
            else:
                answer = await client.get("/api/user1/tasks", params={"limit": 20})
            answer.raise_for_status()
            latencies.append((time.perf_counter() - meant) * 1000)

        await asyncio.gather(*[ask(place) for place in range(int(seconds * per_second))])
    return sorted(latencies)


def grow(engine: Engine, service: Server, sizes: list[int]) -> list[dict[str, object]]:
    """How the cost of each request grows with the table, and with one user's share of it; medians in ms."""
    table: list[dict[str, object]] = []
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE task"))
    held = 0
    fill(engine, 1, 100, "small")
    fill(engine, 1, sizes[-1] // 10, "large") if sizes[-1] > 10**5 else None
    for size in sizes:
        with engine.connect() as connection:
            held = connection.execute(text("SELECT count(*) FROM task")).scalar_one()
        if size > held:
            fill(engine, USERS, max(1, (size - held) // USERS), f"crowd{size}-")
        users = ["small1", "large1"] if size == sizes[-1] else ["small1"]
        statement_times = statement_times_of(engine, users)
        for user in users:
            table.append({"tasks": size, "user": user, **times_of(service, user), **statement_times[user]})
    return table


def statement_times_of(engine: Engine, users: list[str]) -> dict[str, dict[str, float]]:
    """Median times of 200 runs of a page's statement and of the count's, in ms, PostgreSQL's own; the users in turn."""
    calls: dict[str, Call] = {"page's SQL": page(21), "count's SQL": lambda tasks: tasks.count(complete=None)}
    statements = {user: {name: statement_of(user, call) for name, call in calls.items()} for user in users}
    taken: dict[str, dict[str, list[float]]] = {user: {name: [] for name in ones} for user, ones in statements.items()}
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        for _ in range(200):
            for user, ones in statements.items():
                for name, query in ones.items():
                    began = time.perf_counter()
                    cursor.execute(query.sql, query.params)
                    taken[user][name].append((time.perf_counter() - began) * 1000)
    return {user: {name: statistics.median(ones) for name, ones in times.items()} for user, times in taken.items()}


def times_of(service: Server, user: str) -> dict[str, float]:
    """Median times of 200 requests of each kind, in ms, one after the other."""
    bearer = {"authorization": f"Bearer {token(user)}", "x-forwarded-proto": "https"}
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/api/{user}", headers=bearer) as client:
        page = client.get("/tasks", params={"limit": 20}).json()["tasks"]

        def median_of(method: str, path: str, **request: object) -> float:
            taken = []
            for _ in range(200):
                began = time.perf_counter()
                client.request(method, path, **request).raise_for_status()  # type: ignore[arg-type]
                taken.append((time.perf_counter() - began) * 1000)
            return statistics.median(taken)

        return {
            "list": median_of("GET", "/tasks", params={"limit": 20}),
            "after": median_of("GET", "/tasks", params={"limit": 20, "after": page[10]["id"]}),
            "fetch": median_of("GET", f"/tasks/{page[5]['id']}"),
            "create": median_of("POST", "/tasks", json={"title": "Buy milk"}),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS, help="how many at once")
    parser.add_argument("--grow", action="store_true", help="only how costs grow with the data, up to a million tasks")
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose each process's core")
    given = parser.parse_args()
    quick, only_grow = given.quick, given.grow
    if not shutil.which("wrk"):
        sys.exit("make bench needs wrk: on Debian, `apt-get install wrk`")
    random.seed(4711)
    rounds, seconds = (3, 1.0) if quick else (5, 3.0)
    servers_core, others_cores = (None, None) if given.unpinned else share_out()
    keep_to(others_cores, os.getpid())
    placed = "the server on one by itself" if servers_core else "placed by the kernel"
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {placed}, {platform.machine()}")
    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(DurableCluster))
        engine = cluster.engine
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for prefix in ("user", "writer"):
            fill(engine, USERS, TASKS, prefix)
            write_users(engine, folder / prefix, prefix)
        uvicorn = [str(BIN / "uvicorn"), "tests.bench.hello:app", "--no-access-log", "--port", str(HELLO_PORT)]
        hello = stack.enter_context(serve(uvicorn, HELLO_PORT, "/hello", servers_core))
        live = {"ENVIRONMENT": "production", "DATABASE_URL": cluster.url, "PORT": str(SERVICE_PORT)}
        todo_api = [str(BIN / "todo-api"), "serve"]
        service = stack.enter_context(serve(todo_api, SERVICE_PORT, "/health", servers_core, **live))
        compared = {"": service}
        if node_has_fastify():
            database = {"PGHOST": str(cluster.socket.parent), "PORT": str(FASTIFY_PORT)}
            fastify = serve(["node", str(FASTIFY)], FASTIFY_PORT, "/", servers_core, **database)
            compared["fastify "] = stack.enter_context(fastify)
        else:
            print("Fastify is not measured here: `make node` installs it")
        if not only_grow:
            cached = f"the service remembers {VERIFIED_MAX} verified ones"
            print(f"{USERS} users with {TASKS} tasks each, a token of each in turn; {cached}")
            how = {"rounds": rounds, "seconds": seconds, "users": folder / "user", "writers": folder / "writer"}
            for connections in given.connections:
                compare(hello, compared, ["list", "fetch", "create"], connections, **how)
            print("\nwith synchronous_commit=off:", end="")
            with without_waiting_for_the_disk(engine):
                compare(hello, compared, ["create"], 16, **how)
            pgbench(cluster, folder, seconds)
            paced = asyncio.run(pace(service.port, 5 if quick else 30))
            p95, p99 = paced[int(len(paced) * 0.95)], paced[int(len(paced) * 0.99)]
            print(f"\none user, 100 requests a second: p50 {paced[len(paced) // 2]:.1f} p95 {p95:.1f} p99 {p99:.1f} ms")
        if not quick:
            for row in grow(engine, service, [10**3, 10**5, 10**6]):
                print(json.dumps({name: round(v, 3) if isinstance(v, float) else v for name, v in row.items()}))


if __name__ == "__main__":
    main()
