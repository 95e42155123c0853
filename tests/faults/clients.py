"""Many clients at once, who note down what they were told, and what of it is true afterwards."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import httpx
from sqlalchemy import Engine, text

from tests.support import contract
from tests.support.clock import allowed
from tests.support.tokens import token

PATIENCE = 30.0
"""Seconds until a client counts a request as never answered."""


@dataclass
class Tally:
    """What the clients of one fault saw."""

    HEAD: ClassVar[str] = (
        "| fault | sent | answered | 2xx | 500 | longest answer | longest /health | longest /health/ready |"
        " acknowledged writes | lost | first success after |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    fault: str = ""
    sent: int = 0
    longest: float = 0.0
    longest_health: float = 0.0
    longest_ready: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    ready: Counter[int] = field(default_factory=Counter)
    writes: int = 0
    """Acknowledged ones: creations, completions and deletions."""
    created: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Acknowledged tasks by id, as they were last acknowledged."""
    unsure: set[int] = field(default_factory=set)
    """Ids of tasks with a change that was answered by an error: it may have happened."""
    deleted: set[int] = field(default_factory=set)
    answers: list[httpx.Response] = field(default_factory=list)
    lost: int | None = None
    mended_at: float | None = None
    first_success: float | None = None
    """Seconds from the mending to the first 2xx."""

    @property
    def answered(self) -> int:
        """How many answers came."""
        return self.statuses.total()

    def note(self, answer: httpx.Response, began: float) -> None:
        """Note an answer down; it is held against the contract in the end, since that takes a while."""
        now = time.monotonic()
        self.answers.append(answer)
        if answer.status_code < 400 and self.mended_at is not None and self.first_success is None:
            self.first_success = now - self.mended_at
        self.statuses[answer.status_code] += 1
        self.longest = max(self.longest, now - began)

    def mend(self) -> None:
        """The fault is over, from now on."""
        self.mended_at = time.monotonic()

    def hold(self, database: Engine) -> None:
        """Fail unless all was answered in time, and the table holds what was acknowledged, whole and once."""
        for answer in self.answers:
            contract.hold(answer)
            if answer.status_code >= 400:
                assert (answer.status_code, answer.json()["error_code"]) == (500, "DATABASE_ERROR"), answer.text
        with database.connect() as connection:
            table = {row["id"]: dict(row) for row in connection.execute(text("SELECT * FROM task")).mappings()}
        wrong = [
            number
            for number, task in self.created.items()
            if number not in table
            or table[number]["title"] != task["title"]
            or table[number]["user_id"] != task["user_id"]
            or (number not in self.unsure and table[number]["complete"] != task["complete"])
        ]
        wrong += [number for number in self.deleted if number in table]
        titles = Counter(row["title"] for row in table.values())
        self.lost = len(wrong)
        assert wrong == []
        assert max(titles.values(), default=1) == 1, "a creation was repeated"
        assert all(row["updated_at"] >= row["created_at"] for row in table.values())
        assert self.answered == self.sent
        assert self.longest < allowed(5.0)

    def line(self) -> str:
        """Its row of the table."""
        cells = [
            self.fault,
            self.sent,
            self.answered,
            sum(count for status, count in self.statuses.items() if status < 300),
            self.statuses[500],
            f"{self.longest:.2f} s",
            f"{self.longest_health:.2f} s" if self.longest_health else "-",
            f"{self.longest_ready:.2f} s" if self.longest_ready else "-",
            self.writes,
            "-" if self.lost is None else self.lost,
            "-" if self.first_success is None else f"{self.first_success:.2f} s",
        ]
        return "| " + " | ".join(map(str, cells)) + " |"


class Connection:
    """One client's connection: as little work as can be, so that the service's time is measured and not ours."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url)

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._url.host, self._url.port)

    async def request(self, method: str, path: str, bearer: str, body: dict[str, Any] | None) -> httpx.Response:
        """Send a request and return its answer."""
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: todo\r\nAuthorization: Bearer {bearer}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + content)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines) if name]
        length = next((int(value) for name, value in headers if name == "content-length"), 0)
        received = await self._reader.readexactly(length)
        request = httpx.Request(method, self._url.join(path))
        return httpx.Response(int(status.split()[1]), headers=headers, content=received, request=request)

    async def hang_up(self, unfinished: str) -> None:
        """Send what is no whole request, and hang up in the middle of it."""
        self._writer.write(unfinished.encode())
        await self._writer.drain()
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Clients:
    """So many people who each create, complete, list and delete tasks without a pause, until they are stopped."""

    def __init__(self, url: str, tally: Tally, count: int, *, only_create: bool = False, pause: float = 0) -> None:
        self._url, self._tally, self._count, self._only_create = url, tally, count, only_create
        self._pause = pause
        self._going = True

    async def __aenter__(self) -> "Clients":
        self._tasks = [asyncio.create_task(self._client(place)) for place in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._going = False
        await asyncio.gather(*self._tasks)

    async def _client(self, place: int) -> None:
        connection = Connection(self._url)
        await connection.open()
        try:
            await self._work(place, partial(self._ask, connection, token(f"client-{place}")))
        finally:
            connection.close()

    async def _work(self, place: int, ask: Callable[..., Awaitable[dict[str, Any] | None]]) -> None:
        user, turn, tally = f"client-{place}", 0, self._tally
        path = f"/api/{user}/tasks"
        while self._going:
            turn += 1
            made = await ask("POST", path, {"title": f"{user} {turn}"})
            if made is None:
                continue
            self._wrote(made)
            if self._only_create:
                continue
            await ask("GET", path + "?limit=20")
            one = f"{path}/{made['id']}"
            tally.unsure.add(made["id"])
            changed = await ask("PATCH", one, {"complete": True})
            if changed is not None:
                tally.unsure.discard(made["id"])
                self._wrote(changed)
            await ask("GET", one)
            if turn % 3 == 0:
                del tally.created[made["id"]]
                if await ask("DELETE", one) is not None:
                    tally.writes += 1
                    tally.deleted.add(made["id"])

    def _wrote(self, task: dict[str, Any]) -> None:
        self._tally.writes += 1
        self._tally.created[task["id"]] = task

    async def _ask(
        self, connection: Connection, bearer: str, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        await asyncio.sleep(self._pause)
        self._tally.sent += 1
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            answer = await connection.request(method, path, bearer, body)
        self._tally.note(answer, began)
        if answer.status_code >= 400:
            return None
        return answer.json() if answer.content else {}


async def balancer(url: str, tally: Tally, stop: asyncio.Event) -> None:
    """Ask ten times a second whether the process is up, and whether it is ready."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:

        async def up() -> None:
            while not stop.is_set():
                began = time.monotonic()
                assert (await http.get("/health")).status_code == 200
                tally.longest_health = max(tally.longest_health, time.monotonic() - began)
                await asyncio.sleep(0.1)

        async def ready() -> None:
            while not stop.is_set():
                began = time.monotonic()
                tally.ready[(await http.get("/health/ready")).status_code] += 1
                tally.longest_ready = max(tally.longest_ready, time.monotonic() - began)
                await asyncio.sleep(0.1)

        await asyncio.gather(up(), ready())


async def ordeal(
    url: str, tally: Tally, fault: Callable[[], Awaitable[Any]], mend: Callable[[], Awaitable[Any]], seconds: float
) -> None:
    """Let 32 clients work, break something, mend it after so many seconds, and let them go on for a while."""
    stop = asyncio.Event()
    balancing = asyncio.create_task(balancer(url, tally, stop))
    async with Clients(url, tally, 32):
        await asyncio.sleep(1.5)
        await fault()
        await asyncio.sleep(seconds)
        await mend()
        tally.mend()
        await asyncio.sleep(2)
    stop.set()
    await balancing


class HalfOpen:
    """A network between service and database that can lose what is sent, with nobody the wiser."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._writers: list[asyncio.StreamWriter] = []
        self._cut: list[asyncio.Event] = []
        self.port = 0

    async def __aenter__(self) -> "HalfOpen":
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    @property
    def connections(self) -> int:
        """How many were made so far."""
        return len(self._cut)

    def cut(self) -> None:
        """From now on nothing gets through on the connections that there are; new ones are well."""
        for connection in self._cut:
            connection.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._socket)
        self._writers += [writer, back]
        cut = asyncio.Event()
        self._cut.append(cut)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if not cut.is_set():
                    sink.write(data)
            if not cut.is_set():
                sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)
