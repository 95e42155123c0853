"""The log of a served process whose stdout is stuck or broken."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from app.core.observability.logs import LINES_MAX
from tests.support.clock import PATIENCE, allowed
from tests.support.cluster import Cluster
from tests.support.processes import Run
from tests.support.service import SECRET


def ask(port: int, count: int) -> None:
    """Ask for /health so often, on one connection, and read the answers."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection,
        connection.makefile("rb") as answers,
    ):
        for _ in range(count // 16):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 16)
            for _ in range(16):
                while answers.readline() != b"\r\n":
                    pass
                assert answers.read(15) == b'{"status":"ok"}'


def test_a_log_that_nobody_reads_stops_nothing(cluster: Cluster, folder: Path, serve: Callable[..., Run]) -> None:
    """A full pipe: the service answers, drops what is too much, says how much that was, and ends on SIGTERM."""
    run = serve(folder, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET).wait_until_up()
    out, port = run.process.stdout, httpx.URL(run.url).port
    assert out
    assert port
    asked = (LINES_MAX * 3 // 2) // 16 * 16
    ask(port, asked)
    answer = httpx.get(run.url + "/health")
    assert answer.elapsed.total_seconds() < allowed(1)
    samples = httpx.get(run.url + "/metrics").text
    dropped = float(re.findall(r"^log_lines_dropped_total (\S+)$", samples, re.MULTILINE)[0])
    assert dropped > LINES_MAX // 8
    written = []
    while "dropped" not in (line := json.loads(out.readline())).get("message", ""):
        written.append(line)
    assert (
        line["message"] == f"{asked + 3 - len(written)} lines of this log were dropped: stdout could not be written to."
    )
    assert {line["status"] for line in written} == {200}
    ask(port, 16)
    assert [json.loads(out.readline())["endpoint"] for _ in range(16)] == ["/health"] * 16
    ask(port, LINES_MAX // 16 * 16)
    run.process.terminate()
    assert run.process.wait(timeout=allowed(8)) == 0
    assert "Traceback" not in run.process.communicate()[1]


def test_a_log_that_nobody_can_read_costs_nothing(cluster: Cluster, folder: Path, serve: Callable[..., Run]) -> None:
    """The reader has ended: no traceback for each request, and the exit status is that of a good end."""
    run = serve(folder, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET).wait_until_up()
    assert run.process.stdout
    run.process.stdout.close()
    for _ in range(20):
        assert httpx.get(run.url + "/health").status_code == 200
    run.process.terminate()
    assert run.process.wait(timeout=allowed(8)) == 0
    assert "Error" not in run.process.communicate()[1]
