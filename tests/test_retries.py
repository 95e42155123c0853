"""Idempotency keys and entity tags in detail: forms of headers, clean-up, statements, concurrency."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.support.cluster import Cluster
from tests.support.factories import make_task, rows
from tests.support.people import Cast, Person
from tests.support.service import ORIGIN, running_service, settings_for

KEY = "Idempotency-Key"
Headers = list[tuple[str, str]]


@pytest.fixture
def alice(cast: Cast) -> Person:
    """Alice, without a task."""
    return cast("Alice")


def post(person: Person, key: str | None = None, body: Any = None) -> httpx.Response:
    """Create a task."""
    headers = {} if key is None else {KEY: key}
    return person.ask("POST", person.tasks_path(), json=body or {"title": "Buy milk"}, headers=headers)


def keys(database: Engine) -> list[str]:
    """The keys that are kept, whoever's."""
    with database.connect() as connection:
        return list(connection.execute(text("SELECT key FROM idempotency_key ORDER BY key")).scalars())


def age(database: Engine, hours: float) -> None:
    """Let time pass for all keys."""
    with database.begin() as connection:
        connection.execute(
            text(
                "UPDATE idempotency_key"
                " SET created_at = timezone('UTC', timezone('UTC', created_at) - :hours * interval '1 hour')"
            ),
            {"hours": hours},
        )


# Keys


@pytest.mark.parametrize("key", ["x", "a ~", "x" * 255, '"8e03978e-40d5-43e8"', "a, b", "'; DROP TABLE task; --", "%s"])
def test_any_printable_ascii_is_a_key(alice: Person, database: Engine, key: str) -> None:
    """It is taken as it is: quotes, commas and all; only white space around it is HTTP's."""
    first = post(alice, key)
    assert post(alice, key).content == first.content
    assert keys(database) == [key]
    assert len(rows(database, "alice")) == 1


@pytest.mark.parametrize(
    ("again", "same"),
    [
        (b'{"title":"Buy milk","description":null}', True),
        (b'{"description": null, "title": "  Buy milk "}', True),
        (b'{"title": "Buy\\u0020milk"}', True),
        (b'{"title": "Buy milk", "description": ""}', False),
        (b'{"title": "buy milk"}', False),
    ],
)
def test_what_is_meant_counts_not_how_it_is_written(alice: Person, database: Engine, again: bytes, same: bool) -> None:
    """The fingerprint is taken of the values, after they were validated."""
    first = post(alice, "one")
    answer = alice.ask(
        "POST", alice.tasks_path(), content=again, headers={KEY: "one", "content-type": "application/json"}
    )
    assert answer.status_code == (201 if same else 422)
    assert (answer.content == first.content) == same
    assert len(rows(database, "alice")) == 1


def test_a_refused_task_leaves_its_key_free(alice: Person, database: Engine) -> None:
    """The first answer is the first task's, not the first complaint."""
    assert post(alice, "one", {"title": ""}).status_code == 422
    assert keys(database) == []
    assert post(alice, "one").status_code == 201


def test_the_first_answer_outlives_its_task_by_a_day(alice: Person, database: Engine) -> None:
    """Neither the task's end nor its changes have a say in it."""
    first = post(alice, "one")
    age(database, 23.9)
    alice.ask("DELETE", first.headers["location"])
    assert post(alice, "one").content == first.content
    age(database, 0.2)
    again = post(alice, "one")
    assert (again.status_code, again.json()["id"] > first.json()["id"]) == (201, True)
    assert post(alice, "one").content == again.content
    assert [row["id"] for row in rows(database, "alice")] == [again.json()["id"]]


def test_the_lifetime_is_a_setting(cluster: Cluster, database: Engine) -> None:
    """IDEMPOTENCY_HOURS."""
    with running_service(settings_for(cluster.url, idempotency_hours=1)) as service:
        alice = Cast(service)("Alice")
        first = post(alice, "one")
        age(database, 0.9)
        assert post(alice, "one").content == first.content
        age(database, 0.2)
        assert post(alice, "one").content != first.content


def test_expired_keys_go_with_the_next_request(cast: Cast, database: Engine) -> None:
    """A hundred at most for each request, one's own alone, and never a live one."""
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO idempotency_key"
                " SELECT owner, (ARRAY['early-', 'old-'])[1 + place % 2] || place, '', '{}',"
                " now() - interval '25 hours'"
                " FROM unnest(ARRAY['alice', 'bob']) owner, generate_series(1, 150) place"
            )
        )
    post(cast("Alice"), "live")
    counted = [(150, 51), (150, 2)]
    for bobs, alices in counted:
        with database.connect() as connection:
            found = connection.execute(
                text("SELECT user_id, count(*) FROM idempotency_key GROUP BY user_id ORDER BY user_id")
            )
            assert [tuple(row) for row in found] == [("alice", alices), ("bob", bobs)]
        post(cast("Alice"), "next")
    assert {"live", "next"} <= set(keys(database))


def test_a_request_without_a_key_keeps_nothing(alice: Person, database: Engine) -> None:
    """The key table is for those who ask for it."""
    assert post(alice).json()["id"] != post(alice).json()["id"]
    assert keys(database) == []


def test_nobody_waits_to_clear_away(alice: Person, database: Engine) -> None:
    """What another request is at work on is left to it: two that waited for each other would both fail."""
    post(alice, "old")
    age(database, 25)
    with database.connect() as other:
        other.execute(text("SELECT 1 FROM idempotency_key WHERE user_id = 'alice' AND key = 'old' FOR UPDATE"))
        assert post(alice, "new").status_code == 201
        other.rollback()
    assert keys(database) == ["new", "old"]
    post(alice, "next")
    assert keys(database) == ["new", "next"]


def sending(person: Person) -> tuple[str, str]:
    """Where tasks are sent."""
    return "POST", person.tasks_path()


def under(key: str, title: str = "Buy milk") -> dict[str, Any]:
    """A task under a key."""
    return {"json": {"title": title}, "headers": {KEY: key}}


def test_one_of_two_tasks_that_race_for_a_key_is_refused(alice: Person, database: Engine) -> None:
    """The first has it, and the others are told so, once the first is stored."""
    titles = [f"Task {number % 2}" for number in range(50)]
    with ThreadPoolExecutor(50) as phones:
        answers = list(
            phones.map(lambda title: Cast(alice.service)("Alice").ask(*sending(alice), **under("one", title)), titles)
        )
    (row,) = rows(database, "alice")
    for title, answer in zip(titles, answers, strict=True):
        assert answer.status_code == (201 if title == row["title"] else 422)
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1


def test_a_duplicate_waits_for_the_first_one(alice: Person, database: Engine) -> None:
    """It is not refused, and does not go by what it saw when it came."""
    moment = "2025-12-20T11:30:00.000000Z"
    kept = {"id": 7, "user_id": "alice", "title": "Then", "description": "d", "complete": True}
    kept |= {"created_at": moment, "updated_at": moment}
    with database.connect() as first, ThreadPoolExecutor(1) as phone:
        first.execute(
            text("INSERT INTO idempotency_key VALUES ('alice', 'one', sha256(:body), :task)"),
            {"body": b'{"title":"Buy milk"}', "task": json.dumps(kept)},
        )
        waiting = phone.submit(
            alice.service.http.post,
            alice.tasks_path(),
            json={"title": "Buy milk"},
            headers={KEY: "one", "authorization": f"Bearer {alice.token}"},
        )
        time.sleep(0.3)
        assert not waiting.done()
        first.commit()
    answer = waiting.result()
    assert (answer.status_code, answer.json()) == (201, kept)
    assert (answer.headers["location"], answer.headers["etag"]) == ("/api/alice/tasks/7", f'"{moment}"')
    assert rows(database, "alice") == []


# Tags

NOT_OURS = ['"x"', '"a,b"', '""', '"x", "y"', '"é"', "'; --", "{}", "%s"]
MALFORMED = ["", ",", "{bare}", '"{bare}', '{bare}"', "'{bare}'", 'w/"{bare}"', '*, "x"', '"*"', 'x"{bare}"']
MATCHING: list[list[str]] = [
    ['"{bare}"'],
    ['"x", "{bare}"'],
    ['"{bare}","x"'],
    ['"a,b" ,\t"{bare}" , "c"'],
    ['W/"{bare}", "{bare}"'],
    [', "{bare}",,'],
    ['"x"', '"{bare}"'],
    ["*"],
]


def with_tag(forms: list[str], tag: str, header: str) -> Headers:
    """The header's lines, with the task's tag put in where the form wants it."""
    return [(header, form.replace("{bare}", tag.strip('"'))) for form in forms]


def seen(person: Person, task: Any) -> str:
    """The task's tag."""
    tag: str = person.ask("GET", person.tasks_path(task)).headers["etag"]
    return tag


@pytest.mark.parametrize("forms", MATCHING, ids=str)
@pytest.mark.parametrize(("method", "body"), [("PUT", {"title": "New", "complete": True}), ("PATCH", {"title": "New"})])
def test_a_change_is_made_where_a_tag_matches(
    alice: Person, database: Engine, forms: list[str], method: str, body: Any
) -> None:
    """One of the list is enough, on one line or several (RFC 9110, 13.1.1)."""
    task = make_task(database, user_id="alice")
    answer = alice.ask(
        method, alice.tasks_path(task), json=body, headers=with_tag(forms, seen(alice, task), "If-Match")
    )
    assert answer.status_code == 200
    assert rows(database, "alice")[0]["title"] == "New"
    assert answer.headers["etag"] == seen(alice, task)


@pytest.mark.parametrize("form", [*NOT_OURS, *MALFORMED, 'W/"{bare}"'])
@pytest.mark.parametrize(
    ("method", "body"), [("PUT", {"title": "New", "complete": True}), ("PATCH", {"title": "New"}), ("DELETE", None)]
)
def test_a_change_is_refused_where_no_tag_matches(
    alice: Person, database: Engine, form: str, method: str, body: Any
) -> None:
    """A weak tag never matches here; what is no tag is none of the task's, and nothing is lost by a typo."""
    task = make_task(database, user_id="alice")
    sent = {} if body is None else {"json": body}
    lines = [(name, value.encode()) for name, value in with_tag([form], seen(alice, task), "If-Match")]
    answer = alice.ask(method, alice.tasks_path(task), headers=lines, **sent)
    assert (answer.status_code, answer.json()["error_code"]) == (412, "VALIDATION_ERROR")
    assert rows(database, "alice") == [task]


@pytest.mark.parametrize("forms", MATCHING, ids=str)
def test_a_task_is_deleted_where_a_tag_matches(alice: Person, database: Engine, forms: list[str]) -> None:
    """The same rule for the third way to change."""
    task = make_task(database, user_id="alice")
    answer = alice.ask("DELETE", alice.tasks_path(task), headers=with_tag(forms, seen(alice, task), "If-Match"))
    assert answer.status_code == 204
    assert rows(database, "alice") == []


@pytest.mark.parametrize("condition", ['"x"', "*"])
@pytest.mark.parametrize(
    ("method", "body"), [("PUT", {"title": "New", "complete": True}), ("PATCH", {"title": "New"}), ("DELETE", None)]
)
def test_what_is_not_there_is_not_found_whatever_its_tag(alice: Person, condition: str, method: str, body: Any) -> None:
    """A condition counts only where the request would have succeeded (RFC 9110, 13.2.1)."""
    sent = {} if body is None else {"json": body}
    answer = alice.ask(method, alice.tasks_path(2**62), headers={"If-Match": condition}, **sent)
    assert answer.status_code == 404


def test_a_request_is_judged_before_its_condition(alice: Person, database: Engine) -> None:
    """The same: a bad body is told as such."""
    task = make_task(database, user_id="alice")
    answer = alice.ask("PATCH", alice.tasks_path(task), json={"title": ""}, headers={"If-Match": '"x"'})
    assert answer.status_code == 422


@pytest.mark.parametrize("forms", [*MATCHING, ['W/"{bare}"'], ['"x", W/"{bare}"']], ids=str)
def test_a_task_with_a_known_tag_is_not_sent(alice: Person, database: Engine, forms: list[str]) -> None:
    """Weak tags compare equal here (RFC 9110, 13.1.2)."""
    task = make_task(database, user_id="alice")
    tag = seen(alice, task)
    answer = alice.ask("GET", alice.tasks_path(task), headers=with_tag(forms, tag, "If-None-Match"))
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize("form", [*NOT_OURS, *MALFORMED])
def test_a_task_without_a_known_tag_is_sent(alice: Person, database: Engine, form: str) -> None:
    """What is no tag is not known."""
    task = make_task(database, user_id="alice")
    lines = [(name, value.encode()) for name, value in with_tag([form], seen(alice, task), "If-None-Match")]
    assert alice.ask("GET", alice.tasks_path(task), headers=lines).status_code == 200


def test_a_change_that_changes_nothing_changes_the_tag(alice: Person, database: Engine) -> None:
    """A tag never comes back: who was first can be told also where both wrote the same."""
    task = make_task(database, user_id="alice", title="Buy milk")
    tags = {seen(alice, task)}
    for _ in range(3):
        tags.add(alice.ask("PATCH", alice.tasks_path(task), json={"title": "Buy milk"}).headers["etag"])
    assert len(tags) == 4


def test_pages_of_the_frontend_may_use_the_headers(alice: Person) -> None:
    """CORS: what a page may send, and what it may read."""
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "idempotency-key, if-match, if-none-match",
    }
    allowed = alice.service.http.options(alice.tasks_path(1), headers=asked)
    assert allowed.status_code == 200
    exposed = alice.ask("GET", alice.tasks_path(), headers={"origin": ORIGIN}).headers["access-control-expose-headers"]
    assert "ETag" in exposed.split(", ")
