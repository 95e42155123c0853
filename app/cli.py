"""`todo-api`: serve, migrate, delete-user, token, openapi."""

import asyncio
import json
import math
import os
import secrets
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import jwt
import uvicorn
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from app import queries
from app.core.auth import is_user_id
from app.core.connection import unreachable
from app.core.database import Pool
from app.core.deadline import set_deadline
from app.core.embedded import postgres
from app.core.errors import DatabaseError
from app.core.protocol import Protocol
from app.core.settings import Settings, SettingsError, load
from app.main import create_app

TOKEN_SECONDS = 24 * 3600
DELETION_SECONDS = 3600


def main() -> None:
    """Run the command that the arguments name; a problem is one message on stderr and exit status 1."""
    parser = ArgumentParser(prog="todo-api", description="The REST backend of a multi-user todo application.")
    commands = parser.add_subparsers(required=True)
    for run in (serve, migrate, delete_user, token, openapi):
        one = commands.add_parser(run.__name__.replace("_", "-"), help=run.__doc__, description=run.__doc__)
        one.set_defaults(run=run)
        if run in (token, delete_user):
            one.add_argument("user", help="any id")
    arguments = vars(parser.parse_args())
    try:
        arguments.pop("run")(load(), **arguments)
    except SettingsError as problem:
        sys.exit(f"todo-api: {problem}")
    except (DatabaseError, DBAPIError) as failure:
        cause = getattr(failure, "orig", None) or failure.__cause__ or failure
        sys.exit(f"todo-api: the database failed: {str(cause).strip() or type(cause).__name__}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


class Terminated(SystemExit):
    """Raised on SIGTERM, so that context managers stop what they started."""


def _terminate(signal_number: int, _frame: object) -> NoReturn:
    raise Terminated(128 + signal_number)


def _end_in_order() -> None:
    """Install the handlers of SIGTERM and SIGHUP. Before this call SIGTERM ends the process, even inside libpq."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        # uvicorn handles SIGTERM, and not this one
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def serve(settings: Settings) -> None:
    """Serve the API until a signal; without DATABASE_URL on the embedded PostgreSQL, its tables up to date.

    While the database is away it serves errors; on a signal it ends within REQUEST_TIMEOUT and a second.
    """
    with _database(_with_secret(settings)) as complete:
        if settings.database_url is None:
            upgrade(complete.database_dsn)
        print(f"Todo API: http://{settings.host}:{settings.port}/docs", *greeting(complete), sep="\n", file=sys.stderr)
        if complete.secret and not settings.production:
            print("A token for Alice: .venv/bin/todo-api token alice", file=sys.stderr)
        app = create_app(complete)
        _end_in_order()
        # uvicorn shuts down on a signal and then raises it again; it has done what was asked by then
        with suppress(Terminated):
            uvicorn.run(
                app,
                http=Protocol,
                host=settings.host,
                port=settings.port,
                log_config=None,  # the lifespan sets the log up
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=math.ceil(settings.request_timeout),
            )


def greeting(settings: Settings) -> list[str]:
    """Whose tokens and whose pages the service accepts, one line for each."""
    hs256 = "HS256 under BETTER_AUTH_SECRET, or development's own secret"
    issuers = {f"keys from {settings.jwks_url}": settings.auth_origin, hs256: "any" if settings.secret else None}
    tokens = [
        f"Tokens: {keys}; iss {settings.jwt_issuer or issuer}, aud {settings.jwt_audience or issuer}"
        for keys, issuer in issuers.items()
        if issuer
    ]
    return [*tokens, f"Pages: {', '.join(settings.allowed_origins) or 'none on another origin'} (CORS_ORIGINS)"]


def migrate(settings: Settings) -> None:
    """Bring the database's tables up to date."""
    with _database(settings) as complete:
        upgrade(complete.database_dsn)


def delete_user(settings: Settings, user: str) -> None:
    """Delete everything that is stored of a user, for an account that is closed."""

    async def delete() -> None:
        set_deadline(DELETION_SECONDS)
        for table, query in queries.delete_user(user).items():
            print(table, "rows deleted:", *await pool.fetch(query) or ())

    with _database(settings) as complete, closing(Pool(complete.database_dsn, 1)) as pool:
        asyncio.run(delete())


def openapi(settings: Settings) -> None:
    """Print the OpenAPI document; no database is needed."""
    app = create_app(settings.model_copy(update={"database_url": SecretStr("postgresql://")}))
    print(json.dumps(app.openapi(), indent=2, ensure_ascii=False))


def token(settings: Settings, user: str) -> None:
    """Print a token for a user, for trying the API out, as Better Auth would sign it with the shared secret."""
    if settings.production:
        raise SettingsError("ENVIRONMENT is production: tokens come from Better Auth there")
    if not is_user_id(user):
        raise SettingsError("a user's id has 1 to 255 characters, none of them a control character or /")
    secret = _with_secret(settings).secret
    if secret is None:
        raise SettingsError("BETTER_AUTH_SECRET is missing: with BETTER_AUTH_URL alone, tokens come from Better Auth")
    now = int(time.time())
    claims = {"sub": user, "user_id": user, "email": f"{user}@example.com", "iat": now, "exp": now + TOKEN_SECONDS}
    named = {"iss": settings.jwt_issuer, "aud": settings.jwt_audience}
    print(jwt.encode(claims | {name: value for name, value in named.items() if value}, secret, algorithm="HS256"))


def upgrade(url: str) -> None:
    """Run all migrations; the configuration is built here, because an installed package has no pyproject."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    command.upgrade(config, "head")


@contextmanager
def _database(settings: Settings) -> Iterator[Settings]:
    """The settings with a database: the configured one, or the embedded one, running."""
    if settings.database_url is not None:
        if reason := unreachable(settings.database_dsn):
            print(f"todo-api: the database can't be reached yet: {reason}", file=sys.stderr)
        yield settings
        return
    _end_in_order()  # the embedded PostgreSQL has to be stopped
    with postgres(settings.data_dir) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


def _with_secret(settings: Settings) -> Settings:
    """The settings with an auth mode: in development, if none is configured, a secret of its own."""
    if settings.production or settings.better_auth_secret or settings.better_auth_url:
        return settings
    return settings.model_copy(update={"better_auth_secret": SecretStr(_own_secret(settings.data_dir))})


def _own_secret(data_dir: Path) -> str:
    """Development's secret: made once, and readable by its owner alone."""
    path = data_dir / "secret"
    data_dir.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
        new.write(secrets.token_urlsafe(32))
    return path.read_text()
