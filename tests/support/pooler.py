"""PgBouncer in transaction mode, in front of a cluster: Neon's pooled endpoint is one."""

import getpass
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from tests.support.clock import PATIENCE, wait_until
from tests.support.cluster import Cluster
from tests.support.processes import free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
CONFIGURATION = """
[databases]
postgres = host={host} dbname=postgres user=postgres pool_size=20
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
admin_users = postgres
pool_mode = transaction
max_client_conn = 500
# seconds: how long it refuses everybody after the server could not be reached; 15 unless told
server_login_retry = 0.1
"""


class Pooler:
    """A running PgBouncer."""

    def __init__(self, port: int) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._console = f"postgresql://postgres@127.0.0.1:{port}/pgbouncer"

    def wait(self) -> None:
        """Wait until it can reach its server: for `server_login_retry` after a failure, it refuses everybody."""
        wait_until(self._reaches_its_server)

    def _reaches_its_server(self) -> bool:
        try:
            with (
                closing(psycopg2.connect(self.url, application_name="tests")) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def show(self, what: str) -> list[dict[str, Any]]:
        """What its own console tells."""
        with closing(psycopg2.connect(self._console)) as console:
            console.autocommit = True
            with console.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(f"SHOW {what}")
                return [dict(row) for row in cursor.fetchall()]

    def queries(self) -> int:
        """How many queries it has passed on to the service's database."""
        return sum(int(row["total_query_count"]) for row in self.show("STATS") if row["database"] == "postgres")


@contextmanager
def running_pooler(cluster: Cluster) -> Iterator[Pooler]:
    """Run PgBouncer on a free port of this machine."""
    assert PROGRAM, "pgbouncer is not installed"
    folder = Path(tempfile.mkdtemp(prefix="todo-api-"))
    folder.chmod(0o755)
    port = free_port()
    configuration, users = folder / "pgbouncer.ini", folder / "users"
    users.write_text('"postgres" ""\n')
    configuration.write_text(CONFIGURATION.format(host=cluster.socket.parent, port=port, users=users))
    # It refuses to run as root; the cluster's own user may use the cluster's socket. With root's group beside it, it
    # would not: the way there is open to others, and closed to that group.
    identity: dict[str, Any] = {}
    if getpass.getuser() == "root":
        identity = {"user": cluster.socket.owner(), "group": cluster.socket.group(), "extra_groups": []}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([PROGRAM, configuration], stdout=log, stderr=log, **identity)  # noqa: S603 - our own
    pooler = Pooler(port)
    try:
        while True:
            try:
                pooler.show("VERSION")
                break
            except psycopg2.OperationalError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        cluster.noticed = pooler.wait
        yield pooler
    finally:
        cluster.noticed = lambda: None
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(folder)
