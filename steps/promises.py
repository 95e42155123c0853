"""The steps of the promises that cut across the stories."""

import json
import re
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from typing import Any

import httpx
import jwt
import pytest
from pytest_bdd import given, then, when
from sqlalchemy import Engine, text

from app.models import DESCRIPTION_MAX, TITLE_MAX
from steps.answers import has_exactly, refused, shown, titles_of
from steps.vocabulary import ACTIONS, said
from tests.acceptance.evidence import attach
from tests.support import contract
from tests.support.better_auth import NODE
from tests.support.cluster import Cluster
from tests.support.factories import rows
from tests.support.people import Cast
from tests.support.service import ORIGIN, Service
from tests.support.tokens import claims, token

# Signing in


def changed(good: str) -> str:
    """The token with other claims and the same signature."""
    head, _, signature = good.split(".")
    body = jwt.utils.base64url_encode(str(claims("alice", exp=10**10)).encode()).decode()
    return f"{head}.{body}.{signature}"


def now() -> int:
    """The time as tokens have it: whole seconds since the epoch."""
    return int(time.time())


TOKENS: dict[str, Callable[[], str]] = {
    "names her twice": lambda: token("alice"),
    "names her as its subject alone": lambda: token("alice", user_id=None),
    "names her as its user alone": lambda: token("alice", sub=None),
    "expired a moment ago": lambda: token("alice", exp=now() - 2),
    "is not a token at all": lambda: "open-sesame",
    "is signed with another secret": lambda: token("alice", secret="mallory-" * 8),
    "is not signed": lambda: jwt.encode(claims("alice"), "", algorithm="none"),
    "was changed after it was signed": lambda: changed(token("bob")),
    "has expired": lambda: token("alice", exp=now() - 60),
    "never expires": lambda: token("alice", exp=None),
    "expires in a year": lambda: token("alice", exp=now() + 365 * 24 * 3600),
    "is not valid yet": lambda: token("alice", nbf=now() + 60),
    "names nobody": lambda: token("alice", sub=None, user_id=None, email=None),
    "names her by email address alone": lambda: token("alice", sub=None, user_id=None),
    "names two different people": lambda: token("alice", sub="mallory"),
    "is far too long": lambda: token("alice", padding="x" * 8192),
}


@when(said("Alice lists her tasks with a token that {what}"))
def _(cast: Cast, what: str) -> None:
    alice = cast("Alice")
    alice.token = TOKENS[what]()
    alice.ask("GET", alice.tasks_path())


@when(said("Mallory tries to list Alice's tasks with a token that {what}"))
def _(cast: Cast, what: str) -> None:
    mallory = cast("Mallory")
    mallory.token = TOKENS[what]()
    mallory.ask("GET", cast("Alice").tasks_path())


@when("Mallory tries to list Alice's tasks with two tokens at once")
def _(cast: Cast) -> None:
    alice, mallory = cast("Alice"), cast("Mallory")
    # each of the two would be accepted alone
    mallory.ask("GET", alice.tasks_path(), headers=[("authorization", f"Bearer {alice.token}")])


@when("Mallory tries to list Alice's tasks with a password")
def _(cast: Cast) -> None:
    mallory = cast("Mallory")
    mallory.token = None
    mallory.ask("GET", cast("Alice").tasks_path(), headers={"authorization": "Basic YWxpY2U6c2VzYW1l"})


# Failing well


@given("the database is stopped")
def _(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001 - the database fixture starts it again afterwards
    cluster.stop()


@given("the database is frozen")
def _(cluster: Cluster, database: Engine) -> None:  # noqa: ARG001 - the same
    cluster.freeze()


def waiting(database: Engine) -> int:
    """How many of the service's statements are at work or wait in the database."""
    count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND state = 'active'")
    with database.connect() as connection:
        return int(connection.execute(count).scalar_one())


@pytest.fixture
def has_waited(database: Engine) -> Iterator[Future[bool]]:
    """Whether a statement of the service's comes to wait, within five seconds."""

    def look() -> bool:
        end = time.monotonic() + 5
        while waiting(database) == 0 and time.monotonic() < end:
            time.sleep(0.05)
        return time.monotonic() < end

    with ThreadPoolExecutor(1) as watcher:
        yield watcher.submit(look)


@given("somebody holds a lock on all tasks")
def _(database: Engine, request: pytest.FixtureRequest, has_waited: Future[bool]) -> None:  # noqa: ARG001 - it looks from now on
    lock = database.connect()
    lock.execute(text("LOCK TABLE task IN EXCLUSIVE MODE"))
    request.addfinalizer(lock.close)


@given("the database has been restarted")
def _(cluster: Cluster) -> None:
    cluster.stop()
    cluster.start()


@then("nothing of hers is left waiting in the database")
def _(database: Engine, has_waited: Future[bool]) -> None:
    assert has_waited.result()
    end = time.monotonic() + 3  # the server checks once a second
    while waiting(database) > 0:
        assert time.monotonic() < end
        time.sleep(0.1)


@then(said("{who:Person} is told within {seconds:Number} seconds to try again later"))
def _(cast: Cast, who: str, seconds: int) -> None:
    refused(cast(who), 500, "DATABASE_ERROR")
    assert cast(who).answer.elapsed.total_seconds() < seconds


@then(said("once the database is back, {who:Person} still has exactly the tasks {titles:Titles}"))
def _(cast: Cast, cluster: Cluster, database: Engine, who: str, titles: list[str]) -> None:
    cluster.start()
    has_exactly(cast(who), database, titles)


@when("the load balancer asks whether the service is ready")
def _(cast: Cast) -> None:
    cast("a stranger").ask("GET", "/health/ready")


@then("it is told that the service is up but not ready")
def _(cast: Cast) -> None:
    refused(cast("a stranger"), 503, "DATABASE_ERROR")
    assert cast("a stranger").ask("GET", "/health").status_code == 200


@then("once the database is back, it is told that the service is ready")
def _(cast: Cast, cluster: Cluster) -> None:
    cluster.start()
    assert cast("a stranger").ask("GET", "/health/ready").json() == {"status": "ok"}


@when("a page of evil.example asks whether it may call")
def _(cast: Cast) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "GET"}
    cast("a stranger").ask("OPTIONS", "/api/alice/tasks", headers=asked)


@then("it is told no")
def _(cast: Cast) -> None:
    answer = cast("a stranger").answer
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")
    assert "access-control-allow-origin" not in answer.headers


@when("the frontend's page calls without a token")
def _(cast: Cast) -> None:
    cast("a stranger").ask("GET", "/api/alice/tasks", headers={"origin": ORIGIN})


@then("the page may read the refusal")
def _(cast: Cast) -> None:
    refused(cast("a stranger"), 401, "AUTH_MISSING")
    assert cast("a stranger").answer.headers["access-control-allow-origin"] == ORIGIN


# Documentation

OUTCOMES = {
    "success": {"200", "201", "204"},
    "no token": {"401"},
    "not yours": {"403"},
    "no such task": {"404"},
    "unreadable": {"400"},
    "broken rule": {"422"},
    "too large": {"413"},
    "our failure": {"500"},
    "not changed": {"304"},
    "outdated": {"412"},
}
OPERATIONS = [one for operations in contract.DOCUMENT["paths"].values() for one in operations.values()]
SUCCESSES = {"POST": "201", "DELETE": "204"}


@pytest.fixture
def pages() -> dict[str, httpx.Response]:
    """What a developer has open."""
    return {}


@pytest.fixture
def reading() -> dict[str, Any]:
    """What a developer saw in a browser, on each page."""
    return {}


@when("a developer reads the documentation")
def _(scenario_service: Service, pages: dict[str, httpx.Response]) -> None:
    pages["contract"] = attach(scenario_service.http.get("/openapi.json"))


def operation(pages: dict[str, httpx.Response], action: str) -> Any:
    """What the documentation says of one action."""
    method, _, one = ACTIONS[action].partition(" ")
    path = "/api/{user_id}/tasks" + ("/{task_id}" if one else "")
    return pages["contract"].json()["paths"][path][method.lower()]


@then("it has the six endpoints for tasks, and each asks for a token")
def _(pages: dict[str, httpx.Response]) -> None:
    document = pages["contract"].json()
    operations = [one for path, ones in document["paths"].items() if path.startswith("/api") for one in ones.values()]
    assert len(operations) == 6
    (scheme,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    assert all(operation["security"] == [{scheme: []}] for operation in operations)


@then("it has the schemas, with the limits of titles and descriptions")
def _(pages: dict[str, httpx.Response]) -> None:
    schemas = pages["contract"].json()["components"]["schemas"]
    inputs = {"TaskCreate", "TaskUpdate", "TaskPatch"}
    outputs = {"TaskResponse", "TaskListResponse", "Problem", "Health"}
    assert schemas.keys() - {"FieldError", "ErrorCode"} == inputs | outputs
    for name in inputs:
        properties = schemas[name]["properties"]
        assert (properties["title"]["minLength"], properties["title"]["maxLength"]) == (1, TITLE_MAX)
        assert properties["description"]["anyOf"][0]["maxLength"] == DESCRIPTION_MAX
        assert schemas[name]["additionalProperties"] is False
    assert [schemas[name].get("required") for name in ("TaskCreate", "TaskUpdate", "TaskPatch")] == [
        ["title"],
        ["title", "complete"],
        None,
    ]


@then(said("a request to {action:Action} can end exactly in {outcomes}"))
def _(pages: dict[str, httpx.Response], action: str, outcomes: str) -> None:
    answers = operation(pages, action)["responses"]
    success = SUCCESSES.get(ACTIONS[action].split()[0], "200")
    chosen = [OUTCOMES[name] if name != "success" else {success} for name in outcomes.split(", ")]
    expected = [status for statuses in chosen for status in statuses]
    assert sorted(answers) == sorted(expected)
    for status in answers.keys() & {"200", "201", "304"} if action != "list the tasks" else ():
        assert "ETag" in answers[status]["headers"]
    assert "content" not in answers.get("304", {})
    for status in answers.keys() - {success, "304"}:
        content = answers[status]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert content["examples"]


@when(said("a developer opens {page}"))
def _(scenario_service: Service, pages: dict[str, httpx.Response], page: str) -> None:
    pages["opened"] = attach(scenario_service.http.get(page))


@then("the page shows, and every part of it comes from the service itself")
def _(scenario_service: Service, pages: dict[str, httpx.Response]) -> None:
    opened = pages["opened"]
    assert opened.status_code == 200
    parts = re.findall(r'(?:src|href)="([^"]+)"', opened.text)
    assert len(parts) >= 2
    for part in parts:
        place = opened.url.join(part)
        assert place.host == opened.url.host
        assert attach(scenario_service.http.get(place)).status_code == 200
    assert "/openapi.json" in opened.text
    policy = dict(one.split(maxsplit=1) for one in opened.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    inline = re.findall(r"<script>(.*?)</script>", opened.text, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in inline]
    assert policy["script-src"].split() == ["'self'", *hashes]


@when("a developer uses both pages without internet access, and creates and lists tasks there as Alice")
def _(cast: Cast, service: Service, reading: dict[str, Any]) -> None:
    alice = cast("Alice")
    assert alice.token
    script, folder = NODE / "read-documentation.mjs", NODE.parents[1] / "build" / "pictures"
    command = ["node", str(script), service.url, alice.user_id, str(folder)]
    run = subprocess.run(command, input=alice.token, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - our own
    assert (run.returncode, run.stderr) == (0, "")
    reading.update(json.loads(run.stdout))


@then("both pages show the six endpoints for tasks, and every schema")
def _(reading: dict[str, Any]) -> None:
    operations = [one for one in OPERATIONS if one.get("security")]
    schemas = sorted(contract.DOCUMENT["components"]["schemas"])
    assert len(operations) == 6
    for page in ("docs", "redoc"):
        assert reading[page]["operations"] == [operation["summary"] for operation in operations]
        assert reading[page]["schemas"] == schemas


@then("what was tried out has worked")
def _(cast: Cast, database: Engine, reading: dict[str, Any]) -> None:
    created, listed = reading["docs"]["created"], reading["docs"]["listed"]
    assert (created["status"], listed["status"]) == (201, 200)
    assert listed["body"] == {"tasks": [created["body"]], "count": 1}
    has_exactly(cast("Alice"), database, [created["body"]["title"]])


@then("the pages asked other sites for nothing but a logo, which was blocked")
def _(reading: dict[str, Any]) -> None:
    # ReDoc asks for it under every page
    logo = "https://cdn.redoc.ly/redoc/logo-mini.svg"
    assert (reading["docs"]["elsewhere"], reading["docs"]["console"]) == ([], [])
    assert reading["redoc"]["elsewhere"] == [f"{logo} csp"]
    refused = f"Loading the image '{logo}' violates the following Content Security Policy directive: "
    assert reading["redoc"]["console"] == [f"{refused}\"img-src 'self' data:\". The action has been blocked."]


# Durability


@when("the database crashes and comes back")
def _(cluster: Cluster) -> None:
    cluster.crash()
    cluster.start()


@when(said("Alice creates the task {title:Quoted} while the database wakes up"))
def _(cast: Cast, cluster: Cluster, title: str) -> None:
    alice = cast("Alice")
    with ThreadPoolExecutor(1) as phone:
        sent = phone.submit(create, alice.service, alice.token, title)
        time.sleep(0.1)
        assert not sent.done()
        cluster.start()
    assert sent.result().status_code == 201


@when("Alice creates tasks one after another while the database crashes and comes back")
def _(cast: Cast, cluster: Cluster) -> None:
    alice, over = cast("Alice"), threading.Event()

    def go_on(phone: int) -> list[str]:
        titles = [f"Task {phone}-{place}" for place in range(1000)]
        told = ((title, create(alice.service, alice.token, title)) for title in titles if not over.is_set())
        return [title for title, answer in told if answer.status_code == 201]

    with ThreadPoolExecutor(4) as phones:
        lists = [phones.submit(go_on, phone) for phone in range(4)]
        time.sleep(1)
        cluster.crash()
        cluster.start()
        time.sleep(1)
        over.set()
    alice.tasks = {title: {} for confirmed in lists for title in confirmed.result()}


@then("the database holds each task that was confirmed once")
def _(cast: Cast, database: Engine) -> None:
    stored = titles_of(rows(database, "alice"))
    assert len(cast("Alice").tasks) >= 8
    assert set(cast("Alice").tasks) <= set(stored)
    assert len(stored) == len(set(stored))


@pytest.fixture
def moment(database: Engine) -> datetime:
    """When the scenario came to where it matters, on the database's clock."""
    with database.connect() as connection:
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now


@when(said("Alice creates {count:Number} tasks at once"))
def _(cast: Cast, count: int, moment: datetime) -> None:  # noqa: ARG001 - it is noted before they are created
    alice = cast("Alice")
    with ThreadPoolExecutor(count) as phones:
        answers = list(phones.map(lambda place: create(alice.service, alice.token, f"Task {place}"), range(count)))
    assert [answer.status_code for answer in answers] == [201] * count


def create(service: Service, bearer: str | None, title: str) -> httpx.Response:
    """Create a task for Alice without changing her state, since many threads do it at once."""
    headers = {"authorization": f"Bearer {bearer}"}
    answer = attach(service.http.post("/api/alice/tasks", json={"title": title}, headers=headers))
    contract.hold(answer)
    return answer


@then(said("the database holds each of the {count:Number} tasks once"))
def _(database: Engine, count: int) -> None:
    assert sorted(titles_of(rows(database, "alice"))) == sorted(f"Task {place}" for place in range(count))


@then(said("the service uses at most {count:Number} connections to the database"))
def _(database: Engine, count: int, moment: datetime) -> None:
    # other tests' services may have connections of their own to this database
    used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND query_start > :moment"
    with database.connect() as connection:
        assert 1 <= connection.execute(text(used), {"moment": moment}).scalar_one() <= count


@when("Alice's phone changes the title while her laptop completes the task")
def _(cast: Cast, database: Engine) -> None:
    alice = cast("Alice")
    (task,) = alice.tasks.values()
    path = alice.tasks_path(task)
    headers = {"authorization": f"Bearer {alice.token}"}
    changes = [{"title": "Buy oat milk"}, {"complete": True}]
    with database.connect() as lock, ThreadPoolExecutor(2) as devices:
        # both requests wait for the lock before either can write
        lock.execute(text("SELECT 1 FROM task WHERE user_id = :user_id AND id = :id FOR UPDATE"), task)
        sent = [devices.submit(alice.service.http.patch, path, json=change, headers=headers) for change in changes]
        time.sleep(0.3)
        assert not any(answer.done() for answer in sent)
        lock.rollback()
    assert [attach(answer.result()).status_code for answer in sent] == [200, 200]


@then("the task has the phone's title and the laptop's state")
def _(cast: Cast) -> None:
    alice = cast("Alice")
    (task,) = alice.tasks.values()
    alice.ask("GET", alice.tasks_path(task))
    assert (shown(alice)["title"], shown(alice)["complete"]) == ("Buy oat milk", True)
