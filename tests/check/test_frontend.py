"""The frontend's side: the typed client, a page on another origin in a real browser, and the guide made of both."""

import json
import re
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.core.errors import ErrorCode
from steps.retries import mute, until
from tests import guide
from tests.support.better_auth import NODE, BetterAuth, running_better_auth
from tests.support.cluster import Cluster
from tests.support.frontend import SOURCES, build
from tests.support.processes import free_port
from tests.support.service import ORIGIN, running_service, settings_for

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "docs/openapi.json"
PICTURES = ROOT / "build/pictures"
ROUTE = "/api/{user_id}/tasks"


# The typed client


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, compiled against the contract."""
    folder = tmp_path_factory.mktemp("page")
    checked = build(CONTRACT, folder)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    return folder


@pytest.mark.needs("node")
def test_the_client_fits_the_contract(page: Path) -> None:
    """Under `--strict` tsc finds nothing; the next test shows that it would."""
    assert (page / "page.js").exists()


@pytest.mark.needs("node")
def test_another_contract_breaks_the_client(tmp_path: Path) -> None:
    """Whoever renames a field, or adds an error code, learns from the build what it breaks."""
    contract = json.loads(CONTRACT.read_text("utf-8"))
    schemas = contract["components"]["schemas"]
    new = {"title": "heading"}
    for name in ("TaskCreate", "TaskUpdate", "TaskPatch", "TaskResponse"):
        fields, required = schemas[name]["properties"], schemas[name].get("required", [])
        schemas[name]["properties"] = {new.get(field, field): rule for field, rule in fields.items()}
        schemas[name]["required"] = [new.get(field, field) for field in required]
    schemas["ErrorCode"]["enum"].append("TEAPOT")
    changed = tmp_path / "openapi.json"
    changed.write_text(json.dumps(contract), "utf-8")
    checked = build(changed, tmp_path)
    assert checked.returncode != 0
    assert re.search(r"page\.ts.*: Property 'title' does not exist on type", checked.stdout)
    assert re.search(r"tasks\.ts.*'title' does not exist in type", checked.stdout)
    assert re.search(r"client\.ts.*'\"TEAPOT\"' is not assignable to parameter of type 'never'", checked.stdout)
    assert not (tmp_path / "page.js").exists()


# The page


def page_port() -> int:
    """3000, from which CORS_ORIGINS lets pages call by default; another one where somebody is at home there.

    Chromium tries both addresses of localhost, whatever the system's own table says.
    """
    for address in ("127.0.0.1", "::1"):
        with suppress(OSError), socket.create_connection((address, 3000), 1):
            return free_port()
    return 3000


class Outside:
    """What happens outside the browser, by the name that tests/node/use-page.mjs has for it."""

    def __init__(self, auth: BetterAuth, cluster: Cluster, database: Engine, held: ExitStack) -> None:
        self._auth, self._cluster, self._database, self._held = auth, cluster, database, held

    def make(self, wish: str) -> None:
        """Make it happen."""
        match wish:
            case "hold commits":
                self._held.enter_context(mute(self._database))
            case "crash":
                self._crash_before_the_answer()
            case "stop the database":
                self._cluster.stop()
            case "start the database":
                self._cluster.start()
            case _:
                self._auth.tell(wish)

    def _crash_before_the_answer(self) -> None:
        """Once a task is on the disk and not yet confirmed."""
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        with self._held:
            with self._database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                until(lambda: connection.execute(waiting).scalar_one() == 1)
            self._cluster.crash()
            self._cluster.start()


@pytest.mark.needs("node", "chromium")
def test_a_page_on_another_origin_can_do_everything(page: Path, cluster: Cluster, database: Engine) -> None:
    """Real Better Auth, real browser, real database: all six operations, and every error in the API's own words."""
    with ExitStack() as stack:
        auth = stack.enter_context(running_better_auth(page=str(page), port=page_port()))
        others = {} if auth.url == ORIGIN else {"cors_origins": (auth.url,)}
        settings = settings_for(cluster.url, better_auth_url=auth.url, better_auth_secret=None, **others)
        service = stack.enter_context(running_service(settings))
        html = (SOURCES / "index.html").read_text("utf-8").replace("http://127.0.0.1:8000", service.url)
        (page / "index.html").write_text(html, "utf-8")
        report = use(auth, service.url, Outside(auth, cluster, database, stack.enter_context(ExitStack())))
    assert set(report["operations"]) == {
        (method.upper(), path)
        for path, operations in json.loads(CONTRACT.read_text("utf-8"))["paths"].items()
        for method in operations
        if path.startswith("/api/")
    }
    assert set(report["codes"]) == set(ErrorCode)
    assert report["unused"] == ["unheardOf of /client.js"]
    assert report["wrong"] == []
    with database.connect() as connection:
        once = text("SELECT count(*) FROM task WHERE title = 'Once only'")
        assert connection.execute(once).scalar_one() == 1


def use(auth: BetterAuth, api: str, outside: Outside) -> dict[str, Any]:
    """Drive the browser, make happen what it asks for, and return its report."""
    command = ["node", str(NODE / "use-page.mjs"), auth.url, api, str(PICTURES)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as driver:  # noqa: S603 - our own
        assert driver.stdin
        assert driver.stdout
        assert driver.stderr
        last = ""
        for line in driver.stdout:
            last = line
            if line.startswith(">"):
                outside.make(line[1:].strip())
                driver.stdin.write("done\n")
                driver.stdin.flush()
        assert driver.wait(30) == 0, driver.stderr.read()
    report: dict[str, Any] = json.loads(last)
    report["operations"] = {(method, route_of(path)) for method, path in report["operations"]}
    return report


def route_of(path: str) -> str:
    """A path as the contract has it."""
    return re.sub("^/api/[^/]+/tasks(/[0-9]+)?$", lambda found: ROUTE + ("/{task_id}" if found[1] else ""), path)


# The guide


def test_the_guide_shows_the_tested_files() -> None:
    """Byte for byte, each region once, and no other TypeScript."""
    text = guide.GUIDE.read_text("utf-8")
    assert guide.filled(text) == text, "run: .venv/bin/python -m tests.guide"
    shown = [f"{one['file']}: {one['region']}" for one in guide.SHOWN.finditer(text)]
    assert sorted(shown) == sorted(guide.regions())
    assert text.count("```ts") == len(shown)
