"""What the faults share: a tally for each, and the table of them all at the end."""

from collections.abc import Iterator

import pytest

from tests.faults.clients import Tally
from tests.support.cluster import Cluster

TALLIES: list[Tally] = []
SUMMARY: list[str] = []
"""Lines of other tables."""


@pytest.fixture
def tally() -> Iterator[Tally]:
    """What this fault's clients saw, for the table."""
    tally = Tally()
    yield tally
    if tally.fault:
        TALLIES.append(tally)


@pytest.fixture(autouse=True)
def _mended(cluster: Cluster) -> Iterator[None]:
    """After a fault that its test did not mend, the next one finds a running database."""
    yield
    cluster.start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if TALLIES:
        terminalreporter.write_sep("=", "faults")
        for line in [Tally.HEAD, *[tally.line() for tally in TALLIES]]:
            terminalreporter.write_line(line)
    for line in SUMMARY:
        terminalreporter.write_line(line)
