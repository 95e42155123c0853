"""The steps of creating tasks."""

import json

from pytest_bdd import then, when

from steps.answers import details, shown, task_called
from steps.inputs import BAD_FIELDS, BODIES, GOOD_TASKS, JSON, TASK
from steps.vocabulary import ACTIONS, said
from tests.support.clock import is_now
from tests.support.people import Cast, Person


@then(said("{who:Person} now has one task, as she wrote it but for spaces around its title"))
def has_task_as_written(cast: Cast, who: str) -> None:
    person = cast(who)
    (wrote,) = person.tasks.values()
    expected = {"description": None, "complete": False} | wrote | {"title": wrote["title"].strip()}
    written = shown(person, 201 if person.answer.request.method == "POST" else 200)
    assert details([written]) == details(person.ledger.tasks_of(person.user_id)) == [expected]


@then(said("the task {title:Quoted} was created and changed just now"))
def was_created_just_now(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert task["created_at"] == task["updated_at"]
    assert is_now(task["created_at"])


@then(said("the task {title:Quoted} has a higher number than {old:Quoted} had"))
def has_higher_number(cast: Cast, title: str, old: str) -> None:
    assert task_called(cast("Alice"), title)["id"] > cast("Alice").tasks[old]["id"]


@when(said("{who:Person} creates the task {title:Quoted}"))
def creates(cast: Cast, who: str, title: str) -> None:
    cast(who).ask("POST", cast(who).tasks_path(), json={"title": title})


@when(said("{who:Person} creates the task {title:Quoted} with the description {description:Quoted}"))
def creates_with_description(cast: Cast, who: str, title: str, description: str) -> None:
    cast(who).ask("POST", cast(who).tasks_path(), json={"title": title, "description": description})


@when(said("{who:Person} creates a task with {what}"))
def creates_with(cast: Cast, who: str, what: str) -> None:
    person = cast(who)
    person.tasks = {what: GOOD_TASKS[what]}
    person.ask("POST", person.tasks_path(), json=GOOD_TASKS[what])


@when(said("{who:Person} tries to create a task with {what}"))
def creates_bad_task(cast: Cast, who: str, what: str) -> None:
    body = BODIES[what][0]() if what in BODIES else BAD_FIELDS[what](TASK).encode()
    cast(who).ask("POST", cast(who).tasks_path(), content=body, headers=JSON)


@when(said('{who:Person} creates the task "Buy milk", filled up with spaces to {what}'))
def creates_padded_task(cast: Cast, who: str, what: str) -> None:
    send_body(cast(who), "POST", cast(who).tasks_path(), what)


@when(said("{who:Person} creates the task {title:Quoted}, declared as {kind}"))
def creates_declared_as(cast: Cast, who: str, title: str, kind: str) -> None:
    body = json.dumps({"title": title}).encode()
    cast(who).ask("POST", cast(who).tasks_path(), content=body, headers={"content-type": kind})


@when(said("{who:Person} tries to {action:Action} by sending {what}"))
def tries_by_sending(cast: Cast, who: str, action: str, what: str) -> None:
    person = cast(who)
    method, _, one = ACTIONS[action].partition(" ")
    send_body(person, method, person.tasks_path(person.task if one else None), what)


def send_body(person: Person, method: str, path: str, what: str) -> None:
    """Send a body of this kind."""
    content, kind = BODIES[what]
    person.ask(method, path, content=content(), headers={"content-type": kind} if kind else {})
