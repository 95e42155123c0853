"""Then: what people are told and shown, and what is in the database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_bdd import parsers, then
from sqlalchemy import Engine

from steps.inputs import SECRET
from steps.vocabulary import said, table
from tests.support.factories import rows
from tests.support.people import Cast, Person


def shown(person: Person, status: int = 200) -> Any:
    """The JSON of the last answer, whose status must be this one."""
    assert person.answer.status_code == status, person.answer.text
    return person.answer.json()


def refused(person: Person, status: int, code: str) -> dict[str, Any]:
    """The last answer's error, which must be this one; `Person.ask` checks the envelope of every answer."""
    error: dict[str, Any] = shown(person, status)
    assert error["error_code"] == code
    return error


def titles_of(tasks: list[dict[str, Any]]) -> list[str]:
    """The tasks' titles."""
    return [task["title"] for task in tasks]


def details(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fields of each task that a person can set."""
    return [{name: task[name] for name in ("title", "description", "complete")} for task in tasks]


def stored(database: Engine, title: str) -> dict[str, Any]:
    """The only task with this title in the database, Alice's or Bob's."""
    found = [row for user in ("alice", "bob") for row in rows(database, user) if row["title"] == title]
    assert len(found) == 1, found
    return found[0]


def remembered(cast: Cast, title: str) -> dict[str, Any]:
    """Alice's task as it was at the start, by its title, or her only one if the title has changed."""
    tasks = cast("Alice").tasks
    return tasks[title] if title in tasks else next(iter(tasks.values()))


# What is shown


@then(said("{who:Person} sees the tasks {titles:Titles} in this order"))
def _(cast: Cast, who: str, titles: list[str]) -> None:
    assert titles_of(shown(cast(who))["tasks"]) == titles


@then(said("{who:Person} sees no tasks"))
def _(cast: Cast, who: str) -> None:
    assert shown(cast(who))["tasks"] == []


@then(said("{who:Person} sees {count:Number} tasks"))
def _(cast: Cast, who: str, count: int) -> None:
    newest_first = list(reversed(cast(who).tasks))
    assert titles_of(shown(cast(who))["tasks"]) == newest_first[:count]


@then(said("{who:Person} is told that the total is {count:Number}"))
def _(cast: Cast, who: str, count: int) -> None:
    assert shown(cast(who))["count"] == count


@then(said("{who:Person} sees exactly these details:"))
def _(cast: Cast, who: str, datatable: list[list[str]]) -> None:
    answer = shown(cast(who))
    tasks = answer.get("tasks", [answer])
    assert details(tasks) == table(datatable)
    assert {task["user_id"] for task in tasks} == {cast(who).user_id}


@then(said("{who:Person} has seen each of {_:Whose} tasks once, and page {pages:Number} was the last"))
def _(cast: Cast, who: str, pages: int) -> None:
    person = cast(who)
    assert len(person.pages) == pages
    assert [title for page in person.pages for title in titles_of(page["tasks"])] == list(reversed(person.tasks))
    assert {page["count"] for page in person.pages} == {len(person.tasks)}


@then(said("{who:Person} has seen {count:Number} completed tasks, and page {pages:Number} was the last"))
def _(cast: Cast, who: str, count: int, pages: int) -> None:
    person = cast(who)
    assert len(person.pages) == pages
    seen = [task for page in person.pages for task in page["tasks"]]
    assert len({task["id"] for task in seen}) == len(seen) == count
    assert all(task["complete"] for task in seen)
    assert {page["count"] for page in person.pages} == {count}


@then(said("{who:Person} is shown the way to the next page"))
def _(cast: Cast, who: str) -> None:
    last = cast(who).answer.json()["tasks"][-1]["id"]
    next_page = f"{cast(who).tasks_path()}?limit=500&after={last}"
    assert cast(who).answer.headers["link"] == f'<{next_page}>; rel="next"'


@then(said("{who:Person} is shown no way to a next page"))
def _(cast: Cast, who: str) -> None:
    assert "link" not in cast(who).answer.headers


@then(said("{who:Person} is shown the new task {title:Quoted} and where to find it"))
def _(cast: Cast, who: str, title: str) -> None:
    person = cast(who)
    task, place = shown(person, 201), person.answer.headers["location"]
    assert (task["title"], task["user_id"], task["complete"]) == (title, person.user_id, False)
    assert shown_at(person, place) == task


def shown_at(person: Person, place: str) -> Any:
    """What the person gets from this path."""
    person.ask("GET", place)
    return shown(person)


# What is stored


@then(said("{who:Person} has no tasks"))
def _(cast: Cast, database: Engine, who: str) -> None:
    assert rows(database, cast(who).user_id) == []


@then(said("{who:Person} still has exactly the tasks {titles:Titles}"))
def _(cast: Cast, database: Engine, who: str, titles: list[str]) -> None:
    has_exactly(cast(who), database, titles)


def has_exactly(person: Person, database: Engine, titles: list[str]) -> None:
    """Check that the database and the person's list have exactly these titles, in any order."""
    assert sorted(titles_of(rows(database, person.user_id))) == sorted(titles)
    person.ask("GET", person.tasks_path())
    assert sorted(titles_of(shown(person)["tasks"])) == sorted(titles)


@then(said("the database holds for {who:Person} exactly:"))
def _(cast: Cast, database: Engine, who: str, datatable: list[list[str]]) -> None:
    assert details(rows(database, cast(who).user_id)) == table(datatable)


@then(said("{who:Person} has one task, exactly as she wrote it"))
def _(cast: Cast, database: Engine, who: str) -> None:
    (wrote,) = cast(who).tasks.values()
    expected = {"description": None, "complete": False} | wrote
    assert details([shown(cast(who), 201)]) == details(rows(database, cast(who).user_id)) == [expected]


@then(said("the task {title:Quoted} has no description and is open"))
def _(database: Engine, title: str) -> None:
    task = stored(database, title)
    assert (task["description"], task["complete"]) == (None, False)


@then(said("the task {title:Quoted} has the description {description:Quoted}"))
def _(database: Engine, title: str, description: str) -> None:
    assert stored(database, title)["description"] == description


@then(said("the task {title:Quoted} has not changed"))
def _(cast: Cast, database: Engine, title: str) -> None:
    assert stored(database, title) == cast("Alice").tasks[title]


@then(said("the task {title:Quoted} was created and changed just now"))
def _(database: Engine, title: str) -> None:
    task = stored(database, title)
    assert task["created_at"] == task["updated_at"]
    assert timedelta(0) <= datetime.now(UTC) - task["created_at"] < timedelta(seconds=10)


@then(said("the task {title:Quoted} was changed later than before"))
def _(cast: Cast, database: Engine, title: str) -> None:
    now, before = stored(database, title)["updated_at"], remembered(cast, title)["updated_at"]
    assert now > (datetime.fromisoformat(before) if isinstance(before, str) else before)
    answered = cast("Alice").answer.json()
    tasks = answered.get("tasks", [answered])
    assert now in [datetime.fromisoformat(task["updated_at"]) for task in tasks]


@then(said("the task {title:Quoted} has kept the time of its creation"))
def _(cast: Cast, database: Engine, title: str) -> None:
    assert stored(database, title)["created_at"] == remembered(cast, title)["created_at"]


@then(said("the task {title:Quoted} has a higher number than {old:Quoted} had"))
def _(cast: Cast, database: Engine, title: str, old: str) -> None:
    assert stored(database, title)["id"] > cast("Alice").tasks[old]["id"]


# What is told


@then(said("{who:Person} is told that it is done"))
def _(cast: Cast, who: str) -> None:
    assert cast(who).answer.status_code == 204


@then(said("{who:Person} is told that there is no such task"))
@then(said("{who:Person} is told that there is nothing there"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 404, "NOT_FOUND")


@then(said("{who:Person} is told that these tasks are someone else's"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 403, "AUTH_FORBIDDEN")


@then(said("{who:Person} is told to sign in first"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 401, "AUTH_MISSING")


@then(said("{who:Person} is told to sign in again"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 401, "AUTH_INVALID")


@then(said("{who:Person} is told that the {field:Quoted} breaks a rule"))
def _(cast: Cast, who: str, field: str) -> None:
    error = refused(cast(who), 422, "VALIDATION_ERROR")
    assert field in [str(part) for part in error["errors"][0]["loc"]]
    assert error["detail"].startswith(f"{field}: ")


@then(said("{who:Person} is told that this is not a task"))
def _(cast: Cast, who: str) -> None:
    error = refused(cast(who), 422, "VALIDATION_ERROR")
    assert error["errors"][0]["loc"] == ["body"]
    assert error["detail"].startswith("body: ")


@then(said("{who:Person} is told that the request can't be read"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 400, "VALIDATION_ERROR")


@then(said("{who:Person} is told that there is nothing to change"))
def _(cast: Cast, who: str) -> None:
    assert "nothing to change" in refused(cast(who), 400, "VALIDATION_ERROR")["detail"].lower()


@then(said("{who:Person} is told that the Idempotency-Key can't be used"))
def _(cast: Cast, who: str) -> None:
    assert "Idempotency-Key" in refused(cast(who), 400, "VALIDATION_ERROR")["detail"]


@then(said("{who:Person} is told that the request is too large"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 413, "VALIDATION_ERROR")


@then(said("{who:Person} is told that this is not supported"))
def _(cast: Cast, who: str) -> None:
    refused(cast(who), 405, "VALIDATION_ERROR")
    assert cast(who).answer.headers["allow"] == "GET, POST"


@then("Alice is told on each device to try again later")
def _(devices: list[Person]) -> None:
    for one in devices:
        error = refused(one, 500, "DATABASE_ERROR")
        assert "psycopg" not in error["detail"].lower()
        assert "connect" not in error["detail"].lower()


@then(said("Alice is told on each device within {seconds:Number} seconds to try again later"))
def _(devices: list[Person], seconds: int) -> None:
    for one in devices:
        refused(one, 500, "DATABASE_ERROR")
        assert one.answer.elapsed.total_seconds() < seconds


@then(parsers.parse("the answer does not contain the secret"))
def _(cast: Cast) -> None:
    assert SECRET not in cast("Alice").answer.text


@then(said("the answer carries the request id {request_id:Quoted}"))
def _(cast: Cast, request_id: str) -> None:
    assert cast("Alice").answer.headers["x-request-id"] == request_id


@then("the answer carries a new request id")
def _(cast: Cast) -> None:
    assert len(cast("Alice").answer.headers["x-request-id"]) == 32
