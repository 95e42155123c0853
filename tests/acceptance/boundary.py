"""Where what the application says and does reaches the scenarios, and where a lie can change it on its way.

The tests' own service passes its application through `at_boundary`, and what it reads of its log through `from_log`.
As long as nobody tells a lie, both give back what they were given.
"""

import asyncio
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import quote

import httpx
from sqlalchemy import Engine, text

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application."""
LogLine = dict[str, Any]

SQL_SECONDS = 5.0
"""How long a lie waits for the database."""
EXCHANGES_MAX = 5000
"""Of one scenario: a lie about a page's link may send a reader round in circles."""


@dataclass
class Request:
    """A request, before the application sees it."""

    method: str
    scheme: str
    path: str
    query: str
    headers: httpx.Headers
    body: bytes

    def copy(self) -> Self:
        """The same, to be compared with what a lie makes of it."""
        return replace(self, headers=self.headers.copy())

    @property
    def json(self) -> Any:
        """The body's JSON, or None where it has none that can be read."""
        return _read_json(self.body)

    @json.setter
    def json(self, value: Any) -> None:
        self.body = json.dumps(value).encode()


@dataclass
class Response:
    """A response, before the scenario sees it."""

    status: int
    headers: httpx.Headers
    body: bytes

    def copy(self) -> Self:
        """The same, to be compared with what a lie makes of it."""
        return replace(self, headers=self.headers.copy())

    @property
    def json(self) -> Any:
        """The body's JSON, or None where it has none that can be read."""
        return _read_json(self.body)

    @json.setter
    def json(self, value: Any) -> None:
        if value != self.json:  # the same in another spelling is no lie
            self.body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@dataclass
class Exchange:
    """A request and its response: what a lie is told about."""

    request: Request
    telling: "Telling" = field(repr=False)
    response: Response = field(default_factory=lambda: Response(0, httpx.Headers(), b""))
    """Once the application has answered."""

    @property
    def memory(self) -> dict[str, Any]:
        """What the lie remembers from one exchange of the scenario to the next."""
        return self.telling.memory

    def sql(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement in the service's database and commit; returns the rows, if it has any.

        A statement that has changed a row is a lie told. Raises TimeoutError after SQL_SECONDS: a scenario may have
        frozen the database, and would wait here for ever.
        """
        if self.telling.engine is None:
            raise RuntimeError("this lie needs a database: override the fixture `lying_engine`")
        thread = ThreadPoolExecutor(1)
        try:
            return thread.submit(self._run, self.telling.engine, statement, parameters).result(SQL_SECONDS)
        finally:
            thread.shutdown(wait=False)

    def _run(self, engine: Engine, statement: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            if result.returns_rows:
                return [dict(row) for row in result.mappings()]
            if result.rowcount > 0:
                self.telling.is_told = True
            return []

    def late(self, seconds: float) -> None:
        """Let the answer come later, by the clock of whoever waits for it."""
        self.telling.clock.seconds += seconds
        self.telling.is_told = True


@dataclass(frozen=True)
class Lie:
    """One way of lying, and the scenarios that must notice it.

    `about_exchange` goes around each exchange: it is entered before the application sees the request, and left before
    the scenario sees the response. `about_log` is given each line of the log, and returns what is read in its place.
    """

    name: str
    sentence: str
    scenarios: tuple[str, ...]
    about_exchange: Callable[[Exchange], AbstractContextManager[None]] | None = None
    about_log: Callable[[LogLine], list[LogLine]] | None = None


def lie(*scenarios: str) -> Callable[[Callable[[Exchange], Any]], Lie]:
    """Make a lie about exchanges of a function; its docstring is the lie's sentence.

    A plain function is called once the application has answered. A generator function is called before that, and the
    application works while it waits in its `yield`. The scenarios are named as they run, with the values of an
    outline's row; an outline's name as it is written stands for all of its rows.
    """

    def make(function: Callable[[Exchange], Any]) -> Lie:
        def after_the_answer(exchange: Exchange) -> Iterator[None]:
            yield
            function(exchange)

        around = function if inspect.isgeneratorfunction(function) else after_the_answer
        return Lie(function.__name__, _sentence(function), scenarios, about_exchange=contextmanager(around))

    return make


def lie_in_log(*scenarios: str) -> Callable[[Callable[[LogLine], list[LogLine]]], Lie]:
    """Make a lie about the log of a function, which returns the lines that are read in the place of one."""

    def make(function: Callable[[LogLine], list[LogLine]]) -> Lie:
        return Lie(function.__name__, _sentence(function), scenarios, about_log=function)

    return make


def _sentence(function: Callable[..., Any]) -> str:
    return inspect.getdoc(function) or function.__name__


def lies_in(module: ModuleType) -> list[Lie]:
    """All lies of a module, in their order."""
    return [value for value in vars(module).values() if isinstance(value, Lie)]


@dataclass
class Clock:
    """The clock of whoever waits for an answer; the application's own goes on as it is."""

    seconds: float = 0.0

    def read(self, original: Callable[[], float]) -> float:
        """Read a clock, moved forward unless it is read in an event loop, where the application is."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return original() + self.seconds
        return original()


@dataclass
class Telling:
    """A lie while it is told in one scenario."""

    lie: Lie
    engine: Engine | None
    memory: dict[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    is_told: bool = False
    """Whether anything was changed."""
    error: Exception | None = None
    """What the lie itself raised, which proves nothing of the scenario."""
    exchanges: int = 0

    async def relay(self, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and let the lie change the request and the response."""
        self.exchanges += 1
        if self.exchanges > EXCHANGES_MAX:
            raise RuntimeError(f"more than {EXCHANGES_MAX} requests in one scenario")
        exchange = Exchange(await _read_request(scope, receive), self)
        honest_request = exchange.request.copy()
        honest_response = exchange.response
        assert self.lie.about_exchange
        try:
            with self.lie.about_exchange(exchange):
                self.is_told |= exchange.request != honest_request
                exchange.response = await _call(app, scope, exchange.request, receive)
                honest_response = exchange.response.copy()
        except Exception as error:
            self.error = error
            raise
        self.is_told |= exchange.response != honest_response
        await _send(exchange.response, send)

    def read_log(self, log: str) -> str:
        """Let the lie change the lines of a log, each a JSON object."""
        assert self.lie.about_log
        read: list[str] = []
        for line in log.splitlines():
            try:
                lines = [json.dumps(changed) for changed in self.lie.about_log(json.loads(line))]
            except Exception as error:
                self.error = error
                raise
            self.is_told |= list(map(json.loads, lines)) != [json.loads(line)]
            read += lines
        return "".join(f"{line}\n" for line in read)


async def _read_request(scope: Scope, receive: Receive) -> Request:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        scheme=scope["scheme"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=httpx.Headers(list(scope["headers"])),
        body=body,
    )


async def _call(app: Application, scope: Scope, request: Request, receive: Receive) -> Response:
    """Give the application the request in one piece, and collect its response."""
    response = Response(0, httpx.Headers(), b"")
    headers = request.headers.copy()
    if "content-length" in headers:
        headers["content-length"] = str(len(request.body))
    changed = {
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "query_string": request.query.encode("latin-1"),
        "headers": _as_pairs(headers),
    }
    if request.path != scope["path"]:
        changed["raw_path"] = quote(request.path).encode()
    is_read = False

    async def receive_changed() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = httpx.Headers(list(message["headers"]))
        else:
            response.body += message.get("body", b"")

    try:
        await app({**scope, **changed}, receive_changed, collect)
    except Exception:
        if response.status == 0:
            raise
    return response


async def _send(response: Response, send: Send) -> None:
    headers = response.headers.copy()
    if "content-length" in headers or response.body:
        headers["content-length"] = str(len(response.body))
    await send({"type": "http.response.start", "status": response.status, "headers": _as_pairs(headers)})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


def _as_pairs(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them: lower case."""
    return [(name.lower(), value) for name, value in headers.raw]


# The lie that is being told, if any

_are_lies_expected = False
_telling: Telling | None = None


def expect_lies(*, expected: bool) -> None:
    """Wrap applications from now on, or no longer: a run without lies meets each as it is."""
    global _are_lies_expected  # noqa: PLW0603 - as for `_telling`
    _are_lies_expected = expected


@contextmanager
def telling(lie: Lie, engine: Engine | None) -> Iterator[Telling]:
    """Tell a lie until the block ends: in every exchange, and in every line of the log."""
    global _telling  # noqa: PLW0603 - the application is made once, and knows nothing of the scenarios
    told = Telling(lie, engine)
    _telling = told
    try:
        with (
            patch.object(time, "monotonic", partial(told.clock.read, time.monotonic)),
            patch.object(time, "perf_counter", partial(told.clock.read, time.perf_counter)),
        ):
            yield told
    finally:
        _telling = None


def at_boundary(app: Application) -> Application:
    """The application as the scenarios meet it: in a run of lies, each exchange passes by the one that is told."""
    if not _are_lies_expected:
        return app

    async def meet(scope: Scope, receive: Receive, send: Send) -> None:
        if _telling is None or _telling.lie.about_exchange is None or scope["type"] != "http":
            await app(scope, receive, send)
        else:
            await _telling.relay(app, scope, receive, send)

    return meet


def from_log(log: str) -> str:
    """Lines of the application's log as the scenarios read them."""
    if _telling is None or _telling.lie.about_log is None:
        return log
    return _telling.read_log(log)
