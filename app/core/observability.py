"""What an operator sees of a request: its id in the answer, one JSON line on stdout, and its share of the metrics."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from random import getrandbits
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.auth import Verifier
from app.core.database import Pool, start_clock
from app.core.settings import Settings

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ANSWERING = 0.1
"""The share of the request's time that is kept for the answer, after the database was given up."""
HUNG_UP = 499
"""The status in the log where the client did not wait for its answer (nginx's number; RFC 9110 has none)."""
API_HEADERS = [(b"cache-control", b"private, no-cache"), (b"x-content-type-options", b"nosniff")]
HSTS = (b"strict-transport-security", b"max-age=31536000")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The application's metrics; labels stay few: a route's template, never a path or a user."""

    def __init__(self, pool: Pool, verifier: Verifier) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "endpoint", "status"]
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to answer", labels, registry=self.registry, buckets=BUCKETS
        )
        self._requests = Counter("http_requests", "Requests", labels, registry=self.registry)
        self._errors = Counter("http_errors", "Errors, by code", [*labels, "error_code"], registry=self.registry)
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._pool, self._verifier = pool, verifier
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Tell the figures that are read only when they are asked for."""
        yield GaugeMetricFamily("database_pool_size", "Connections that the pool may have", self._pool.size)
        yield GaugeMetricFamily("database_connections_idle", "Connections that nobody uses", self._pool.idle)
        taken = "Places taken by a statement or by connecting"
        yield GaugeMetricFamily("database_connections_in_use", taken, self._pool.in_use)
        for name, cache in {"verified_token": self._verifier, "key": self._verifier.keys}.items():
            if cache:
                yield CounterMetricFamily(f"{name}_cache_hits", "Look-ups that found it", cache.hits)
                yield CounterMetricFamily(f"{name}_cache_misses", "Look-ups that did not", cache.misses)

    def count(self, method: str, endpoint: str, status: int, error_code: str | None, seconds: float) -> None:
        """Count one request; finding a labelled child is dear, so each is found once."""
        key = (method, endpoint, status)
        if key not in self._children:
            self._children[key] = (self._requests.labels(*key), self._seconds.labels(*key))
        requests, duration = self._children[key]
        requests.inc()
        duration.observe(seconds)
        if error_code:
            self._errors.labels(*key, error_code).inc()


router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Tell the metrics in Prometheus's text format."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


class Observability:
    """The outermost layer: what it adds, every answer carries, and what it writes, every request leaves."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._seconds = settings.request_timeout * (1 - ANSWERING)
        self._always = [HSTS] if settings.production else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the request's clock, run the application and note what came of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        start_clock(self._seconds)
        request_id = _request_id(scope)
        headers = [(b"x-request-id", request_id), *self._always]
        if scope["path"].startswith("/api/"):
            headers += API_HEADERS
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = HUNG_UP if _hung_up(receive) else message["status"]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            seconds, state, endpoint = time.perf_counter() - began, scope["state"], _endpoint(scope)
            error_code, exception = state.get("error_code"), state.get("exception")
            self._metrics.count(scope["method"], endpoint or "none", status, error_code, seconds)
            write_line(
                request_id=request_id.decode(),
                user_id=state.get("user_id"),
                method=scope["method"],
                endpoint=endpoint,
                status=status,
                duration_ms=round(seconds * 1000, 2),
                **({"error_code": error_code} if error_code else {}),
                **({"exception": trace(exception)} if exception else {}),
            )


def _hung_up(receive: Receive) -> bool:
    """Whether the client is gone: then the server tells so at once, and else it would wait, which we don't."""
    asking: Any = receive()
    try:
        asking.send(None)
    except StopIteration as told:
        return bool(told.value["type"] == "http.disconnect")
    asking.close()
    return False


def _request_id(scope: Scope) -> bytes:
    """The caller's own id where it can do no harm in a log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%032x" % getrandbits(128)


def _endpoint(scope: Scope) -> str | None:
    """The route's template; a request that was refused before routing is matched here."""
    if "route" in scope:
        return str(scope["route"].path)
    return next((route.path for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE), None)


def write_line(**fields: Any) -> None:
    """Write one line of JSON; what a caller sent can't end it, since JSON escapes line ends."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stdout.write(json.dumps({"time": now, **fields}) + "\n")
    sys.stdout.flush()


def trace(exception: BaseException | None) -> list[str]:
    """Where it happened and what led to it; no messages, since they may hold what a user wrote."""
    if exception is None:
        return []
    here = [*map(str.rstrip, traceback.format_tb(exception.__traceback__)), type(exception).__name__]
    if code := getattr(exception, "pgcode", None):
        here.append(f"SQLSTATE {code}")
    return here + trace(exception.__cause__ or exception.__context__)


class JsonLines(logging.Handler):
    """Whatever libraries log, uvicorn's errors among it, in the same form and stream."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, its exception without its message."""
        exception = record.exc_info[1] if record.exc_info else None
        traced = {"exception": trace(exception)} if exception else {}
        write_line(level=record.levelname, logger=record.name, message=record.getMessage(), **traced)


def log_as_json() -> None:
    """Send warnings and errors of all loggers to stdout as JSON; a request's own line replaces uvicorn's."""
    logging.basicConfig(handlers=[JsonLines()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
