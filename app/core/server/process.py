"""What a process sets up once, whichever server runs the application: log, DNS, garbage collection, its end."""

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread

from app.core.observability.logs import log_as_json, writer

GC_THRESHOLD = 20_000
"""New objects before the next collection (Python: 700); a request allocates hundreds of objects, few of them cyclic."""

RESOLVER = "timeout:1 attempts:2"
"""glibc's options for DNS: by its own, a look-up takes up to 10 s for each silent server, and a stop waits for it."""


@contextmanager
def set_up_process() -> Iterator[None]:
    """Set up the process; afterwards its garbage is collected as before."""
    log_as_json()
    os.environ.setdefault("RES_OPTIONS", RESOLVER)
    if parent := parent_process():  # this is one of several processes
        Thread(target=_end_with, args=[parent], daemon=True).start()
    before = gc.get_threshold()
    # what the start has made stays: going through it at each collection took a tenth of a request's time
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        writer.flush()


def _end_with(parent: BaseProcess) -> None:
    """End this process when the one that started it is gone: it would keep the port for good."""
    parent.join()
    signal.raise_signal(signal.SIGTERM)
