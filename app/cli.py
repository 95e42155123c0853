"""`todo-api`: serve, migrate, delete-user, token, openapi."""

import json
import os
import signal
import sys
from argparse import ArgumentParser
from contextlib import closing
from importlib.metadata import version

import psycopg2
from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from app import store
from app.core import development
from app.core.database.dsn import connect
from app.core.server import run as server
from app.core.settings import Settings, SettingsError, load
from app.main import create_app
from app.migrations import upgrade


def main() -> None:
    """Run the command that the arguments name; a problem is one message on stderr and exit status 1."""
    server.open_standard_streams()
    if (
        os.getpid() == 1
    ):  # a container's first process: the kernel drops signals that it does not handle
        server.end_in_order()
    parser = ArgumentParser(
        prog="todo-api", description="The REST backend of a multi-user todo application."
    )
    parser.add_argument("--version", action="version", version=f"todo-api {version('todo-api')}")
    commands = parser.add_subparsers(required=True)
    for run in (serve, migrate, delete_user, token, openapi):
        one = commands.add_parser(
            run.__name__.replace("_", "-"), help=run.__doc__, description=run.__doc__
        )
        one.set_defaults(run=run)
        if run in (token, delete_user):
            one.add_argument("user", help="any id")
        if run is serve:
            one.add_argument(
                "--migrate",
                action="store_true",
                help="bring the database's tables up to date first",
            )
    arguments = vars(parser.parse_args())
    try:
        arguments.pop("run")(load(), **arguments)
    except (OSError, SettingsError) as problem:
        sys.exit(f"todo-api: {problem}")
    except (CommandError, DBAPIError, psycopg2.Error) as failure:
        cause = getattr(failure, "orig", failure)
        sys.exit(f"todo-api: the database failed: {str(cause).strip() or type(cause).__name__}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def serve(settings: Settings, migrate: bool) -> None:
    """Serve the API until a signal; without DATABASE_URL on the embedded PostgreSQL, its tables up to date.

    While the database is away it serves errors; on a signal it ends within REQUEST_TIMEOUT and a second.
    """
    with development.database_or_embedded(settings) as url:
        if migrate or settings.database_url is None:
            upgrade(url)
        # from where each process reads its settings
        os.environ |= {
            "DATABASE_URL": url,
            "BETTER_AUTH_SECRET": development.shared_secret(settings) or "",
        }
        complete = load()
        print(*server.greeting(complete), sep="\n", file=sys.stderr)
        if complete.secret and not complete.production:
            print("A token for Alice: .venv/bin/todo-api token alice", file=sys.stderr)
        server.run("app.main:app", complete)


def migrate(settings: Settings) -> None:
    """Bring the database's tables up to date."""
    with development.database_or_embedded(settings) as url:
        upgrade(url)


def delete_user(settings: Settings, user: str) -> None:
    """Delete everything that is stored of a user, for an account that is closed."""
    with (
        development.database_or_embedded(settings) as url,
        closing(connect(url, application_name="todo-api")) as connection,
    ):
        cursor = connection.cursor()
        for table, query in store.delete_user(user).items():
            cursor.execute(query.sql, query.params)
            print(table, "rows deleted:", *cursor.fetchone())
        connection.commit()


def token(settings: Settings, user: str) -> None:
    """Print a token for a user, for trying the API out, as Better Auth would sign it with the shared secret."""
    print(development.token(settings, user))


def openapi(settings: Settings) -> None:
    """Print the OpenAPI document; no database is needed."""
    app = create_app(settings.model_copy(update={"database_url": SecretStr("postgresql://")}))
    print(json.dumps(app.openapi(), indent=2, ensure_ascii=False))
