"""The steps of the promises that cut across the stories."""

import json
import re
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from pytest_bdd import given, parsers, then, when
from sqlalchemy import Engine, text

from app.models import DESCRIPTION_MAX, TITLE_MAX
from steps.answers import shown, still_has, titles_of, told
from steps.vocabulary import ACTIONS, said
from tests.acceptance.evidence import attach
from tests.acceptance.redaction import keep_secret
from tests.support import contract
from tests.support.better_auth import NODE
from tests.support.cluster import Cluster
from tests.support.log import Log
from tests.support.people import Cast, Person
from tests.support.processes import todo_api
from tests.support.service import SECRET, Service, default_settings, service_in_process
from tests.support.tokens import claims, token

# Signing in


def changed(good: str) -> str:
    """The token with other claims and the same signature."""
    head, _, signature = good.split(".")
    body = jwt.utils.base64url_encode(str(claims("alice", exp=10**10)).encode()).decode()
    return f"{head}.{body}.{signature}"


MONTH = 31 * 24 * 3600
"""Seconds."""
FRESH = 1.0
"""Seconds from a token's signature to its answer: a busy machine may take longer, and time makes a token older."""


def now() -> int:
    """The time as tokens have it: whole seconds since the epoch."""
    return int(time.time())


TOKENS: dict[str, Callable[[], str]] = {
    "names her twice": lambda: token("alice"),
    "names her as its subject alone": lambda: token("alice", user_id=None),
    "names her as its user alone": lambda: token("alice", sub=None),
    "expired 8 seconds ago": lambda: token("alice", exp=now() - 8),
    "becomes valid in 8 seconds": lambda: token("alice", nbf=now() + 8),
    "will be issued in 8 seconds": lambda: token("alice", iat=now() + 8),
    "expires in 31 days": lambda: token("alice", exp=now() + MONTH),
    "is not a token at all": lambda: "open-sesame",
    "is signed with another secret": lambda: token("alice", secret="mallory-" * 8),
    "is not signed": lambda: jwt.encode(claims("alice"), "", algorithm="none"),
    "was changed after it was signed": lambda: changed(token("bob")),
    "expired 11 seconds ago": lambda: token("alice", exp=now() - 11),
    "never expires": lambda: token("alice", exp=None),
    "expires in 31 days and a minute": lambda: token("alice", exp=now() + MONTH + 60),
    "becomes valid in a minute": lambda: token("alice", nbf=now() + 60),
    "will be issued in a minute": lambda: token("alice", iat=now() + 60),
    "names nobody": lambda: token("alice", sub=None, user_id=None, email=None),
    "names her by email address alone": lambda: token("alice", sub=None, user_id=None),
    "names two different people": lambda: token("alice", sub="mallory"),
    "is far too long": lambda: token("alice", padding="x" * 8192),
}


@when(said("Alice lists her tasks with a token that {what}"))
def lists_with_token(cast: Cast, what: str) -> None:
    alice = cast("Alice")
    signed = 0.0
    while time.monotonic() - signed > FRESH:
        signed = time.monotonic()
        alice.token = TOKENS[what]()
        alice.ask("GET", alice.tasks_path())


@when(said("Mallory tries to list Alice's tasks with a token that {what}"))
def tries_with_token(cast: Cast, what: str) -> None:
    mallory = cast("Mallory")
    mallory.token = TOKENS[what]()
    mallory.ask("GET", cast("Alice").tasks_path())


@when("Mallory tries to list Alice's tasks with two tokens at once")
def tries_with_two_tokens(cast: Cast) -> None:
    alice, mallory = cast("Alice"), cast("Mallory")
    # each of the two would be accepted alone
    mallory.ask("GET", alice.tasks_path(), headers=[("authorization", f"Bearer {alice.token}")])


@when("Mallory tries to list Alice's tasks with a password")
def tries_with_password(cast: Cast) -> None:
    mallory = cast("Mallory")
    mallory.token = None
    mallory.ask("GET", cast("Alice").tasks_path(), headers={"authorization": "Basic YWxpY2U6c2VzYW1l"})


IDS: dict[str, Any] = {
    "is one letter": "a",
    "has 255 characters": "x" * 255,
    "has 255 umlauts": "ü" * 255,
    "has a space inside": "alice b",
    "has an accent and a quote": "Zoë O'Hara",
    "has a question mark": "who?",
    "is empty": "",
    "has 256 characters": "x" * 256,
    "begins with a space": " alice",
    "ends with a line break": "alice\n",
    "has a slash": "alice/tasks",
    "has an invisible NUL character": "ali\0ce",
    "has a broken character": "ali\ud800ce",
    "is a number": 4711,
}


@given(parsers.parse("somebody is signed in whose id {what}"), target_fixture="somebody")
def somebody_is_signed_in(cast: Cast, what: str) -> Person:
    somebody = cast("somebody")
    somebody.id_at_better_auth, somebody.token = IDS[what], token(IDS[what])
    return somebody


@when(said("they create the task {title:Quoted}"))
def they_create(somebody: Person, title: str) -> None:
    somebody.ask("POST", somebody.tasks_path(), json={"title": title})


@then(said("they have exactly the task {title:Quoted}, at an address of their own"))
def they_have(somebody: Person, title: str) -> None:
    task = shown(somebody, 201)
    assert task["user_id"] == somebody.user_id
    assert somebody.ledger.tasks_of(somebody.user_id) == [task]
    place = somebody.answer.headers["location"]
    assert place == f"{somebody.tasks_path()}/{task['id']}"
    assert titles_of([somebody.send("GET", place).json()]) == [title]


@when(said("Mallory tries to list Alice's tasks with a token for somebody whose id {what}"))
def tries_with_bad_id(cast: Cast, what: str) -> None:
    mallory = cast("Mallory")
    mallory.token = sign({"sub": IDS[what], "user_id": IDS[what]})
    mallory.ask("GET", cast("Alice").tasks_path())


def sign(values: dict[str, Any]) -> str:
    """Sign claims that PyJWT itself would refuse."""
    body = jwt.utils.base64url_encode(json.dumps(claims("alice") | values).encode()).decode()
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256"}).encode()).decode()
    signature = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{body}".encode(), SECRET.encode())
    return keep_secret(f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}")


# Everything that is stored of a person


@when(said("the operator deletes all that is stored of {who:Person}"))
def deletes_all(cast: Cast, cluster: Cluster, folder: Path, who: str) -> None:
    person = cast(who)
    deletion = todo_api(folder, "delete-user", person.user_id, DATABASE_URL=cluster.url)
    assert (deletion.returncode, deletion.stderr) == (0, "")
    person.ledger.forget(person.user_id)


@then(said("nothing is stored of {who:Person}"))
def nothing_is_stored(cast: Cast, database: Engine, who: str) -> None:
    everything = "SELECT user_id FROM task UNION ALL SELECT user_id FROM idempotency_key"
    with database.connect() as connection:
        assert cast(who).user_id not in connection.execute(text(everything)).scalars().all()


# Failing well


@given("the database is stopped")
def database_is_stopped(cluster: Cluster) -> None:
    cluster.stop()


@given("the database is frozen")
def database_is_frozen(cluster: Cluster) -> None:
    cluster.freeze()


def waiting(database: Engine) -> int:
    """How many of the service's statements are at work or wait in the database."""
    count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND state = 'active'")
    with database.connect() as connection:
        return int(connection.execute(count).scalar_one())


@given("somebody holds a lock on all tasks", target_fixture="has_waited")
def holds_lock(database: Engine) -> Iterator[Future[bool]]:
    """Hold it until the scenario's end; tell whether a statement of the service's comes to wait within five seconds."""

    def look() -> bool:
        end = time.monotonic() + 5
        while waiting(database) == 0 and time.monotonic() < end:
            time.sleep(0.05)
        return time.monotonic() < end

    with database.connect() as lock, ThreadPoolExecutor(1) as watcher:
        lock.execute(text("LOCK TABLE task IN EXCLUSIVE MODE"))
        yield watcher.submit(look)


@given("the database has been restarted")
def database_has_been_restarted(cluster: Cluster) -> None:
    cluster.stop()
    cluster.start()


@then("nothing of hers is left waiting in the database")
def leaves_nothing_waiting(database: Engine, has_waited: Future[bool]) -> None:
    assert has_waited.result()
    end = time.monotonic() + 3  # the server checks once a second
    while waiting(database) > 0:
        assert time.monotonic() < end
        time.sleep(0.1)


UNEXPECTED = "the wheel came off"


@given("a part of the service fails in a way that nobody expected")
def part_fails(cast: Cast, cluster: Cluster, broken: ExitStack) -> None:
    cast.service = broken.enter_context(service_in_process(default_settings(cluster.url)))
    assert cast.service.app

    async def fail() -> None:
        raise RuntimeError(UNEXPECTED)

    cast.service.app.add_api_route("/api/{user_id}/part", fail)


@pytest.fixture
def broken() -> Iterator[ExitStack]:
    """A service of the scenario's own; it ends with it."""
    with ExitStack() as stack:
        yield stack


@when("Alice tries to use that part", target_fixture="failure_log")
def tries_to_use_part(cast: Cast, capsys: pytest.CaptureFixture[str]) -> str:
    log = Log(capsys)
    cast("Alice").ask("GET", "/api/alice/part")
    return log.read()


@then("the log, and it alone, names the failure")
def log_names_failure(cast: Cast, failure_log: str) -> None:
    answer = cast("Alice").answer
    (line,) = [json.loads(line) for line in failure_log.splitlines()]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["error_code"] == "INTERNAL_ERROR"
    assert line["exception"][-1] == "RuntimeError"
    for word in ("RuntimeError", UNEXPECTED):
        assert word not in answer.text
        assert word not in str(answer.headers)


@then("Alice gets the refusal that any unsupported action gets")
def gets_usual_refusal(cast: Cast) -> None:
    alice = cast("Alice")
    assert alice.answer.status_code == 405
    assert alice.answer.content == b""
    same = alice.send("DELETE", alice.tasks_path())
    lengths = {"x-request-id", "date"}
    assert {k: v for k, v in alice.answer.headers.items() if k not in lengths} == {
        k: v for k, v in same.headers.items() if k not in lengths
    }


@then(said("once the database is back, {who:Person} still has exactly the tasks {titles:Titles}"))
def still_has_once_database_is_back(cast: Cast, cluster: Cluster, who: str, titles: list[str]) -> None:
    cluster.start()
    cast(who).ledger.settle()
    cast(who).ask("GET", cast(who).tasks_path())
    still_has(cast(who), titles)


OK = {"status": "ok"}
AT_ONCE = 0.5
"""Seconds."""


@pytest.fixture
def probes() -> dict[str, Person]:
    """The load balancer, with the answer to each of its questions."""
    return {}


@when("the load balancer asks whether the service is up, and whether it is ready")
def asks_for_health(cast: Cast, probes: dict[str, Person]) -> None:
    ask_for_health(cast, probes, "")


def ask_for_health(cast: Cast, probes: dict[str, Person], address: str) -> None:
    """Ask both at the same time, at this address."""
    balancer = cast("a load balancer")
    for path in ("/health", "/health/ready"):
        probes[path] = balancer.on_another_device()
    with balancer.ledger.at_once(), ThreadPoolExecutor(2) as hands:
        asked = [hands.submit(probe.ask, "GET", address + path) for path, probe in probes.items()]
    for question in asked:
        question.result()


@then("it is told at once that the service is up, and within 2 seconds that it is not ready")
def is_told_up_and_not_ready(probes: dict[str, Person]) -> None:
    assert shown(probes["/health"]) == OK
    assert probes["/health"].waited < AT_ONCE
    told(probes["/health/ready"].answer, "Your data can't be reached right now; please try again.")
    assert probes["/health/ready"].answer.status_code == 503
    assert probes["/health/ready"].waited < 2


@then("once the database is back, it is told that the service is ready")
def is_told_ready(cast: Cast, cluster: Cluster) -> None:
    cluster.start()
    assert cast("a load balancer").ask("GET", "/health/ready").json() == OK


# Documentation

OPERATIONS = [one for operations in contract.DOCUMENT["paths"].values() for one in operations.values()]


@pytest.fixture
def pages() -> dict[str, httpx.Response]:
    """What a developer has open."""
    return {}


@pytest.fixture
def reading() -> dict[str, Any]:
    """What a developer saw in a browser, on each page."""
    return {}


@when("a developer reads the documentation")
def reads_documentation(scenario_service: Service, pages: dict[str, httpx.Response]) -> None:
    pages["contract"] = attach(scenario_service.http.get("/openapi.json"))


def operation(pages: dict[str, httpx.Response], action: str) -> Any:
    """What the documentation says of one action."""
    method, _, one = ACTIONS[action].partition(" ")
    path = "/api/{user_id}/tasks" + ("/{task_id}" if one else "")
    return pages["contract"].json()["paths"][path][method.lower()]


@then("it has the six endpoints for tasks, and each asks for a token")
def has_six_endpoints(pages: dict[str, httpx.Response]) -> None:
    document = pages["contract"].json()
    operations = [one for path, ones in document["paths"].items() if path.startswith("/api") for one in ones.values()]
    assert len(operations) == 6
    (scheme,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    assert all(operation["security"] == [{scheme: []}] for operation in operations)


@then("it has the schemas, with the limits of titles and descriptions")
def has_schemas(pages: dict[str, httpx.Response]) -> None:
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


@then(said("a request to {action:Action} can end exactly with {statuses}"))
def can_end_with(pages: dict[str, httpx.Response], action: str, statuses: str) -> None:
    answers = operation(pages, action)["responses"]
    assert sorted(answers) == sorted(statuses.split(", "))
    for status in answers.keys() & {"200", "201", "304"} if action != "list the tasks" else ():
        assert "ETag" in answers[status]["headers"]
    assert "content" not in answers.get("304", {})
    for status in [status for status in answers if status >= "400"]:
        content = answers[status]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert content["examples"]


@when(said("a developer opens {page}"))
def opens_page(scenario_service: Service, pages: dict[str, httpx.Response], page: str) -> None:
    pages["opened"] = attach(scenario_service.http.get(page))


@then("the page shows, and every part of it comes from the service itself")
def page_shows_its_own_parts(scenario_service: Service, pages: dict[str, httpx.Response]) -> None:
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
def uses_pages_in_browser(cast: Cast, service: Service, reading: dict[str, Any]) -> None:
    alice = cast("Alice")
    assert alice.token
    script, folder = NODE / "read-documentation.mjs", NODE.parents[1] / "build" / "pictures"
    command = ["node", str(script), service.url, alice.user_id, str(folder)]
    run = subprocess.run(command, input=alice.token, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - our own
    assert (run.returncode, run.stderr) == (0, "")
    reading.update(json.loads(run.stdout))
    alice.ledger.learn(alice.user_id)  # the browser has created it


@then("both pages show the six endpoints for tasks, and every schema")
def pages_show_everything(reading: dict[str, Any]) -> None:
    operations = [one for one in OPERATIONS if one.get("security")]
    schemas = sorted(contract.DOCUMENT["components"]["schemas"])
    assert len(operations) == 6
    for page in ("docs", "redoc"):
        assert reading[page]["operations"] == [operation["summary"] for operation in operations]
        assert reading[page]["schemas"] == schemas


@then("what was tried out has worked")
def trial_has_worked(cast: Cast, reading: dict[str, Any]) -> None:
    created, listed = reading["docs"]["created"], reading["docs"]["listed"]
    assert (created["status"], listed["status"]) == (201, 200)
    assert listed["body"] == {"tasks": [created["body"]], "count": 1}
    assert cast("Alice").ledger.tasks_of("alice") == listed["body"]["tasks"]


@then("the pages asked other sites for nothing but a logo, which was blocked")
def asked_other_sites_for_logo(reading: dict[str, Any]) -> None:
    # ReDoc asks for it under every page
    logo = "https://cdn.redoc.ly/redoc/logo-mini.svg"
    assert (reading["docs"]["elsewhere"], reading["docs"]["console"]) == ([], [])
    assert reading["redoc"]["elsewhere"] == [f"{logo} csp"]
    refused = f"Loading the image '{logo}' violates the following Content Security Policy directive: "
    assert reading["redoc"]["console"] == [f"{refused}\"img-src 'self' data:\". The action has been blocked."]


# Durability


@when("the database is killed and started again")
def kills_the_database(cluster: Cluster) -> None:
    cluster.crash()
    cluster.start()


@when(said("Alice creates the task {title:Quoted} while the database wakes up"))
def creates_during_wake_up(cast: Cast, cluster: Cluster, title: str) -> None:
    alice = cast("Alice")
    with alice.ledger.at_once(), ThreadPoolExecutor(1) as phone:
        sent = phone.submit(create, alice, title)
        time.sleep(0.1)
        assert not sent.done()
        cluster.start()
    assert sent.result().status_code == 201


def create(person: Person, title: str) -> httpx.Response:
    """Create a task on one of many devices."""
    return person.send("POST", person.tasks_path(), json={"title": title})


@when("Alice creates tasks one after another while the database crashes and comes back")
def creates_during_crash(cast: Cast, cluster: Cluster) -> None:
    alice, over = cast("Alice"), threading.Event()

    def go_on(phone: int) -> list[str]:
        titles = [f"Task {phone}-{place}" for place in range(1000)]
        answers = ((title, create(alice, title)) for title in titles if not over.is_set())
        return [title for title, answer in answers if answer.status_code == 201]

    with alice.ledger.at_once(crash=True), ThreadPoolExecutor(4) as phones:
        lists = [phones.submit(go_on, phone) for phone in range(4)]
        time.sleep(1)
        cluster.crash()
        cluster.start()
        time.sleep(1)
        over.set()
    alice.tasks = {title: {} for confirmed in lists for title in confirmed.result()}


@then("each task that was confirmed is in the database, and no task is there twice")
def holds_what_was_confirmed(cast: Cast) -> None:
    alice = cast("Alice")
    stored = titles_of(alice.ledger.tasks_of(alice.user_id))
    assert len(alice.tasks) >= 8
    assert set(alice.tasks) <= set(stored)
    assert len(stored) == len(set(stored))


@when(said("Alice creates {count:Number} tasks at once"), target_fixture="moment")
def creates_many_at_once(cast: Cast, database: Engine, count: int) -> datetime:
    """Give the time just before, on the database's clock."""
    alice = cast("Alice")
    with database.connect() as connection:
        moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    with alice.ledger.at_once(), ThreadPoolExecutor(count) as phones:
        answers = list(phones.map(lambda place: create(alice, f"Task {place}"), range(count)))
    assert [answer.status_code for answer in answers] == [201] * count
    return moment


@then(said("the database holds each of the {count:Number} tasks once"))
def holds_each_once(cast: Cast, count: int) -> None:
    stored = titles_of(cast("Alice").ledger.tasks_of("alice"))
    assert sorted(stored) == sorted(f"Task {place}" for place in range(count))


@then(said("the service uses at most {count:Number} connections to the database"))
def uses_few_connections(database: Engine, count: int, moment: datetime) -> None:
    # other tests' services may have connections of their own to this database
    used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-api' AND query_start > :moment"
    with database.connect() as connection:
        assert 1 <= connection.execute(text(used), {"moment": moment}).scalar_one() <= count


@when(said("Alice's phone changes the title to {title:Quoted} while her laptop completes the task"))
def changes_on_two_devices(cast: Cast, database: Engine, title: str) -> None:
    alice = cast("Alice")
    (task,) = alice.tasks.values()
    path = alice.tasks_path(task)
    changes = [{"title": title}, {"complete": True}]
    with alice.ledger.at_once(), database.connect() as lock, ThreadPoolExecutor(2) as devices:
        # both requests wait for the lock before either can write
        lock.execute(text("SELECT 1 FROM task WHERE user_id = :user_id AND id = :id FOR UPDATE"), task)
        sent = [devices.submit(alice.send, "PATCH", path, json=change) for change in changes]
        time.sleep(0.3)
        assert not any(answer.done() for answer in sent)
        lock.rollback()
    assert [answer.result().status_code for answer in sent] == [200, 200]
