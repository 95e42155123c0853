"""What a process has once, whichever server runs it: log, DNS, garbage collection."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from app.core.observability.logs import log_as_json, writer
from app.core.observability.metrics import Metrics

GC_THRESHOLD = 20_000
"""New objects before the next collection (Python's default: 700, or 2,000 since 3.13).

A request allocates hundreds of objects, few of them cyclic.
"""

RESOLVER = "timeout:1 attempts:2"
"""Options for DNS, for glibc's resolver.

With glibc's defaults, a look-up takes up to 10 s for each silent server, and a stop waits for it.
"""


class LifespanState(TypedDict):
    """What the application's lifespan yields to the server, which answers some requests itself."""

    headers: list[tuple[bytes, bytes]]
    """Headers of each of those answers."""
    metrics: Metrics
    """Where they are counted."""


@contextmanager
def set_up_process() -> Iterator[None]:
    """Set up the process; afterwards its garbage is collected as before, and its log is written."""
    log_as_json()
    os.environ.setdefault("RES_OPTIONS", RESOLVER)
    threshold_before = gc.get_threshold()
    # Objects made at start-up live as long as the process. Freezing keeps the collector from
    # scanning them, which took a tenth of a request's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*threshold_before)
        gc.unfreeze()
        writer.flush()
