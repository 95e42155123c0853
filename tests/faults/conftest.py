"""What the faults share: a tally for each, and the table of them all at the end."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.clients import Tally
from tests.support.cluster import Cluster

SUMMARY: list[str] = []
"""Lines of other tables."""


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """What this fault's clients saw, for the table."""
    tally = Tally()
    yield tally
    record_property("tally", tally.line())  # a property also comes from a worker of pytest-xdist


@pytest.fixture(autouse=True)
def _mended(cluster: Cluster) -> Iterator[None]:
    """After a fault that its test did not mend, the next one finds a running database."""
    yield
    cluster.start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    ended = [report for report in terminalreporter.getreports("") if report.when == "teardown"]
    tallies = [line for report in ended for name, line in report.user_properties if name == "tally"]
    table = [Tally.HEAD, *tallies] if tallies else []
    for line in table + SUMMARY:
        terminalreporter.write_line(line)
