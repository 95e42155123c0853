"""Then: what people are told and shown, and what is stored; all subjects share these."""

from typing import Any

import httpx
from pytest_bdd import then, when

from steps.inputs import SESAME
from steps.vocabulary import said, table
from tests.support.people import Cast, Person

BAD_REQUESTS = {
    "The body is empty.": 400,
    "The body is not valid JSON.": 400,
    "The body is nested more than 100 deep.": 400,
    "The content type must be application/json.": 400,
    "There is nothing to change: send at least one of title, description, complete.": 400,
    "Idempotency-Key must be sent once, with 1 to 255 printable ASCII characters.": 400,
    "This method is not allowed here.": 405,
    "The task has changed in the meantime: look at it again.": 412,
    "The body must have at most 64 KiB.": 413,
}
"""What is told of a bad request as a whole, and the status; of a field that breaks a rule its name is told first."""


BROKEN_RULE = 422


RULES = {
    "bool_parsing",
    "bool_type",
    "conflict",
    "extra_forbidden",
    "greater_than_equal",
    "int_parsing",
    "key_reused",
    "less_than_equal",
    "missing",
    "model_attributes_type",
    "repeated_key",
    "repeated_parameter",
    "string_pattern_mismatch",
    "string_too_long",
    "string_too_short",
    "string_type",
    "string_unicode",
}
"""The types of errors in the answers' `errors`."""


def shown(person: Person, status: int = 200) -> Any:
    """The JSON of the last answer, whose status must be this one."""
    assert person.answer.status_code == status, person.answer.text
    return person.answer.json()


def told(answer: httpx.Response, sentence: str) -> None:
    """Fail unless this sentence, and nothing else, is what the answer tells; `contract.hold` has checked the rest.

    It holds every header and every part of the envelope against what is allowed, and each status against its sentence.
    """
    error = answer.json()
    assert error["detail"] == sentence
    if error["error_code"] != "VALIDATION_ERROR":
        return
    assert answer.status_code == BAD_REQUESTS.get(sentence, BROKEN_RULE)
    for rule in error.get("errors", []):
        assert rule["type"] in RULES


def titles_of(tasks: list[dict[str, Any]]) -> list[str]:
    """The tasks' titles."""
    return [task["title"] for task in tasks]


def details(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fields of each task that a person can set."""
    return [{name: task[name] for name in ("title", "description", "complete")} for task in tasks]


def task_called(person: Person, title: str) -> dict[str, Any]:
    """A person's only task with this title, as it is stored."""
    (task,) = [task for task in person.ledger.tasks_of(person.user_id) if task["title"] == title]
    return task


def task_before(person: Person, number: int) -> dict[str, Any]:
    """The same task as it was before the When."""
    (task,) = [task for task in person.ledger.tasks_before(person.user_id) if task["id"] == number]
    return task


@then(said("{who:Person} sees the tasks {titles:Titles} in this order"))
def sees_in_order(cast: Cast, who: str, titles: list[str]) -> None:
    assert titles_of(shown(cast(who))["tasks"]) == titles


@then(said("{who:Person} sees exactly the task {title:Quoted}"))
def sees_one_task(cast: Cast, who: str, title: str) -> None:
    assert titles_of(shown(cast(who))["tasks"]) == [title]


@then(said("{who:Person} sees exactly these details:"))
def sees_details(cast: Cast, who: str, datatable: list[list[str]]) -> None:
    answer = shown(cast(who))
    tasks = answer.get("tasks", [answer])
    assert details(tasks) == table(datatable)
    assert {task["user_id"] for task in tasks} == {cast(who).user_id}


@then(said("{who:Person} sees the number and the times of each task, as they are stored"))
@then(said("{who:Person} sees the number and the times of the task, as they are stored"))
def sees_what_is_stored(cast: Cast, who: str) -> None:
    answer = shown(cast(who))
    for task in answer.get("tasks", [answer]):
        assert task == task_called(cast(who), task["title"])


@then(said("{who:Person} is shown the new task {title:Quoted} and where to find it"))
def is_shown_new_task(cast: Cast, who: str, title: str) -> None:
    person = cast(who)
    task = is_shown_with_location(person, title)
    assert task["id"] not in [before["id"] for before in person.ledger.tasks_before(person.user_id)]


@then(said("{who:Person} is shown the task {title:Quoted} and where to find it"))
def is_shown_stored_task(cast: Cast, who: str, title: str) -> None:
    person = cast(who)
    task = is_shown_with_location(person, title)
    assert task == task_before(person, task["id"])


def is_shown_with_location(person: Person, title: str) -> Any:
    """The task of the last answer, open and of this title, which is also what the place that it names shows."""
    task = shown(person, 201)
    assert (task["title"], task["user_id"], task["complete"]) == (title, person.user_id, False)
    assert person.send("GET", person.answer.headers["location"]).json() == task
    return task


@then(said("{who:Person} still has no tasks"))
def still_has_no_tasks(cast: Cast, who: str) -> None:
    still_has(cast(who), [])


@then(said("{who:Person} still has exactly the {titles:Tasks}"))
def still_has_exactly(cast: Cast, who: str, titles: list[str]) -> None:
    still_has(cast(who), titles)


@then(said("{who:Person} now has exactly the {titles:Tasks}"))
def now_has_exactly(cast: Cast, who: str, titles: list[str]) -> None:
    person = cast(who)
    tasks = person.ledger.tasks_of(person.user_id)
    assert sorted(titles_of(tasks)) == sorted(titles)
    assert tasks != person.ledger.tasks_before(person.user_id), "nothing has happened"


def still_has(person: Person, titles: list[str]) -> None:
    """Fail unless the person's tasks are those of these titles, as they were before the When, in each field."""
    tasks = person.ledger.tasks_of(person.user_id)
    assert sorted(titles_of(tasks)) == sorted(titles)
    assert tasks == person.ledger.tasks_before(person.user_id)


@then(said("the database holds for {who:Person} exactly:"))
def database_holds(cast: Cast, who: str, datatable: list[list[str]]) -> None:
    person = cast(who)
    assert details(person.ledger.tasks_of(person.user_id)) == table(datatable)


@then(said("the task {title:Quoted} has no description and is open"))
def has_no_description(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert (task["description"], task["complete"]) == (None, False)


@then(said("the task {title:Quoted} has the description {description:Quoted}"))
def has_description(cast: Cast, title: str, description: str) -> None:
    assert task_called(cast("Alice"), title)["description"] == description


@then(said("the task {title:Quoted} has not changed"))
def has_not_changed(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert task == task_before(cast("Alice"), task["id"])


@then(said("nothing about the task {title:Quoted} has changed but the time of its last change"))
def only_the_time_has_moved(cast: Cast, title: str) -> None:
    alice = cast("Alice")
    task = task_called(alice, title)
    before = task_before(alice, task["id"])
    assert task == before | {"updated_at": task["updated_at"]}
    assert task["updated_at"] > before["updated_at"]
    assert shown(alice) == task


@then(said("{who:Person} is told that the task is deleted"))
def is_told_that_it_is_deleted(cast: Cast, who: str) -> None:
    assert cast(who).answer.status_code == 204


@then(said("{who:Person} is told {sentence:Quoted}"))
def is_told(cast: Cast, who: str, sentence: str) -> None:
    told(cast(who).answer, sentence)


@then(said("{who:Person} is told within {seconds:Number} seconds {sentence:Quoted}"))
def is_told_within(cast: Cast, who: str, seconds: int, sentence: str) -> None:
    told(cast(who).answer, sentence)
    assert cast(who).waited < seconds


@then("the secret is nowhere in the answer")
def answer_has_no_secret(cast: Cast) -> None:
    answer = cast("Alice").answer
    assert SESAME not in answer.text
    assert SESAME not in str(answer.headers)


@when(said("{who:Person} tries to open an address outside the lists, where there is nothing"))
def opens_no_address(cast: Cast, who: str) -> None:
    cast(who).ask("GET", "/no/such/address")
