"""`todo-api`: serve, migrate, delete-user, token, openapi."""

import json
import os
import shlex
import signal
import sys
from argparse import ArgumentParser, Namespace
from contextlib import closing
from importlib.metadata import version

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app import store
from app.core import development
from app.core.auth.egress import egress_to
from app.core.auth.tokens import USER_ID_RULE, is_user_id
from app.core.database.dsn import DriverError, connect
from app.core.server import run as server
from app.core.settings import (
    PROGRAM,
    Settings,
    SettingsError,
    load_settings,
    variables_from_env_file,
    with_sources,
)
from app.main import create_app
from app.migrations import upgrade


def main() -> None:
    """Run the command that the arguments name.

    If the command fails, one message goes to stderr, and the exit status is 1.
    """
    server.open_standard_streams()
    if os.getpid() == 1:
        # a container's first process: the kernel drops signals that it does not handle
        server.install_signal_handlers()
    arguments = _parser().parse_args()
    try:
        _run(arguments)
    except SettingsError as problem:
        sys.exit(f"{PROGRAM}: {with_sources(problem)}")
    except OSError as problem:
        sys.exit(f"{PROGRAM}: {problem}")
    except (CommandError, DBAPIError, DriverError) as failure:
        cause = getattr(failure, "orig", failure)
        words = str(cause).strip() or type(cause).__name__
        sys.exit(f"{PROGRAM}: the database failed: {words}")
    except KeyboardInterrupt:
        # after SIGTERM and SIGHUP too: which signal it was is no longer known here
        sys.exit(128 + signal.SIGINT)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=PROGRAM, description="The REST backend of a multi-user todo application."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version(PROGRAM)}")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve the API until a signal")
    serving.add_argument(
        "--migrate", action="store_true", help="bring the database's tables up to date first"
    )
    commands.add_parser("migrate", help="bring the database's tables up to date")
    deleting = commands.add_parser(
        "delete-user", help="delete everything that is stored of a user, for a closed account"
    )
    deleting.add_argument("user", help="the user's id")
    signing = commands.add_parser("token", help="print a token for a user, for trying the API out")
    signing.add_argument("user", help="any id")
    commands.add_parser("openapi", help="print the OpenAPI document; no database is needed")
    return parser


def _run(arguments: Namespace) -> None:
    if arguments.command == "openapi":
        print_openapi()
        return
    settings = load_settings()
    if arguments.command == "serve":
        serve(settings, migrate_first=arguments.migrate)
    elif arguments.command == "migrate":
        migrate(settings)
    elif arguments.command == "delete-user":
        delete_user(settings, arguments.user)
    else:
        print(development.token(settings, arguments.user))


def serve(settings: Settings, *, migrate_first: bool) -> None:
    """Serve the API until a signal.

    Without DATABASE_URL it serves from the embedded PostgreSQL, whose tables it brings up to date.
    While the database is away it serves errors; on a signal it ends within REQUEST_TIMEOUT and a
    second, and then stops the embedded PostgreSQL.
    """
    if settings.jwks_url:
        # The result is not used. It raises SettingsError if a variable for proxies or certificates
        # is wrong, before anything is started.
        egress_to(settings.jwks_url)
    with server.listen(settings) as sockets, development.database_or_embedded(settings) as url:
        if migrate_first or settings.database_url is None:
            upgrade(url)
        secret = development.shared_secret(settings)
        secret_name = (
            "development's own secret" if settings.secret is None else "BETTER_AUTH_SECRET"
        )
        settings_in_use = load_settings(database_url=url, better_auth_secret=secret)
        app = create_app(settings_in_use)
        for line in start_lines(settings_in_use, secret_name):
            print(line, file=sys.stderr)
        server.run(app, settings_in_use, sockets)


def start_lines(settings: Settings, secret_name: str) -> list[str]:
    """What the start tells: what serves where, whose tokens it takes, and what may be a mistake.

    `secret_name` tells the reader which secret is shared, where one is.
    """
    title = f"Todo API {version(PROGRAM)}"
    lines = server.greeting(settings, title, secret_name=secret_name)
    if settings.secret and not settings.production:
        # sys.argv[0]: the command as it was called, because it may not be on the PATH
        lines.append(f"A token for Alice: {shlex.join([sys.argv[0], 'token', 'alice'])}")
    from_env_file = variables_from_env_file()
    if from_env_file:
        lines.append(f"From .env: {', '.join(from_env_file)}")
    lines += [f"Warning: {warning}" for warning in settings.warnings]
    if os.environ.get("WEB_CONCURRENCY"):
        lines.append(
            "WEB_CONCURRENCY is not used: one process serves;"
            " for more, run replicas behind a balancer (docs/operations.md)"
        )
    return lines


def migrate(settings: Settings) -> None:
    """Bring the database's tables up to date."""
    with development.database_or_embedded(settings) as url:
        upgrade(url)


def delete_user(settings: Settings, user: str) -> None:
    """Delete everything that is stored of a user (R-21), and print how many rows.

    Raises SettingsError if this can't be a user's id.
    """
    if not is_user_id(user):
        raise SettingsError(USER_ID_RULE)
    with (
        development.database_or_embedded(settings) as url,
        closing(connect(url, application_name=PROGRAM)) as connection,
        connection.cursor() as cursor,
    ):
        rows_deleted = {}
        for table, statement in store.DELETE_USER.items():
            cursor.execute(statement, {"owner": user})
            rows_deleted[table] = cursor.rowcount
        connection.commit()
    # only now it is certain
    for table, count in rows_deleted.items():
        print(f"{table} rows deleted: {count}")


def print_openapi() -> None:
    """Print the OpenAPI document."""
    # Production would ask for a secret. The application connects to its database with the first
    # request, and there will be none.
    nowhere = load_settings(environment="development", database_url="postgresql://")
    print(json.dumps(create_app(nowhere).openapi(), indent=2, ensure_ascii=False))
