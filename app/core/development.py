"""What development has instead of a database and Better Auth: PostgreSQL, a secret, tokens."""

import fcntl
import secrets
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.core.auth.tokens import USER_ID_RULE, is_user_id, sign
from app.core.database.dsn import Unreachable, connect
from app.core.server.run import install_signal_handlers
from app.core.settings import PROGRAM, Settings, SettingsError


def database_or_embedded(settings: Settings) -> AbstractContextManager[str]:
    """A context with the URL of the configured database, or else of the embedded one.

    The embedded one runs until the context's end. Raises SettingsError if the URL is wrong. A
    database that is merely away is reported on stderr.
    """
    if settings.database_url is None:
        return running_postgres(settings.data_dir)
    try:
        connect(settings.required_database_url).close()
    except Unreachable as reason:
        print(f"{PROGRAM}: the database can't be reached yet: {reason}", file=sys.stderr)
    return nullcontext(settings.required_database_url)


@contextmanager
def running_postgres(data_dir: Path) -> Iterator[str]:
    """Run PostgreSQL with its data in `data_dir/postgres` and yield its URL; stop it at the end.

    A server that an earlier, killed run has left behind is taken over. Raises SettingsError if
    another process uses this folder, or PostgreSQL does not start.
    """
    try:
        # imported here: it needs the extra `embedded`, which production does without
        from app.core.embedded import EmbeddedPostgres  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "DATABASE_URL is missing, and the extra `embedded` is not installed"
        ) from None
    _make_folder(data_dir)
    lock_file = data_dir / "lock"
    lock_file.touch()
    lock_file.chmod(0o600)  # whoever can open it can lock it
    with lock_file.open("ab") as lock:  # "wb" would empty what a link of someone else leads to
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"DATA_DIR: {data_dir} is in use by another {PROGRAM}") from None
        server = EmbeddedPostgres(data_dir / "postgres")
        # A signal raises KeyboardInterrupt in this thread. In a thread of their own, start and stop
        # are not cut short by it: a server that has half started could not be stopped.
        with ThreadPoolExecutor(1) as thread:
            # The first `submit` makes the executor's thread. A signal that interrupts this could
            # make it start a second one, in which the stop would run beside the start: so it is
            # made before signals are handled.
            thread.submit(lambda: None).result()
            install_signal_handlers()
            try:
                thread.submit(server.start).result()
                yield server.url
            finally:
                thread.submit(server.stop).result()


def shared_secret(settings: Settings) -> str | None:
    """The configured secret.

    In development without an auth mode, it is one that is made once and kept in DATA_DIR, for its
    owner alone.
    """
    if settings.production or settings.better_auth_secret or settings.better_auth_url:
        return settings.secret
    path = settings.data_dir / "secret"
    _make_folder(path.parent)
    if not path.exists():
        _create_once(path, secrets.token_urlsafe(32))
    return path.read_text()


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise SettingsError(f"DATA_DIR: {data_dir} can't be used: {failure.strerror}") from None


def _create_once(path: Path, content: str) -> None:
    """Create the file, mode 0600, unless another process does so at the same time.

    It appears with all of its content or not at all, which opening it exclusively would not do:
    another process could read an empty file.
    """
    # not a NamedTemporaryFile: if the disk is full, closing it fails, and it is left open
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder) / path.name
        new.touch(mode=0o600)
        new.write_text(content)
        with suppress(FileExistsError):
            path.hardlink_to(new)


def token(settings: Settings, user: str) -> str:
    """A user's token for a day, as Better Auth would sign it with the shared secret.

    Raises SettingsError if there is no secret, or if this can't be a user's id.
    """
    if not is_user_id(user):
        raise SettingsError(USER_ID_RULE)
    secret = None if settings.production else shared_secret(settings)
    if secret is None:
        raise SettingsError(
            "tokens come from Better Auth: ENVIRONMENT is production, or BETTER_AUTH_SECRET is"
            " missing"
        )
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "sub": user,
        "user_id": user,
        "email": f"{user}@example.com",
        "iat": now,
        "exp": now + timedelta(days=1),
    }
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience:
        claims["aud"] = settings.jwt_audience
    return sign(claims, secret)
