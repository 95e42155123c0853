"""The embedded PostgreSQL: what it is started from, what it never touches, and how it says what is wrong."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from app.core import embedded
from app.core.embedded import EmbeddedPostgres
from app.core.settings import SettingsError
from tests.support.processes import Run, postgres_of, todo_api


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the service."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def migrated(folder: Path, **variables: str) -> str:
    """Start the embedded PostgreSQL for a migration; what the command said on stderr."""
    run = todo_api(folder, "migrate", **variables)
    assert run.returncode == 0, run.stderr
    assert postgres_of(folder / "data") == []
    return run.stderr


def pid_file(folder: Path) -> Path:
    """Where PostgreSQL keeps its process id."""
    return folder / "data" / "postgres" / "postmaster.pid"


def write_pid_file(folder: Path, pid: int) -> None:
    """Leave the file as a crash does: complete, and with a process id that belongs to another process by now."""
    migrated(folder)
    data = pid_file(folder).parent
    pid_file(folder).write_text(f"{pid}\n{data}\n1700000000\n5432\n{data}\n\n  1234 5678\nready   \n")


@pytest.mark.parametrize("command", [["migrate"], ["delete-user", "alice"]])
def test_a_process_id_that_belongs_to_a_stranger_is_stale(
    folder: Path, command: list[str], stranger: subprocess.Popen[bytes]
) -> None:
    """After a crash the system may have given the number to anybody, who is left alone."""
    write_pid_file(folder, stranger.pid)
    run = todo_api(folder, *command)
    assert run.returncode == 0, run.stderr
    assert stranger.poll() is None


def test_a_postgresql_with_other_data_is_a_stranger_too(folder: Path, serve: Callable[..., Run]) -> None:
    """It is the data folder that counts, and not the program's name."""
    other = folder / "other"
    other.mkdir()
    serve(other).wait_until_up()
    (postmaster,) = postgres_of(other)
    write_pid_file(folder, postmaster.pid)
    migrated(folder)
    assert postmaster.is_running()
    assert postmaster.status() != psutil.STATUS_ZOMBIE


def test_serve_leaves_a_stranger_alone(
    folder: Path, serve: Callable[..., Run], stranger: subprocess.Popen[bytes]
) -> None:
    """At its start and at its end."""
    write_pid_file(folder, stranger.pid)
    run = serve(folder).wait_until_up()
    assert run.stop(signal.SIGTERM)[0] == 0
    assert stranger.poll() is None


def test_a_broken_process_id_file_is_stale(folder: Path) -> None:
    """A full disk leaves it empty or cut off."""
    migrated(folder)
    for content in ("", "\n", "not a number\n", "123"):
        pid_file(folder).write_text(content)
        migrated(folder)


def test_an_initialization_that_was_cut_off_begins_anew(folder: Path) -> None:
    """Data appear under their name when they are whole; what a kill has left of an attempt is removed."""
    half = folder / "data" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    migrated(folder)
    assert not half.exists()


def test_the_locale_of_the_machine_does_not_matter(folder: Path) -> None:
    """Not even where it is not installed, as with ssh's SendEnv on a minimal image."""
    migrated(folder, LC_ALL="de_DE.UTF-8", LANG="xx_XX")


def test_what_libpq_reads_of_the_environment_does_not_matter(folder: Path) -> None:
    """A developer may have another PostgreSQL's variables set."""
    migrated(folder, PGPORT="5433", PGHOSTADDR="127.0.0.1", PGUSER="nobody", PGDATABASE="nothing", PGPASSWORD="x")


@pytest.mark.parametrize("name", ["Käse & my 'data' \\ %41", 'a,b "c"', "x" * 150])
def test_postgresql_runs_in_any_folder(folder: Path, name: str) -> None:
    """Whatever the path: neither a shell nor a URL reads it, and a socket has a place of its own if it must."""
    server = EmbeddedPostgres(folder / name)
    server.start()
    try:
        connection = psycopg2.connect(server.url)
        assert connection.server_version >= 18_00_00
        connection.close()
    finally:
        server.stop()


def test_a_line_end_in_the_path_is_refused(folder: Path) -> None:
    """PostgreSQL writes its path into files that are read by lines."""
    with pytest.raises(SettingsError, match=r"^DATA_DIR: .* must not contain a line end"):
        EmbeddedPostgres(folder / "a\nb")


def test_the_data_are_their_owners_alone(folder: Path) -> None:
    """The socket too, which lets everybody in who reaches it."""
    server = EmbeddedPostgres(folder / ("x" * 150))
    server.start()
    try:
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    finally:
        server.stop()


def test_what_keeps_postgresql_from_starting_is_one_message(folder: Path) -> None:
    """It ends with PostgreSQL's own words."""
    migrated(folder)
    (folder / "data" / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    run = todo_api(folder, "migrate")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("todo-api: DATA_DIR: PostgreSQL did not start: ")
    assert "no_such_setting" in run.stderr
    assert "Traceback" not in run.stderr


def test_what_keeps_the_data_from_being_made_is_one_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the disk is full; nothing is left of the attempt."""
    monkeypatch.setattr(EmbeddedPostgres, "INITDB_OPTIONS", ("--no-such-option",))
    run = todo_api(folder, "migrate")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("todo-api: DATA_DIR: PostgreSQL's data can't be made: ")
    assert "no-such-option" in run.stderr
    assert list((folder / "data").glob("postgres*")) == []


def test_data_of_another_version_are_refused(folder: Path) -> None:
    """They are not lost: the message says what they are."""
    migrated(folder)
    (folder / "data" / "postgres" / "PG_VERSION").write_text("16\n")
    run = todo_api(folder, "migrate")
    assert run.returncode == 1
    assert "PostgreSQL 16" in run.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="what only root meets")
def test_root_without_a_way_to_add_a_user_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL does not run as root."""
    monkeypatch.setattr("app.core.embedded.SYSTEM_USER", "nobody-of-this-name")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    run = todo_api(folder, "migrate")
    assert run.returncode == 1
    assert "nobody-of-this-name" in run.stderr
    assert "useradd" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_server_that_crashed_is_started_again(folder: Path) -> None:
    """With a new process, on the same data; one that runs is left alone."""
    server = EmbeddedPostgres(folder / "data")
    server.start()
    try:
        first = server.pid
        server.start()
        assert server.pid == first
        assert first is not None
        psutil.Process(first).kill()
        psutil.Process(first).wait(60)
        server.start()
        assert server.pid not in (None, first)
        psycopg2.connect(server.url).close()
    finally:
        server.stop()
    assert server.pid is None
    server.stop()


def test_a_folder_that_is_opened_for_postgresqls_user_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everybody may pass it from then on, so whoever starts as root learns it, once."""
    monkeypatch.setattr(embedded, "_system_user", lambda: {"user": os.getuid(), "group": os.getgid()})
    closed = folder / "closed"
    data = closed / "data"
    data.mkdir(parents=True)
    closed.chmod(0o700)
    programs = folder / "wheel" / "bin"
    programs.mkdir(parents=True)
    server = EmbeddedPostgres(data, programs)
    for told in (f"Every user may pass {closed} now, because PostgreSQL runs as the user pgserver\n", ""):
        server._let_the_system_user_in(data)
        assert capsys.readouterr().err == told
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701


def test_a_link_in_the_place_of_the_log_is_not_followed(folder: Path) -> None:
    """PostgreSQL's user owns its folder, and root would write wherever a link leads."""
    elsewhere = folder / "elsewhere"
    elsewhere.touch()
    server = EmbeddedPostgres(folder / "postgres")
    server.initialize()
    server.log.symlink_to(elsewhere)
    with pytest.raises(SettingsError, match=r"DATA_DIR: .*log can't be written: "):
        server.start()
    assert elsewhere.read_bytes() == b""


def test_a_stop_deletes_nothing_that_a_file_of_postgresqls_names(folder: Path) -> None:
    """Root would delete any folder whose name PostgreSQL's user has written there."""
    keepsake = folder / "elsewhere" / "keepsake"
    keepsake.parent.mkdir()
    keepsake.touch()
    first, second = EmbeddedPostgres(folder / "postgres"), EmbeddedPostgres(folder / "postgres")
    try:
        first.start()
        lines = (first.data / "postmaster.pid").read_text().splitlines()
        lines[4] = str(keepsake.parent)
        (first.data / "postmaster.pid").write_text("\n".join(lines) + "\n")
        second.start()
        second.stop()
    finally:
        first.stop()
    assert keepsake.exists()


def test_no_other_user_can_keep_the_data_locked(folder: Path) -> None:
    """Whoever can open the file can lock it."""
    migrated(folder)
    assert stat.S_IMODE((folder / "data" / "lock").stat().st_mode) == 0o600
