"""Given: who there is, and what they have; all subjects share these."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_bdd import given
from sqlalchemy import Engine

from steps.vocabulary import said, table
from tests.support.factories import make_task, make_tasks
from tests.support.people import Cast, Person


def has(person: Person, database: Engine, **values: Any) -> None:
    """Put a task into the database and remember it; it is an hour old, so that the time of a change is seen to move."""
    then = datetime.now(UTC) - timedelta(hours=1)
    make_task(database, **{"user_id": person.user_id, "created_at": then, "updated_at": then} | values)
    learn(person)


def learn(person: Person) -> None:
    """Let a person remember what was put into the database for them."""
    person.tasks |= {task["title"]: task for task in person.ledger.learn(person.user_id)}


@given(said("{who:Person} is signed in"))
@given(said("{who:Person} has no tasks"))
def is_signed_in(cast: Cast, who: str) -> None:
    assert cast(who).token


@given(said("{who:Person} has the task {title:Quoted}"))
def has_task(cast: Cast, database: Engine, who: str, title: str) -> None:
    has(cast(who), database, title=title)


@given(said("{who:Person} has the task {title:Quoted} with the description {description:Quoted}"))
def has_task_with_description(cast: Cast, database: Engine, who: str, title: str, description: str) -> None:
    has(cast(who), database, title=title, description=description)


@given(said("{who:Person} has the task {title:Quoted}, last changed before the clock was set back by an hour"))
def has_task_changed_later(cast: Cast, database: Engine, who: str, title: str) -> None:
    has(cast(who), database, title=title, updated_at=datetime.now(UTC) + timedelta(hours=1))


@given(said("{who:Person} has the tasks {titles:Titles}"))
@given(said("{who:Person} has the tasks {titles:Titles}, created in this order"))
def has_tasks(cast: Cast, database: Engine, who: str, titles: list[str]) -> None:
    for title in titles:
        has(cast(who), database, title=title)


@given(said("{who:Person} has the tasks:"))
def has_tasks_of_table(cast: Cast, database: Engine, who: str, datatable: list[list[str]]) -> None:
    for task in table(datatable):
        has(cast(who), database, **task)


@given(said("{who:Person} has {count:Number} tasks"))
def has_many_tasks(cast: Cast, database: Engine, who: str, count: int) -> None:
    person = cast(who)
    make_tasks(database, count, user_id=person.user_id)
    learn(person)


@given(said("{who:Person} has {count:Number} tasks, of which the first, the third and the fifth are done"))
def has_tasks_partly_done(cast: Cast, database: Engine, who: str, count: int) -> None:
    for place in range(count):
        has(cast(who), database, title=f"Task {place}", complete=place in {0, 2, 4})


@given(said("{who:Person} has looked at {_:Whose} tasks"))
def has_looked_at_tasks(cast: Cast, who: str) -> None:
    person = cast(who)
    assert person.ask("GET", person.tasks_path()).status_code == 200


@given(said("{who:Person} has deleted the task {title:Quoted}"))
@given(said("since then {who:Person} has deleted the task {title:Quoted}"))
def has_deleted(cast: Cast, who: str, title: str) -> None:
    person = cast(who)
    assert person.ask("DELETE", person.tasks_path(person.tasks[title])).status_code == 204


@given(said("the service has confirmed {who:Person}'s new task {title:Quoted}"))
@given(said("since then {who:Person} has created the task {title:Quoted}"))
def has_created(cast: Cast, who: str, title: str) -> None:
    person = cast(who)
    assert person.ask("POST", person.tasks_path(), json={"title": title}).status_code == 201


@given(said("the service has confirmed {who:Person}'s change of the title {title:Quoted} to {new:Quoted}"))
def has_changed_title(cast: Cast, who: str, title: str, new: str) -> None:
    person = cast(who)
    assert person.ask("PATCH", person.tasks_path(person.tasks[title]), json={"title": new}).status_code == 200


@given(said("{who:Person} has replaced the task {title:Quoted} with {new:Quoted}"))
def has_replaced(cast: Cast, who: str, title: str, new: str) -> None:
    person = cast(who)
    body = {"title": new, "complete": False}
    assert person.ask("PUT", person.tasks_path(person.tasks[title]), json=body).status_code == 200
    del person.tasks[title]
    person.tasks[new] = person.answer.json()
