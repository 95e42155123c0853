"""The wheel: what is in it, and that it migrates and serves from any folder, with nothing but what the lock names."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.support.cluster import Cluster
from tests.support.processes import Run, environment, output_of
from tests.support.service import SECRET
from tests.support.tokens import token

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    output_of(sys.executable, "-m", "flit_core.wheel", "--outdir", folder, cwd=ROOT)
    (built,) = folder.iterdir()
    return built


def test_the_wheel_holds_the_service_and_nothing_else(wheel: Path) -> None:
    """Every file of `app/`, its migrations too; no test, no feature, no step."""
    packed = set(ZipFile(wheel).namelist())
    about = f"todo_api-{version('todo-api')}.dist-info/"
    told = {about + name for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    files = [path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert packed == told | {str(path.relative_to(ROOT)) for path in files}
    assert {"app/migrations/env.py", "app/migrations/versions/0001_task.py"} < packed


def test_an_installed_wheel_migrates_and_serves_from_any_folder(
    wheel: Path, cluster: Cluster, database: Engine, folder: Path, serve: Callable[..., Run]
) -> None:
    """In a clean environment, where the lock names everything else by its hash."""
    venv = folder / "venv"
    output_of(sys.executable, "-m", "venv", venv, cwd=ROOT)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    output_of(
        *pip, "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt", cwd=ROOT
    )
    output_of(*pip, "install", "--no-deps", wheel, cwd=ROOT)
    output_of(*pip, "check", cwd=ROOT)
    command = str(venv / "bin" / "todo-api")
    alone = {name: value for name, value in environment(folder).items() if name == "HOME"}
    assert output_of(command, "--version", cwd=folder, env=alone) == f"todo-api {version('todo-api')}\n"

    with database.begin() as connection:
        connection.execute(text("CREATE SCHEMA installed"))
    try:
        where = {"DATABASE_URL": f"{cluster.url}&options=-csearch_path%3Dinstalled", "BETTER_AUTH_SECRET": SECRET}
        output_of(command, "migrate", cwd=folder, env=alone | where)
        server = serve(folder, [command, "serve"], PYTHONPATH="", **where).wait_until_up()
        headers = {"authorization": f"Bearer {token('alice')}"}
        created = httpx.post(server.url + "/api/alice/tasks", json={"title": "Buy milk"}, headers=headers)
        assert created.status_code == 201
        with database.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM installed.task")).scalar_one() == 1
    finally:
        with database.begin() as connection:
            connection.execute(text("DROP SCHEMA installed CASCADE"))
