"""The frontend's side: the typed client, a page on another origin in a real browser, and the guide made of both."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import Engine, text

from app.core.errors import ErrorCode
from steps.retrying import unconfirmed_commits, until
from tests import guide
from tests.support.better_auth import NODE, BetterAuth, running_better_auth
from tests.support.cluster import Cluster
from tests.support.frontend import MODULES, SOURCES, build
from tests.support.processes import free_port
from tests.support.service import ORIGIN, Service, running_service, settings_for
from tests.support.tokens import token

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
                self._held.enter_context(unconfirmed_commits(self._database))
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
    """Real Better Auth, real browser, real database: all six operations, and every error in the API's own words.

    Through a proxy that compresses answers, whose entity tags are weak then: If-Match refuses those (RFC 9110, 13.1.1).
    """
    with ExitStack() as stack:
        auth = stack.enter_context(running_better_auth(page=str(page), port=page_port()))
        others = {} if auth.url == ORIGIN else {"cors_origins": (auth.url,)}
        # two seconds: the page asks three times before it tells that the database is away
        ours = {"better_auth_url": auth.url, "better_auth_secret": None, "request_timeout": 2}
        settings = settings_for(cluster.url, **ours, **others)
        service = stack.enter_context(running_service(settings))
        api = stack.enter_context(compressing_proxy(service.url))
        html = (SOURCES / "index.html").read_text("utf-8").replace("http://127.0.0.1:8000", api)
        (page / "index.html").write_text(html, "utf-8")
        report = use(auth, api, Outside(auth, cluster, database, stack.enter_context(ExitStack())))
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


@contextmanager
def compressing_proxy(api: str) -> Iterator[str]:
    """Run a proxy before the API that compresses what it answers; yields its URL."""
    command = ["node", str(NODE / "compressing-proxy.mjs"), api]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:  # noqa: S603 - our own
        assert proxy.stdout
        yield proxy.stdout.readline().strip()


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


# A page that sends credentials


def call(api: str, port: int) -> Any:
    """Call from a page of Chromium's, with credentials."""
    command = ["node", str(NODE / "call-across-origins.mjs"), str(port), api, "alice"]
    run = subprocess.run(command, input=token("alice"), capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


@pytest.mark.needs("node", "chromium")
def test_a_page_with_credentials_does_all_six_operations_in_a_browser(service: Service) -> None:
    """And where its preflight is refused, the console names the header, not the origin."""
    port = free_port()
    settings = settings_for(service.settings.required_database_url, cors_origins=(f"http://localhost:{port}",))
    with running_service(settings) as running:
        told = call(running.url, port)
    operations = {"create": 201, "list": 200, "fetch": 200, "replace": 200, "change": 200, "delete": 204}
    refused = {"without a token": 401, "another header": "TypeError: Failed to fetch"}
    assert told["statuses"] == operations | refused
    (complaint,) = [said for said in told["said"] if "CORS policy" in said]
    assert "Request header field x-requested-with is not allowed" in complaint


# The guide


def test_the_guide_shows_the_tested_files() -> None:
    """Byte for byte, each region once, and no other TypeScript."""
    text = guide.GUIDE.read_text("utf-8")
    assert guide.filled(text) == text, "run: .venv/bin/python -m tests.guide"
    shown = [f"{one['file']}: {one['region']}" for one in guide.SHOWN.finditer(text)]
    assert sorted(shown) == sorted(guide.regions())
    assert len(re.findall(r"^```(?:ts|js)$", text, re.MULTILINE)) == len(shown)


@pytest.mark.needs("node")
def test_the_guides_snippets_compile_as_shown(tmp_path: Path) -> None:
    """What somebody copies from the guide alone is the whole client: three files, in strict TypeScript."""
    for name, code in guide.shown_files(guide.GUIDE.read_text("utf-8")).items():
        if name in ("client.ts", "session.ts", "tasks.ts"):
            (tmp_path / name).write_text(code, "utf-8")
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "page.ts").write_text('export * from "./tasks.js";\nexport { advice } from "./client.js";\n')
    checked = build(CONTRACT, tmp_path, sources=tmp_path)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.needs("node")
def test_the_first_days_server_signs_people_up(page: Path) -> None:
    """Better Auth and the page on one origin, as the guide starts them; its JWT names the user and the origin."""
    port = free_port()
    for name in ("server.mjs", "auth.mjs", "index.html"):
        (page / name).write_text((SOURCES / name).read_text("utf-8").replace("3000", str(port)), "utf-8")
    (page / "node_modules").symlink_to(MODULES)
    command, url = ["node", "server.mjs"], f"http://localhost:{port}"
    with subprocess.Popen(command, cwd=page, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            assert process.stdout
            assert process.stdout.readline().strip() == url
            with httpx.Client(base_url=url, headers={"origin": url}, timeout=30) as browser:
                person = {"name": "Alice", "email": "alice@example.com", "password": "correct horse battery staple"}
                user = browser.post("/api/auth/sign-up/email", json=person).raise_for_status().json()["user"]
                issued = browser.get("/api/auth/token").raise_for_status().json()["token"]
                claims = jwt.decode(issued, options={"verify_signature": False})
                assert (claims["user_id"], claims["iss"], claims["aud"]) == (user["id"], url, url)
                assert browser.get("/api/auth/jwks").json()["keys"]
                assert [browser.get(path).status_code for path in ("/", "/page.js", "/auth.mjs")] == [200, 200, 404]
        finally:
            process.terminate()
