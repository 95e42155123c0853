"""The metrics, in Prometheus's text format, and where they are served."""

import time
from collections.abc import Iterator
from typing import Protocol

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    generate_latest,
    values,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.core.auth.tokens import Verifier
from app.core.database.pool import Pool
from app.core.observability.logs import writer
from app.core.settings import PROGRAM

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""The methods that are labels of their own.

All others are one, because a caller can make up many.
"""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds: the upper bounds of the histogram."""

TEXT_SECONDS = 1.0
"""Seconds for which the text is kept.

To make it takes 9 ms for 80 sets of labels, because prometheus_client checks and escapes the labels
of each of 1,500 lines; and anyone may ask.
"""

# Where somebody has set PROMETHEUS_MULTIPROC_DIR, prometheus_client keeps all values in files
# there; when their disk is full, SIGBUS ends the process. One process needs no files.
values.ValueClass = values.MutexValue


class _Cache(Protocol):
    """A cache with the numbers of its hits and misses."""

    hits: int
    misses: int


class Metrics:
    """The application's metrics.

    Labels have few values: a route's template, never a path or a user.
    """

    def __init__(self, pool: Pool, verifier: Verifier, version: str) -> None:
        self._pool = pool
        self._verifier = verifier
        self._registry = CollectorRegistry()
        self._text = b""
        self._text_expires_at = 0.0
        labels = ["method", "endpoint", "status"]
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer",
            labels,
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._requests = Counter("http_requests", "Requests", labels, registry=self._registry)
        self._errors = Counter(
            "http_errors", "Errors, by code", [*labels, "error_code"], registry=self._registry
        )
        # by method, endpoint and status: finding a labelled child takes long
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        info = Info(PROGRAM.replace("-", "_"), "The version that runs", registry=self._registry)
        info.info({"version": version})
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures that are read when they are scraped: prometheus_client calls this."""
        yield GaugeMetricFamily(
            "database_pool_size", "Connections that the pool may have", self._pool.size
        )
        yield GaugeMetricFamily(
            "database_connections_idle", "Connections that nobody uses", self._pool.idle
        )
        yield GaugeMetricFamily(
            "database_connections_in_use",
            "Slots taken by a statement or by connecting",
            self._pool.in_use,
        )
        yield CounterMetricFamily(
            "log_lines_dropped", "Lines that could not be written to stdout", writer.dropped
        )
        yield from _cache_metrics("verified_token", self._verifier)
        if self._verifier.keys is not None:
            yield from _cache_metrics("key", self._verifier.keys)

    def count(
        self, method: str, endpoint: str, status: int, error_code: str | None, seconds: float
    ) -> None:
        """Count one request that was answered after so many seconds."""
        key = (method if method in METHODS else "other", endpoint, status)
        children = self._children.get(key)
        if children is None:
            children = (self._requests.labels(*key), self._seconds.labels(*key))
            self._children[key] = children
        requests, durations = children
        requests.inc()
        durations.observe(seconds)
        if error_code:
            self._errors.labels(*key, error_code).inc()

    def text(self) -> bytes:
        """Return the metrics in Prometheus's text format, as they were within TEXT_SECONDS."""
        now = time.monotonic()
        if now >= self._text_expires_at:
            self._text = generate_latest(self._registry)
            self._text_expires_at = now + TEXT_SECONDS
        return self._text


def _cache_metrics(name: str, cache: _Cache) -> Iterator[Metric]:
    yield CounterMetricFamily(f"{name}_cache_hits", "Look-ups that found it", cache.hits)
    yield CounterMetricFamily(f"{name}_cache_misses", "Look-ups that did not", cache.misses)


def create_router(metrics: Metrics) -> APIRouter:
    """Return the route `/metrics`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def scrape() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
