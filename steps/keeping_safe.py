"""The steps about what is stored while the database crashes, restarts or is used by many."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
from pytest_bdd import given, then, when
from sqlalchemy import Engine, text

from steps.answers import titles_of
from steps.vocabulary import said
from tests.support.cluster import Cluster
from tests.support.people import Cast, Person


@given("the database has been restarted")
def database_has_been_restarted(cluster: Cluster) -> None:
    cluster.stop()
    cluster.start()


@when("the database crashes and is started again")
def crashes_the_database(cast: Cast, cluster: Cluster) -> None:
    cluster.crash()
    cluster.start()
    cast("Alice").ledger.settle()


@when(said("Alice creates the task {title:Quoted} while the database is started again"))
def creates_during_start(cast: Cast, cluster: Cluster, title: str) -> None:
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
    with alice.ledger.at_once(), database.connect() as lock, ThreadPoolExecutor(count) as phones:
        # all requests are under way before any can write, so that each connection that may be used is used
        lock.execute(text("LOCK TABLE task IN SHARE MODE"))
        sent = [phones.submit(create, alice, f"Task {place}") for place in range(count)]
        time.sleep(1)
        assert not any(answer.done() for answer in sent)
        lock.rollback()
    assert [answer.result().status_code for answer in sent] == [201] * count
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
    path = alice.tasks_path(alice.task)
    changes = [{"title": title}, {"complete": True}]
    with alice.ledger.at_once(), database.connect() as lock, ThreadPoolExecutor(2) as devices:
        # both requests wait for the lock before either can write
        lock.execute(text("SELECT 1 FROM task WHERE user_id = :user_id AND id = :id FOR UPDATE"), alice.task)
        sent = [devices.submit(alice.send, "PATCH", path, json=change) for change in changes]
        time.sleep(0.3)
        assert not any(answer.done() for answer in sent)
        lock.rollback()
    assert [answer.result().status_code for answer in sent] == [200, 200]
