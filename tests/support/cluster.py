"""A PostgreSQL of the tests' own, which they may stop, crash and start again."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, create_engine, make_url, pool

from app.cli import upgrade
from app.embedded import server_at


class Cluster:
    """A running server with the service's tables."""

    def __init__(self, folder: Path) -> None:
        self._server: Any = server_at(folder)
        self._server.start()
        self.url: str = self._server.get_uri()
        upgrade(self.url)

    @property
    def bin(self) -> Path:
        """The folder of PostgreSQL's own programs."""
        return Path(self._server.bin_path)

    @property
    def log(self) -> Path:
        """The file that the server logs to."""
        return Path(self._server.log)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return int(self._server.get_pid())

    def engine(self) -> Engine:
        """Connect as a test does: with SQLAlchemy, apart from the service, and anew each time."""
        return create_engine(make_url(self.url).set(drivername="postgresql+psycopg2"), poolclass=pool.NullPool)

    def stop(self) -> None:
        """Shut the server down in order."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, on the same data; a running one is left alone."""
        self._server.start()

    def crash(self) -> None:
        """Kill every process of the server, as a power cut does."""
        postmaster = psutil.Process(self.pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a server in a new folder, which goes with it."""
    # not pytest's folder: as root the server makes its parents readable, and pytest takes that back
    folder = Path(tempfile.mkdtemp(prefix="todo-api-"))
    cluster = Cluster(folder / "postgres")
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)
