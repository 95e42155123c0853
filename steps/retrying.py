"""The steps of sending a task again (Idempotency-Key)."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pytest_bdd import given, then, when
from sqlalchemy import Engine, text

from steps.answers import shown, titles_of
from steps.vocabulary import said
from tests.support.cluster import Cluster
from tests.support.ledger import first_answer
from tests.support.people import Cast, Person
from tests.support.service import RunService

HEADER = "Idempotency-Key"


KEPT = timedelta(days=1)


GOOD_KEYS = {
    "of one letter": "x",
    "of 255 letters": "x" * 255,
    "with a space": "one two",
    "with punctuation": "'; DROP TABLE task; --",
}

BAD_KEYS: dict[str, list[tuple[str, str | bytes]]] = {
    "an empty Idempotency-Key": [(HEADER, "")],
    "an Idempotency-Key of 256 letters": [(HEADER, "x" * 256)],
    "an Idempotency-Key with an umlaut": [(HEADER, "k\u00e4y".encode("latin-1"))],
    "an Idempotency-Key with a tab": [(HEADER, "one\ttwo")],
    "two Idempotency-Keys": [(HEADER, "one"), (HEADER, "one")],
}


@pytest.fixture
def memory() -> dict[str, Any]:
    """What the phone or the tabs of a scenario have received."""
    return {}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What the scenario has started, and must be stopped at its end."""
    with ExitStack() as stack:
        yield stack


def send(person: Person, title: str, key: str, **fields: str) -> httpx.Response:
    """Create a task with an Idempotency-Key."""
    return person.ask("POST", person.tasks_path(), json={"title": title, **fields}, headers={HEADER: key})


@given(said("Alice's phone has sent the task {title:Quoted} and lost the answer"))
def has_sent_and_lost_answer(cast: Cast, memory: dict[str, Any], title: str) -> None:
    memory |= {"title": title, "first": send(cast("Alice"), title, "phone")}
    cast("Alice").tasks[title] = shown(cast("Alice"), 201)


@given(
    said("Alice's phone has sent the task {title:Quoted}, and the database has stored it and crashed before answering")
)
def has_sent_and_database_stored(
    cast: Cast, cluster: Cluster, database: Engine, memory: dict[str, Any], title: str
) -> None:
    alice = cast("Alice")
    memory["title"] = title
    with alice.ledger.at_once(crash=True), unconfirmed_commits(database), in_flight(alice, database, title, "SyncRep"):
        cluster.crash()
        cluster.start()
    assert titles_of(alice.ledger.tasks_of("alice")) == [title]


@given(said("Alice's phone has sent the task {title:Quoted}, and the database has crashed before it could store it"))
def has_sent_and_database_crashed(
    cast: Cast, cluster: Cluster, database: Engine, memory: dict[str, Any], title: str
) -> None:
    memory["title"] = title
    with database.connect() as lock:
        lock.execute(text("LOCK TABLE task IN SHARE MODE"))
        with in_flight(cast("Alice"), database, title, "relation"):
            cluster.crash()
        lock.invalidate()
    cluster.start()
    assert cast("Alice").ledger.tasks_of("alice") == []


@contextmanager
def unconfirmed_commits(database: Engine) -> Iterator[None]:
    """Let commits reach the disk without being confirmed: they wait for a standby that does not exist."""
    try:
        wait_for_standby(database, "nobody")
        # On Citus a worker commits the rows, and this server waits only for what it writes itself: after a checkpoint
        # the next id is written to the log.
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))
        yield
    finally:
        wait_for_standby(database, "")


def wait_for_standby(database: Engine, name: str) -> None:
    """Make commits wait for this standby, or for none if the name is empty."""
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'"))
        connection.execute(text("SELECT pg_reload_conf()"))
        until(lambda: connection.execute(text("SHOW synchronous_standby_names")).scalar_one() == name)


@contextmanager
def in_flight(person: Person, database: Engine, title: str, event: str) -> Iterator[None]:
    """Send a task from the person's phone, and go on once its statement waits for this event; it is not answered."""
    with ThreadPoolExecutor(1) as phone:
        sent = phone.submit(send, person, title, "phone")
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = :event")
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            until(lambda: connection.execute(waiting, {"event": event}).scalar_one() == 1)
        yield
        assert sent.result().status_code == 500


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for five seconds at most."""
    give_up = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@given("the service has been restarted")
def service_has_been_restarted(cast: Cast, stack: ExitStack, run_service: RunService) -> None:
    alice = cast("Alice")
    alice.service = stack.enter_context(run_service(alice.service.settings))


@given(said("{hours:Number} hours and {count:Number} {unit:w} have passed"))
def time_has_passed(cast: Cast, database: Engine, hours: int, count: int, unit: str) -> None:
    age = timedelta(**{"hours": hours, f"{unit.rstrip('s')}s": count})
    # Citus refuses `timestamptz - interval`, which depends on the session's time zone
    earlier = "UPDATE idempotency_key SET created_at = timezone('UTC', timezone('UTC', created_at) - :age)"
    with database.begin() as connection:
        connection.execute(text(earlier), {"age": age})
    cast("Alice").ledger.let_keys_age(lapsed=age > KEPT)


@given(said("{who:Person} has created the task {title:Quoted} with the Idempotency-Key {key:Quoted}"))
def has_created_with_key(cast: Cast, who: str, title: str, key: str) -> None:
    send(cast(who), title, key)
    cast(who).tasks[title] = shown(cast(who), 201)


@when("Alice's phone sends it again")
def sends_again(cast: Cast, memory: dict[str, Any]) -> None:
    send(cast("Alice"), memory["title"], "phone")


@when(said("Alice's phone sends the task {title:Quoted} {count:Number} times at once"))
def sends_many_at_once(cast: Cast, memory: dict[str, Any], title: str, count: int) -> None:
    alice, key, body = cast("Alice"), {HEADER: "phone"}, {"title": title}
    with alice.ledger.at_once(), ThreadPoolExecutor(count) as phone:
        sent = [phone.submit(alice.send, "POST", alice.tasks_path(), headers=key, json=body) for _ in range(count)]
    memory["answers"] = [answer.result() for answer in sent]


@when(said("{who:Person} creates the task {title:Quoted} with the Idempotency-Key {key:Quoted}"))
@when(said("{who:Person} tries to create the task {title:Quoted} with the Idempotency-Key {key:Quoted}"))
def creates_with_key(cast: Cast, who: str, title: str, key: str) -> None:
    send(cast(who), title, key)


WITH_DESCRIPTION = "the task {title:Quoted} with the description {text:Quoted} and the Idempotency-Key {key:Quoted}"


@when(said(f"{{who:Person}} creates {WITH_DESCRIPTION}"))
@when(said(f"{{who:Person}} tries to create {WITH_DESCRIPTION}"))
def creates_with_description_and_key(cast: Cast, who: str, title: str, text: str, key: str) -> None:
    send(cast(who), title, key, description=text)


@given(said("{who:Person} has created the task {title:Quoted} with an Idempotency-Key {kind}"))
def has_created_with_good_key(cast: Cast, who: str, title: str, kind: str) -> None:
    has_created_with_key(cast, who, title, GOOD_KEYS[kind])


@when(said("{who:Person} creates the task {title:Quoted} with an Idempotency-Key {kind} again"))
def creates_with_good_key_again(cast: Cast, who: str, title: str, kind: str) -> None:
    send(cast(who), title, GOOD_KEYS[kind])


@when(said("{who:Person} tries to send the task {title:Quoted} with {what}"))
def tries_with_bad_key(cast: Cast, who: str, title: str, what: str) -> None:
    cast(who).ask("POST", cast(who).tasks_path(), json={"title": title}, headers=BAD_KEYS[what])


@then("Alice's phone gets the first answer again, unchanged")
def gets_first_answer_again(cast: Cast, memory: dict[str, Any]) -> None:
    assert first_answer(cast("Alice").answer) == first_answer(memory["first"])


@then(said("all {count:Number} answers are the same"))
def all_get_the_same(memory: dict[str, Any], count: int) -> None:
    assert len(memory["answers"]) == count
    assert len({first_answer(answer) for answer in memory["answers"]}) == 1
    assert memory["answers"][0].status_code == 201
