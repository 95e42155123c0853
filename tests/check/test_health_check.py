"""The command that a container's health check runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.processes import Run, environment
from tests.support.service import SECRET

COMMAND = [str(Path(sys.executable).parent / "todo-api-health")]


def check(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with this environment."""
    return subprocess.run(  # noqa: S603 - our own
        COMMAND, cwd=folder, env=environment(folder, **variables), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("listening", "addresses"),
    [("0.0.0.0", ["0.0.0.0", "127.0.0.1", "localhost"]), ("::", ["::", "::1"])],  # noqa: S104 - for a moment
)
def test_it_finds_the_service_where_it_listens(
    folder: Path, cluster: Cluster, serve: Callable[..., Run], listening: str, addresses: list[str]
) -> None:
    """Whatever HOST is, and whatever proxy Docker's own configuration sets.

    A service that listens everywhere does so at these addresses too, which saves a start for each.
    """
    run = serve(folder, HOST=listening, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET)
    port = run.url.rpartition(":")[2]
    if listening == "::":
        run.url = f"http://[::1]:{port}"
    run.wait_until_up()
    proxy = "http://127.0.0.1:9"
    for host in addresses:
        healthy = check(folder, HOST=host, PORT=port, http_proxy=proxy, HTTP_PROXY=proxy, ALL_PROXY=proxy)
        assert (healthy.returncode, healthy.stdout, healthy.stderr) == (0, "", ""), host


def test_an_empty_port_is_the_default_one(folder: Path) -> None:
    """As for the service; nobody listens there, or somebody else does."""
    assert "port 8000" in check(folder, PORT="", HOST="127.0.0.9").stderr


def test_a_service_that_is_not_ready_is_unhealthy(folder: Path, serve: Callable[..., Run]) -> None:
    """It is up, and its database is away."""
    run = serve(folder, DATABASE_URL="postgresql://127.0.0.1:1/x", BETTER_AUTH_SECRET=SECRET).wait_until_up()
    assert httpx.get(f"{run.url}/health").status_code == 200
    sick = check(folder, PORT=run.url.rpartition(":")[2])
    assert (sick.returncode, sick.stderr) == (1, "not ready: status 503\n")


def test_settings_that_cant_be_read_are_told(folder: Path) -> None:
    """By the variable's name."""
    assert check(folder, PORT="x").stderr.startswith("PORT: ")
