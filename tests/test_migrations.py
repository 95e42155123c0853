"""The table as the models say it, as the migrations make it, and what it refuses by itself."""

import io
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from sqlmodel import SQLModel

from app.core.settings import SettingsError
from app.migrations import upgrade
from tests.support.cluster import Cluster
from tests.support.databases import MakeDatabase, alembic, engine
from tests.support.factories import make_task, rows
from tests.support.log import logged
from tests.support.people import Cast
from tests.support.processes import todo_api
from tests.support.service import SECRET, running_service, service_in_process, settings_for
from tests.support.tokens import token


def dump(cluster: Cluster, url: str) -> str:
    """The schema as PostgreSQL itself tells it, without what differs from run to run, and Alembic's own table."""
    arguments = [str(cluster.bin / "pg_dump"), "--schema-only", "--exclude-table=todo_api_version", url]
    told = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    return "\n".join(line for line in told.splitlines() if not line.startswith("\\"))


def described(told: str) -> set[str]:
    """The entries of a dump, each with its statement; their order depends on what depends on what."""
    return {entry.strip("-\n") for entry in told.split("--\n-- Name: ")[1:]}


def test_models_and_migrations_agree(cluster: Cluster, make_database: MakeDatabase) -> None:
    """To the letter: keys, checks, defaults and names, of which `alembic check` sees too little."""
    migrated, modelled = make_database(), make_database()
    upgrade(migrated)
    SQLModel.metadata.create_all(engine(modelled))
    entries, same = described(dump(cluster, migrated)), described(dump(cluster, modelled))
    functions = {entry for entry in entries - same if "; Type: FUNCTION; " in entry}
    assert entries - same == functions  # what is not in the models
    assert same - entries == set()
    assert sorted(entry.split("(")[0] for entry in functions) == ["create_task_once", "create_task_with_key"]
    assert any("task_title_length" in entry for entry in same)


def test_migrations_go_up_and_down_and_up(cluster: Cluster, make_database: MakeDatabase) -> None:
    """Down leaves nothing behind."""
    url = make_database()
    upgrade(url)
    there = dump(cluster, url)
    command.downgrade(alembic(url), "base")
    assert "CREATE" not in dump(cluster, url)
    command.upgrade(alembic(url), "head")
    assert dump(cluster, url) == there


def test_migrating_again_changes_nothing(cluster: Cluster, make_database: MakeDatabase) -> None:
    """`todo-api migrate` may be run at every start."""
    url = make_database()
    upgrade(url)
    there = dump(cluster, url)
    upgrade(url)
    assert dump(cluster, url) == there


def test_a_retry_gets_its_first_answer_after_a_migration(make_database: MakeDatabase) -> None:
    """The keys and answers of revision 0002, as it kept them, go on being answered."""
    url = make_database()
    command.upgrade(alembic(url), "0002")
    answer = (
        '{"id" : 1, "user_id" : "alice", "title" : "Buy milk", "description" : null, "complete" : false,'
        ' "created_at" : "2025-12-20T11:30:00.123456Z", "updated_at" : "2025-12-20T11:30:00.123456Z"}'
    )
    with engine(url).begin() as connection:
        connection.execute(text("INSERT INTO task (user_id, title) VALUES ('alice', 'Buy milk')"))
        connection.execute(
            text("INSERT INTO idempotency_key VALUES ('alice', 'one', sha256(:body), 1, :answer)"),
            {"body": b'{"title":"Buy milk"}', "answer": answer},
        )
    before = rows(engine(url), "alice")
    upgrade(url)
    with running_service(settings_for(url)) as service:
        alice = Cast(service)("Alice")
        retry, other = [
            alice.ask("POST", alice.tasks_path(), json={"title": title}, headers={"Idempotency-Key": "one"})
            for title in ("Buy milk", "Buy bread")
        ]
        new = alice.ask("POST", alice.tasks_path(), json={"title": "Buy bread"})
    assert (retry.status_code, retry.json()) == (201, json.loads(answer))
    assert (retry.headers["etag"], retry.headers["location"]) == ('"2025-12-20T11:30:00.123456Z"', "/api/alice/tasks/1")
    assert other.status_code == 422
    assert rows(engine(url), "alice")[:-1] == before
    assert new.json()["id"] > 1


MOMENT = """to_char(timezone('UTC', {}), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
BEFORE_0004 = f"""
    SELECT kept.task_id, kept.answer, '"' || (kept.answer::json ->> 'updated_at') || '"', kept.same
    FROM jsonb_populate_record(
            NULL::task,
            jsonb_build_object('complete', false, 'created_at', now(), 'updated_at', now())
            || %(given)s::jsonb
            || jsonb_build_object('user_id', %(owner)s, 'id', nextval('task_id_seq'))
        ) AS new_task,
        create_task_once(
            new_task,
            json_build_object(
                'id', id, 'user_id', user_id, 'title', title, 'description', description, 'complete', complete,
                'created_at', {MOMENT.format("created_at")}, 'updated_at', {MOMENT.format("updated_at")}
            )::text,
            %(key)s, %(fingerprint)s, 24
        ) AS kept
"""  # noqa: S608 - our names
"""How the service created a task with a key, before migration 0004."""


def create_as_before(url: str, key: str, title: str) -> tuple[dict[str, Any], str, bool]:
    """Create a task as it did: the answer's JSON, its tag, and whether the key is this task's."""
    given = json.dumps({"title": title, "description": "d"})
    fingerprint = sha256(json.dumps({"title": title, "description": "d"}, separators=(",", ":")).encode()).digest()
    params = {"given": given, "owner": "alice", "key": key, "fingerprint": fingerprint}
    with engine(url).begin() as connection:
        task_id, answer, tag, is_same = connection.exec_driver_sql(BEFORE_0004, params).one()
    if is_same:
        assert json.loads(answer)["id"] == task_id
    return json.loads(answer), tag, is_same


def test_keys_outlive_an_upgrade_and_a_downgrade(make_database: MakeDatabase) -> None:
    """A retry gets the same answer from the old service and the new one, which serve side by side for a while."""
    url = make_database()
    command.upgrade(alembic(url), "0003")
    run_sql(url, "ALTER DATABASE " + str(make_url(url).database) + " SET timezone = 'Asia/Kathmandu'")
    first, tag, _ = create_as_before(url, "one", 'Buy "milk"')
    upgrade(url)

    assert create_as_before(url, "one", 'Buy "milk"') == (first, tag, True)
    assert create_as_before(url, "one", "Buy bread")[2] is False
    second, second_tag, _ = create_as_before(url, "two", "Buy bread")
    with running_service(settings_for(url)) as service:
        alice = Cast(service)("Alice")

        def post(key: str, title: str) -> httpx.Response:
            body = {"title": title, "description": "d"}
            return alice.ask("POST", alice.tasks_path(), json=body, headers={"Idempotency-Key": key})

        for key, task, etag in (("one", first, tag), ("two", second, second_tag)):
            retry = post(key, task["title"])
            assert (retry.status_code, retry.json(), retry.headers["etag"]) == (201, task, etag)
            assert retry.headers["location"] == f"/api/alice/tasks/{task['id']}"
        third = post("three", "Buy salt")
    assert create_as_before(url, "three", "Buy salt") == (third.json(), third.headers["etag"], True)

    command.downgrade(alembic(url), "0003")
    kept = {"one": (first, tag), "two": (second, second_tag), "three": (third.json(), third.headers["etag"])}
    for key, (task, etag) in kept.items():
        assert create_as_before(url, key, task["title"]) == (task, etag, True)
    assert [row["title"] for row in rows(engine(url), "alice")] == ['Buy "milk"', "Buy bread", "Buy salt"]


def test_a_field_needs_no_care_for_keys_from_before_it(make_database: MakeDatabase) -> None:
    """What a kept answer does not have is as the retry would have it."""
    url = make_database()
    upgrade(url)
    with running_service(settings_for(url)) as service:
        alice = Cast(service)("Alice")

        def post() -> httpx.Response:
            return alice.ask("POST", alice.tasks_path(), json={"title": "x"}, headers={"Idempotency-Key": "one"})

        first = post()
        run_sql(url, "UPDATE idempotency_key SET answer = answer - 'complete' - 'description'")
        assert post().json() == first.json()
        run_sql(url, "ALTER TABLE task ADD due_date date")
        assert post().json() == first.json()


def test_it_is_ready_after_the_last_migration_alone(make_database: MakeDatabase) -> None:
    """A balancer keeps the old version until the new one's tables are there."""
    url = make_database()
    with service_in_process(settings_for(url)) as service:
        for revision, status in (("0001", 503), ("0002", 503), ("0003", 503), ("head", 200)):
            command.upgrade(alembic(url), revision)
            assert service.http.get("/health/ready").status_code == status


def test_there_is_nothing_to_generate(make_database: MakeDatabase) -> None:
    """`alembic check` agrees too."""
    url = make_database()
    upgrade(url)
    command.check(alembic(url))


def test_the_migrations_may_lie_in_any_folder(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build server names its folders after branches: `feature%2Fx`."""
    folder = tmp_path / "feature%2Fx"
    shutil.copytree("app/migrations", folder)
    monkeypatch.setattr("app.migrations.__file__", str(folder / "__init__.py"))
    url = make_database()
    upgrade(url)
    assert column(url, "SELECT count(*) FROM task") == [0]


@pytest.mark.parametrize("arguments", [["migrate"], ["serve", "--migrate"]])
def test_tables_of_a_newer_version_are_one_sentence(
    folder: Path, make_database: MakeDatabase, arguments: list[str]
) -> None:
    """Where an older version is put back, by a rollback or by mistake; nothing is changed."""
    url = make_database()
    upgrade(url)
    run_sql(url, "UPDATE todo_api_version SET version_num = '0099'")
    run = todo_api(folder, *arguments, DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)
    assert (run.returncode, run.stderr) == (
        1,
        "todo-api: DATABASE_URL: its tables are of a newer version of todo-api (revision 0099, unknown here)."
        " Install that version, or serve without --migrate.\n",
    )
    assert column(url, "SELECT version_num FROM todo_api_version") == ["0099"]


# Beside another application


SCHEMA_OF_ITS_OWN = "options=-csearch_path%3Dtodo"


def run_sql(url: str, *statements: str) -> None:
    """Do what another application, or an operator, did to the database."""
    with engine(url).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def column(url: str, query: str) -> list[Any]:
    """Read the first column."""
    with engine(url).connect() as connection:
        return list(connection.scalars(text(query)))


def test_another_alembic_in_the_same_database_is_left_alone(make_database: MakeDatabase) -> None:
    """Its revision is unknown here, and ours is there."""
    url = make_database()
    run_sql(
        url,
        "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6')",
    )
    upgrade(url)
    upgrade(url)
    assert column(url, "SELECT version_num FROM alembic_version") == ["a1b2c3d4e5f6"]
    assert column(url, "SELECT count(*) FROM task") == [0]


def test_a_revision_in_alembic_version_is_taken_over(cluster: Cluster, make_database: MakeDatabase) -> None:
    """As the first versions of this service left it; another Alembic may then use its default table."""
    url, fresh = make_database(), make_database()
    upgrade(fresh)
    revision = column(fresh, "SELECT version_num FROM todo_api_version")
    command.upgrade(alembic(url), "0002")
    run_sql(
        url,
        "ALTER TABLE todo_api_version RENAME TO alembic_version",
        "ALTER TABLE alembic_version RENAME CONSTRAINT todo_api_version_pkc TO alembic_version_pkc",
        "INSERT INTO task (user_id, title) VALUES ('alice', 'Buy milk')",
    )
    upgrade(url)
    assert dump(cluster, url) == dump(cluster, fresh)
    assert column(url, "SELECT version_num FROM todo_api_version") == revision
    assert column(url, "SELECT title FROM task") == ["Buy milk"]


def test_the_revision_of_another_alembic_is_not_taken_over(cluster: Cluster, make_database: MakeDatabase) -> None:
    """Also where the service's tables came without their version, from a dump say."""
    url = make_database()
    upgrade(url)
    run_sql(
        url,
        "DROP TABLE todo_api_version",
        "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6')",
    )
    there = dump(cluster, url)
    with pytest.raises(ProgrammingError, match='"task" already exists'):
        upgrade(url)
    assert dump(cluster, url) == there


@pytest.mark.parametrize("table", ["task", "idempotency_key"])
def test_a_table_of_another_application_is_one_sentence(
    cluster: Cluster, make_database: MakeDatabase, table: str
) -> None:
    """Nothing is changed, and the sentence says what to do; doing it helps."""
    url = make_database()
    run_sql(url, f"CREATE TABLE {table} (id serial PRIMARY KEY, name text)")
    there = dump(cluster, url)
    with pytest.raises(SettingsError) as refused:
        upgrade(url)
    assert str(refused.value) == (
        f"DATABASE_URL: another application has something called {table} there. Give this service a schema of its own:"
        f" CREATE SCHEMA todo, and {SCHEMA_OF_ITS_OWN} as a parameter of DATABASE_URL."
    )
    assert dump(cluster, url) == there

    run_sql(url, "CREATE SCHEMA todo")
    ours = f"{url}{'&' if '?' in url else '?'}{SCHEMA_OF_ITS_OWN}"
    upgrade(ours)
    with service_in_process(settings_for(ours)) as service:
        headers = {"authorization": f"Bearer {token('alice')}", "idempotency-key": "1"}
        assert service.http.get("/health/ready").status_code == 200
        for status in (201, 201):
            made = service.http.post("/api/alice/tasks", json={"title": "Buy milk"}, headers=headers)
            assert made.status_code == status
        assert service.http.get("/api/alice/tasks", headers=headers).json()["count"] == 1
    assert column(url, "SELECT title FROM todo.task") == ["Buy milk"]
    assert column(url, f"SELECT count(*) FROM public.{table}") == [0]  # noqa: S608 - our names


def test_a_sequence_of_another_application_is_no_source_of_ids(cluster: Cluster, make_database: MakeDatabase) -> None:
    """Tasks with a key would draw theirs from it, and the others from another one."""
    url = make_database()
    run_sql(url, "CREATE SEQUENCE task_id_seq", "CREATE TABLE tasks (id bigint DEFAULT nextval('task_id_seq'))")
    there = dump(cluster, url)
    with pytest.raises(SettingsError, match="another application has something called task_id_seq there"):
        upgrade(url)
    assert dump(cluster, url) == there


def test_a_role_with_a_schema_of_its_name_needs_no_option(make_database: MakeDatabase) -> None:
    """By PostgreSQL's default search path; poolers that refuse the option in a URL take this."""
    url = make_database()
    role = "todo_of_its_own"
    (owner,) = column(url, "SELECT current_user")
    create = [f"CREATE ROLE {role} LOGIN IN ROLE {owner}", f"CREATE SCHEMA {role} AUTHORIZATION {role}"]
    run_sql(url, "CREATE TABLE task (id int)", *create)
    theirs = str(make_url(url).set(username=role).render_as_string(hide_password=False))
    try:
        upgrade(theirs)
        assert column(theirs, "SELECT current_schema()") == [role]
        assert column(url, f"SELECT count(*) FROM {role}.task") == [0]  # noqa: S608 - the same
    finally:
        run_sql(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_backends_look_whether_their_client_is_there(make_database: MakeDatabase) -> None:
    """A statement that the service gives up must end."""
    url = make_database()
    upgrade(url)
    with engine(url).connect() as connection:
        assert connection.execute(text("SHOW client_connection_check_interval")).scalar_one() == "1s"


def test_the_owner_comes_first_in_the_key(database: Engine) -> None:
    """Every query of a user reads one range of one index."""
    key = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'task_pkey'"
    with database.connect() as connection:
        assert connection.execute(text(key)).scalar_one() == "PRIMARY KEY (user_id, id)"


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"title": ""}, "task_title_length"),
        ({"title": "x" * 201}, "task_title_length"),
        ({"title": None}, '"title"'),
        ({"description": "x" * 1001}, "task_description_length"),
        ({"user_id": ""}, "task_user_id_length"),
        ({"user_id": "x" * 256}, "task_user_id_length"),
        ({"user_id": None}, '"user_id"'),
        ({"complete": None}, '"complete"'),
        ({"created_at": None}, '"created_at"'),
        ({"updated_at": None}, '"updated_at"'),
        ({"updated_at": "2020-01-01T00:00:00Z"}, "task_updated_after_created"),
    ],
)
def test_the_database_defends_itself(database: Engine, values: dict[str, Any], constraint: str) -> None:
    """It refuses what the API would have refused."""
    row = {"user_id": "alice", "title": "x"} | values
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    with database.begin() as connection, pytest.raises(IntegrityError, match=constraint):
        connection.execute(text(f"INSERT INTO task ({columns}) VALUES ({places})"), row)  # noqa: S608 - our names


def test_the_limits_are_limits(database: Engine) -> None:
    """What is just within them is stored."""
    task = make_task(database, user_id="u" * 255, title="🥛" * 200, description="d" * 1000)
    assert (task["complete"], task["created_at"]) == (False, task["updated_at"])


def test_nobody_else_gives_ids(database: Engine) -> None:
    """They come from the database alone, and can't be set."""
    with database.begin() as connection, pytest.raises(ProgrammingError, match="identity column"):
        connection.execute(text("INSERT INTO task (user_id, id, title) VALUES ('alice', 1, 'x')"))
    with database.begin() as connection, pytest.raises((IntegrityError, DataError), match="task_id_positive"):
        connection.execute(
            text("INSERT INTO task (user_id, id, title) OVERRIDING SYSTEM VALUE VALUES ('alice', 0, 'x')")
        )


# A role without rights


READY_WITHOUT = [
    ("REVOKE SELECT ON task", "SELECT on task ("),
    ("REVOKE INSERT ON task", "INSERT on task ("),
    ("REVOKE UPDATE ON task", "UPDATE on task ("),
    ("REVOKE DELETE ON task", "DELETE on task"),
    ("REVOKE SELECT ON idempotency_key", "SELECT on idempotency_key ("),
    ("REVOKE INSERT ON idempotency_key", "INSERT on idempotency_key ("),
    ("REVOKE UPDATE ON idempotency_key", "UPDATE on idempotency_key ("),
    ("REVOKE DELETE ON idempotency_key", "DELETE on idempotency_key"),
    ("REVOKE USAGE ON SEQUENCE task_id_seq", "USAGE on task_id_seq"),
    ("REVOKE EXECUTE ON FUNCTION create_task_with_key", "EXECUTE on create_task_with_key"),
    ("REVOKE USAGE ON SCHEMA todo", "task (run todo-api migrate, or grant USAGE on its schema)"),
]
"""What is taken from a role that has all rights, and what readiness says is missing first."""


@pytest.fixture
def rightful(make_database: MakeDatabase) -> Iterator[tuple[str, str]]:
    """The URLs of a database with our tables in a schema of their own: of its owner, and of a role with all rights."""
    url = make_database()
    run_sql(url, "CREATE SCHEMA todo", "CREATE ROLE rightful LOGIN")
    ours = f"{url}{'&' if '?' in url else '?'}{SCHEMA_OF_ITS_OWN}"
    upgrade(ours)
    run_sql(
        ours,
        "REVOKE EXECUTE ON FUNCTION create_task_with_key FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION create_task_with_key TO rightful",
        "GRANT USAGE ON SCHEMA todo TO rightful",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON task, idempotency_key TO rightful",
        "GRANT USAGE ON SEQUENCE task_id_seq TO rightful",
    )
    yield ours, make_url(ours).set(username="rightful").render_as_string(hide_password=False)
    run_sql(url, "DROP OWNED BY rightful", "DROP ROLE rightful")


@pytest.mark.parametrize(("revoke", "missing"), READY_WITHOUT)
def test_it_is_not_ready_without_a_right_that_requests_need(
    rightful: tuple[str, str], capsys: pytest.CaptureFixture[str], revoke: str, missing: str
) -> None:
    """A rolling deployment would replace a service that works; the log names what is missing."""
    owner, url = rightful
    with service_in_process(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 200
        run_sql(owner, f"{revoke} FROM rightful")
        assert service.http.get("/health/ready").status_code == 503
        line = json.loads(logged(capsys, 2).splitlines()[-1])
    assert line["reason"].startswith(f"the database lacks: {missing}")


@pytest.mark.parametrize("table", ["task", "idempotency_key"])
def test_it_is_not_ready_without_a_primary_key(
    make_database: MakeDatabase, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    """A restore that failed half-way leaves such a table: ids are there twice, and no retry is recognized."""
    url = make_database()
    upgrade(url)
    with service_in_process(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 200
        run_sql(url, f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        assert service.http.get("/health/ready").status_code == 503
        line = json.loads(logged(capsys, 2).splitlines()[-1])
    assert line["reason"] == f"the database lacks: PRIMARY KEY of {table} (restore the backup into an empty database)"


def test_rights_that_are_granted_by_column_are_enough(rightful: tuple[str, str]) -> None:
    """Those of the columns that requests write."""
    owner, url = rightful
    run_sql(
        owner,
        "REVOKE UPDATE ON task, idempotency_key FROM rightful",
        "GRANT UPDATE (title, description, complete, updated_at) ON task TO rightful",
        "GRANT UPDATE (fingerprint, answer, created_at) ON idempotency_key TO rightful",
        "REVOKE USAGE ON SEQUENCE task_id_seq FROM rightful",
        "GRANT UPDATE ON SEQUENCE task_id_seq TO rightful",
    )
    with running_service(settings_for(url)) as service:
        alice = Cast(service)("Alice")
        for _ in range(2):
            made = alice.ask("POST", alice.tasks_path(), json={"title": "x"}, headers={"Idempotency-Key": "one"})
            assert made.status_code == 201
        task = f"{alice.tasks_path()}/{made.json()['id']}"
        assert alice.ask("PATCH", task, json={"complete": True}).status_code == 200
        assert alice.ask("DELETE", task).status_code == 204
        assert service.http.get("/health/ready").status_code == 200


def test_the_migrations_can_be_written_down(
    cluster: Cluster, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As SQL that PostgreSQL takes, and without a database; up, and down again."""
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def written(run: Callable[..., None], revisions: str) -> str:
        output = io.StringIO()
        run(Config(toml_file="pyproject.toml", output_buffer=output), revisions, sql=True)
        return output.getvalue()

    def psql(url: str, statements: str) -> None:
        script = tmp_path / "migrations.sql"
        script.write_text(statements)
        arguments = [str(cluster.bin / "psql"), "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}", url]
        subprocess.run(arguments, check=True, capture_output=True)  # noqa: S603 - our own

    url, migrated = make_database(), make_database()
    upgrade(migrated)
    psql(url, written(command.upgrade, "head"))
    assert dump(cluster, url) == dump(cluster, migrated)
    for query in ("SELECT version_num FROM todo_api_version", "SHOW client_connection_check_interval"):
        assert column(url, query) == column(migrated, query)
    psql(url, written(command.downgrade, "head:base"))
    assert "CREATE" not in dump(cluster, url)


# A role that does not own the database


CHECK = "SET client_connection_check_interval"
LEFT_OUT = (
    "todo-api: client_connection_check_interval is left out, because this role does not own the database. Its owner"
    " runs: ALTER DATABASE name SET client_connection_check_interval = '1s'\n"
)


@pytest.fixture
def guest(make_database: MakeDatabase) -> Iterator[tuple[str, str]]:
    """The URLs of an empty database: of its owner, and of a role that may connect to it."""
    url = make_database()
    run_sql(url, "CREATE ROLE guest LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield url, make_url(url).set(username="guest").render_as_string(hide_password=False)
    run_sql(url, "DROP OWNED BY guest", "DROP ROLE guest")


def test_a_schema_of_its_own_is_enough(guest: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what was left out, each time until the owner has done it; going down works too."""
    owner, url = guest
    run_sql(owner, "CREATE SCHEMA guest AUTHORIZATION guest")
    for _ in range(2):
        upgrade(url)
        assert capsys.readouterr().err == LEFT_OUT
    with service_in_process(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 200
    command.downgrade(alembic(url), "base")
    upgrade(url)
    capsys.readouterr()
    database = make_url(owner).database
    run_sql(owner, f"ALTER DATABASE {database} SET client_connection_check_interval = '2s'")
    upgrade(url)
    assert capsys.readouterr().err == ""
    assert column(url, "SHOW client_connection_check_interval") == ["2s"]


@pytest.mark.parametrize("search_path", ["public", "missing"])
def test_a_role_that_may_create_nothing_is_told_so(guest: tuple[str, str], search_path: str) -> None:
    """In one sentence, and nothing is changed."""
    _, url = guest
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: its role may not create tables there"):
        upgrade(f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{search_path}")


def test_the_owner_sets_what_a_restored_dump_lacks(
    make_database: MakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dump has no settings of the database; a value of the operator's own is left alone."""
    url = make_database()
    upgrade(url)
    database = make_url(url).database
    for before, after in (("RESET client_connection_check_interval", "1s"), (f"{CHECK} = '5s'", "5s")):
        run_sql(url, f"ALTER DATABASE {database} {before}")
        upgrade(url)
        assert column(url, "SHOW client_connection_check_interval") == [after]
    assert capsys.readouterr().err == ""


# Tasks that came with their ids


def test_new_ids_begin_beyond_those_that_came(make_database: MakeDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    """By logical replication, or from a dump without the sequence; the sequence is never set back."""
    url = make_database()
    upgrade(url)
    copied = "INSERT INTO task (user_id, id, title) OVERRIDING SYSTEM VALUE VALUES"
    run_sql(url, f"{copied} ('alice', 1, 'x'), ('bob', 2, 'x'), ('bob', 700, 'x')")

    def ids() -> list[int]:
        with running_service(settings_for(url)) as service:
            alice = Cast(service)("Alice")
            return [
                alice.ask("POST", alice.tasks_path(), json={"title": "x"}, headers=headers).json()["id"]
                for headers in ({}, {"Idempotency-Key": str(time.time())})
            ]

    capsys.readouterr()
    upgrade(url)
    assert capsys.readouterr().err == "todo-api: tasks came with their ids; new ones begin after 1700\n"
    assert ids() == [1701, 1702]
    capsys.readouterr()
    run_sql(url, "DELETE FROM task")
    upgrade(url)
    assert capsys.readouterr().err == ""
    assert ids() == [1703, 1704]
    run_sql(url, f"{copied} ('alice', 1705, 'x')")
    upgrade(url)
    assert ids() == [2706, 2707]
