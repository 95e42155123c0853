"""The log's writer in this process; tests/check/test_log.py has a served process whose stdout is stuck or broken."""

import json
import logging
import time
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from app.core.observability import logs
from app.core.observability.logs import LINES_MAX, Writer
from tests.support.clock import PATIENCE, allowed, wait_until


class Stdout:
    """A raw stdout that takes nothing until it is released, and may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stuck, self.released = Event(), Event()
        self.written: list[bytes] = []
        self.failure: Exception | None = None
        monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=SimpleNamespace(raw=self)))

    def write(self, data: bytes) -> int:
        """Take the data."""
        self.stuck.set()
        assert self.released.wait(PATIENCE)
        if self.failure:
            raise self.failure
        self.written.append(data)
        return len(data)

    @property
    def lines(self) -> list[bytes]:
        """What has been written."""
        return b"".join(self.written).splitlines()


def flushed_in(writer: Writer) -> float:
    """Flush; how many seconds that took."""
    began = time.monotonic()
    writer.flush()
    return time.monotonic() - began


def test_lines_for_a_stuck_stdout_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond those that may wait; what was dropped is reported once, behind what was not."""
    stdout, writer = Stdout(monkeypatch), Writer()
    writer.start()
    writer.write("first\n")
    assert stdout.stuck.wait(PATIENCE)
    for number in range(LINES_MAX + 5):
        writer.write(f"{number}\n")
    assert writer.dropped == 5
    stdout.released.set()
    wait_until(lambda: len(stdout.lines) == LINES_MAX + 2)
    assert stdout.lines[:-1] == [b"first", *(b"%d" % number for number in range(LINES_MAX))]
    report = "5 lines of this log were dropped: stdout could not be written to."
    assert json.loads(stdout.lines[-1])["message"] == report
    writer.write("last\n")
    wait_until(writer.is_idle)
    assert stdout.lines[LINES_MAX + 2 :] == [b"last"]


@pytest.mark.parametrize("failure", [OSError("no reader"), ValueError("closed"), AttributeError("not there")])
def test_what_a_broken_stdout_does_not_take_is_dropped(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """And reported once it can be; the thread goes on."""
    stdout, writer = Stdout(monkeypatch), Writer()
    stdout.released.set()
    stdout.failure = failure
    writer.start()
    writer.write("lost\n")
    wait_until(lambda: writer.dropped == 1)
    stdout.failure = None
    writer.write("kept\n")
    wait_until(lambda: len(stdout.lines) == 2)
    assert stdout.lines[0] == b"kept"
    assert json.loads(stdout.lines[1])["message"].startswith("1 lines of this log were dropped")


class Hesitating(Writer):
    """A writer that is slow to count: another thread may count between its reading and its writing."""

    count = 0

    @property
    def dropped(self) -> int:
        """How many lines were dropped, some time ago."""
        count = self.count
        time.sleep(0.001)
        return count

    @dropped.setter
    def dropped(self, value: int) -> None:
        self.count = value


def test_no_dropped_line_is_missed_where_two_threads_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """One drops the lines that may not wait, the other those that stdout does not take."""
    monkeypatch.setattr(logs, "LINES_MAX", 1)
    writer = Hesitating()
    writer.write("waiting\n")

    def drop_twenty() -> None:
        for _ in range(20):
            writer.write("x\n")

    threads = [Thread(target=drop_twenty) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.dropped == 40


def test_a_flush_waits_for_what_is_on_its_way_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that wait, and those that are being written; the process must be able to end."""
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.1)
    stdout, writer = Stdout(monkeypatch), Writer()
    assert writer._thread.daemon
    assert flushed_in(writer) < allowed(0.1)
    writer.write("waiting\n")
    assert flushed_in(writer) >= 0.1
    writer.start()
    assert stdout.stuck.wait(PATIENCE)
    assert writer._lines.empty()
    assert flushed_in(writer) >= 0.1
    stdout.released.set()
    wait_until(lambda: stdout.lines == [b"waiting"])


def test_a_librarys_warning_is_a_line_without_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments are in the message."""
    lines: list[str] = []
    monkeypatch.setattr(logs, "writer", SimpleNamespace(write=lines.append))
    record = {"name": "some.library", "levelname": "WARNING", "msg": "It is %s", "args": ("late",)}
    logs.JsonLines().handle(logging.makeLogRecord(record))
    line = json.loads(lines[0])
    del line["time"]
    assert line == {"level": "WARNING", "logger": "some.library", "message": "It is late"}


def failing(cause: Exception | None) -> ValueError:
    """An exception that was raised while another one was handled, with this cause."""
    failure = ValueError("sesame")
    failure.__cause__, failure.__context__ = cause, KeyError("sesame")
    return failure


def test_a_trace_has_the_types_of_all_causes_and_no_message() -> None:
    """The cause that was named, or else what was being handled; a message may hold what a user wrote."""
    assert logs.traceback_lines(failing(OSError("sesame"))) == ["ValueError", "OSError"]
    assert logs.traceback_lines(failing(None)) == ["ValueError", "KeyError"]


def test_a_trace_ends_where_causes_go_round() -> None:
    """`raise failure from failure` is a mistake of somebody's; the request's line is written all the same."""
    failure = ValueError("sesame")
    failure.__cause__ = failure
    assert logs.traceback_lines(failure) == ["ValueError"]
    first, second = ValueError("sesame"), KeyError("sesame")
    first.__cause__, second.__cause__ = second, first
    assert logs.traceback_lines(first) == ["ValueError", "KeyError"]
