"""The steps about failures: of the database, of the service itself, and of time."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from pytest_bdd import given, then, when
from sqlalchemy import Engine, text

from steps.answers import shown, still_has, told
from steps.inputs import TASK
from steps.keeping_private import attempt
from steps.vocabulary import said
from tests.support.cluster import Cluster
from tests.support.log import Log
from tests.support.people import Cast, Person
from tests.support.service import default_settings, service_in_process


@then("the answer says that a list can be read and added to")
def says_what_a_list_allows(cast: Cast) -> None:
    assert cast("Alice").answer.headers["allow"] == "GET, POST"


@when(said("{who:Person} tries to add a task to the task {title:Quoted}"))
def tries_to_add_to_task(cast: Cast, who: str, title: str) -> None:
    cast(who).ask("POST", cast(who).tasks_path(cast(who).tasks[title]), json=TASK)


@then("the answer says that a task can be read, replaced, changed and deleted")
def says_what_a_task_allows(cast: Cast) -> None:
    assert cast("Alice").answer.headers["allow"] == "DELETE, GET, PATCH, PUT"


@then(said("Alice is told on each device within {seconds:Number} seconds {sentence:Quoted}"))
def is_told_on_each_device(devices: list[Person], seconds: int, sentence: str) -> None:
    for device in devices:
        told(device.answer, sentence)
        assert device.waited < seconds


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


@then(said("once the database is back, {who:Person} still has exactly the {titles:Tasks}"))
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


@pytest.fixture
def devices() -> list[Person]:
    """Alice on each of her devices, where she does several things at once."""
    return []


@when("Alice tries to do all of this at once, each on another device:")
def tries_on_devices(cast: Cast, devices: list[Person], datatable: list[list[str]]) -> None:
    alice = cast("Alice")
    devices += [alice.on_another_device() for _ in datatable]
    with alice.ledger.at_once(), ThreadPoolExecutor(len(devices)) as hands:
        tried = [
            hands.submit(attempt, one, action, one, one) for one, (action,) in zip(devices, datatable, strict=True)
        ]
    for one in tried:
        one.result()


@when(said("{who:Person} tries to ask for the headers of {_:Whose} list alone"))
def asks_for_headers(cast: Cast, who: str) -> None:
    cast(who).ask("HEAD", cast(who).tasks_path())
