"""A PostgreSQL of the tests' own, which they may stop, crash and start again."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import psutil
from sqlalchemy import URL, create_engine, make_url, text

from app.core.embedded import EmbeddedPostgres
from app.migrations import upgrade
from tests.support.clock import PATIENCE, wait_until


class Cluster:
    """A running server with the service's tables.

    It does not wait for the disk: a killed process loses nothing that it has handed to the kernel, and what a power
    cut loses can't be shown here either way.
    """

    SETTINGS: ClassVar[str] = "fsync = off\nfull_page_writes = off\n"

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        self._server = EmbeddedPostgres(folder, programs)
        self._server.initialize()
        with (folder / "postgresql.conf").open("a") as configuration:
            configuration.write(self.SETTINGS)
        self._server.start()
        self._disturbed = False
        self.url: str = self._server.url
        self.noticed: Callable[[], None] = lambda: None
        """Waits until whoever stands before the server has noticed that it is back."""
        self.prepare()
        self.engine = create_engine(self._driver_url, pool_pre_ping=True)
        """How a test connects: with SQLAlchemy, apart from the service."""

    def prepare(self) -> None:
        """Make the service's tables."""
        upgrade(self.url)

    @property
    def _driver_url(self) -> URL:
        return make_url(self.url).set(drivername="postgresql+psycopg2")

    @property
    def bin(self) -> Path:
        """The folder of PostgreSQL's own programs."""
        return self._server.programs

    @property
    def log(self) -> Path:
        """The file that the server logs to."""
        return self._server.log

    @property
    def pid(self) -> int:
        """The postmaster's process id; it is running."""
        assert self._server.pid is not None
        return self._server.pid

    @property
    def is_away(self) -> bool:
        """Whether it was stopped, killed or frozen, and not started again."""
        return self._disturbed

    def stop(self) -> None:
        """Shut the server down in order."""
        self.thaw()
        self._disturbed = True
        self._server.stop()

    def start(self) -> None:
        """Start it again, on the same data, or let a frozen one go on; a running one is left alone."""
        if self._disturbed:
            self.thaw()
            self._server.start()
            self.noticed()
            self._disturbed = False

    def wait_until_idle(self) -> None:
        """Wait until nobody's statement is executed: one that was given up may still be, once a lock is free."""
        at_work = text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid()"
        )

        def is_idle() -> bool:
            with self.engine.connect() as connection:
                return bool(connection.execute(at_work).scalar_one() == 0)

        wait_until(is_idle)

    def crash(self) -> None:
        """Kill every process of the server, as a power cut does."""
        killed = self._signal(signal.SIGKILL)
        # through the object that started it, which would otherwise say that it is still running
        if self._server._process is not None:
            self._server._process.wait(PATIENCE)
        psutil.wait_procs(killed, timeout=PATIENCE)

    def freeze(self) -> None:
        """Stop every process of the server where it is: sockets stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on; a running or stopped one is left alone."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        """Send a signal to the postmaster, so that it starts nothing new, and then to its children."""
        self._disturbed = True
        if self._server.pid is None:
            return []
        with suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(self._server.pid)
            postmaster.send_signal(number)
            processes = [postmaster, *postmaster.children(recursive=True)]
            for process in processes[1:]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            return processes
        return []

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return Path(str(make_url(self.url).query["host"]), ".s.PGSQL.5432")

    def log_statements(self) -> None:
        """From now on write down each statement, after the name of the application that sent it."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ALTER SYSTEM SET log_statement = 'all'"))
            connection.execute(text("ALTER SYSTEM SET log_line_prefix = '%a|'"))
            connection.execute(text("SELECT pg_reload_conf()"))


class DurableCluster(Cluster):
    """One that waits for the disk before it confirms a commit, as in production."""

    SETTINGS: ClassVar[str] = ""


@contextmanager
def running_cluster(kind: type[Cluster] = Cluster) -> Iterator[Cluster]:
    """Run a server in a new folder, which goes with it."""
    # not pytest's folder: as root the server makes its parents readable, and pytest takes that back
    folder = Path(tempfile.mkdtemp(prefix="todo-api-"))
    cluster = kind(folder / "postgres")
    try:
        yield cluster
    finally:
        cluster.engine.dispose()
        cluster.stop()
        shutil.rmtree(folder)
