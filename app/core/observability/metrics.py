"""The metrics, in Prometheus's text format, and where they are served."""

import os
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from app.core.auth.tokens import Verifier
from app.core.database.pool import Pool
from app.core.observability.logs import writer

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""The methods that are labels of their own; all others are one, because a caller can make up many."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The application's metrics; labels have few values: a route's template, never a path or a user."""

    def __init__(self, pool: Pool, verifier: Verifier) -> None:
        self.registry = CollectorRegistry()
        own = None if "PROMETHEUS_MULTIPROC_DIR" in os.environ else self.registry
        if own is None:  # each process writes to files there, and tells the sums of all
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        labels = ["method", "endpoint", "status"]
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to answer", labels, registry=own, buckets=BUCKETS
        )
        self._requests = Counter("http_requests", "Requests", labels, registry=own)
        self._errors = Counter(
            "http_errors", "Errors, by code", [*labels, "error_code"], registry=own
        )
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._pool, self._verifier = pool, verifier
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures that are read only when they are scraped."""
        yield GaugeMetricFamily(
            "database_pool_size", "Connections that the pool may have", self._pool.size
        )
        yield GaugeMetricFamily(
            "database_connections_idle", "Connections that nobody uses", self._pool.idle
        )
        taken = "Slots taken by a statement or by connecting"
        yield GaugeMetricFamily("database_connections_in_use", taken, self._pool.in_use)
        yield CounterMetricFamily(
            "log_lines_dropped", "Lines that could not be written to stdout", writer.dropped
        )
        for name, cache in {"verified_token": self._verifier, "key": self._verifier.keys}.items():
            if cache:
                yield CounterMetricFamily(
                    f"{name}_cache_hits", "Look-ups that found it", cache.hits
                )
                yield CounterMetricFamily(
                    f"{name}_cache_misses", "Look-ups that did not", cache.misses
                )

    def count(
        self, method: str, endpoint: str, status: int, error_code: str | None, seconds: float
    ) -> None:
        """Count one request; finding a labelled child is slow, so each is found once."""
        key = (method if method in METHODS else "other", endpoint, status)
        if key not in self._children:
            self._children[key] = (self._requests.labels(*key), self._seconds.labels(*key))
        requests, duration = self._children[key]
        requests.inc()
        duration.observe(seconds)
        if error_code:
            self._errors.labels(*key, error_code).inc()


def create_router(metrics: Metrics) -> APIRouter:
    """Return the route `/metrics`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def scrape() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
