"""What a signal or a closed stream does to a command: each of these starts several."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.processes import TODO_API, Run, postgres_of
from tests.support.service import SECRET

STAGES: dict[str, Callable[[Path], bool]] = {
    "Python starts": lambda _: True,
    "the data's folder is made": lambda folder: (folder / "data").exists(),
    "its files are made": lambda folder: bool(postgres_of(folder)),
    "PostgreSQL starts": lambda folder: (folder / "data" / "postgres" / "postmaster.pid").exists(),
}


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_during_the_start_leaves_nothing_behind(
    folder: Path, serve: Callable[..., Run], stage: str, times: int
) -> None:
    """Whenever it comes, and where somebody loses patience."""
    run = serve(folder)
    while not STAGES[stage](folder):
        assert run.process.poll() is None
        time.sleep(0.01)
    for _ in range(times - 1):
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    run.stop(signal.SIGTERM)
    assert postgres_of(folder) == []


@pytest.mark.parametrize(
    ("closed", "numbers"), [("<&-", [0]), (">&-", [1]), ("2>&-", [2]), ("<&- >&- 2>&-", [0, 1, 2])]
)
def test_closed_streams_stop_nothing(
    cluster: Cluster, folder: Path, serve: Callable[..., Run], closed: str, numbers: list[int]
) -> None:
    """A supervisor may close them; their numbers must not become those of sockets, which uvloop refuses to close."""
    run = serve(
        folder,
        ["bash", "-c", f"exec {' '.join(TODO_API)} serve {closed}"],
        DATABASE_URL=cluster.url,
        BETTER_AUTH_SECRET=SECRET,
    ).wait_until_up()
    streams = [Path(f"/proc/{run.process.pid}/fd/{number}").readlink() for number in numbers]
    assert streams == [Path(os.devnull)] * len(numbers)
    status, out, _ = run.stop(signal.SIGTERM)
    assert status == 0
    assert all(line.startswith("{") for line in out.splitlines())
