"""Then: what people are told and shown, and what is in the database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pytest_bdd import then

from steps.inputs import NEVER_EXISTED, SESAME
from steps.vocabulary import said, table
from tests.support.people import Cast, Person, path_to

BAD_REQUESTS = {
    "The body is empty.": 400,
    "The body is not valid JSON.": 400,
    "The content type must be application/json.": 400,
    "There is nothing to change: send at least one of title, description, complete.": 400,
    "Idempotency-Key must be sent once, with 1 to 255 printable ASCII characters.": 400,
    "Disallowed CORS origin.": 400,
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
CHANGES_EVERY_TIME = {"x-request-id", "date"}


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


# What is shown


@then(said("{who:Person} sees the tasks {titles:Titles} in this order"))
def sees_in_order(cast: Cast, who: str, titles: list[str]) -> None:
    assert titles_of(shown(cast(who))["tasks"]) == titles


@then(said("{who:Person} sees exactly the task {title:Quoted}"))
def sees_one_task(cast: Cast, who: str, title: str) -> None:
    assert titles_of(shown(cast(who))["tasks"]) == [title]


@then(said("{who:Person} sees an empty list"))
def sees_empty_list(cast: Cast, who: str) -> None:
    assert shown(cast(who))["tasks"] == []


@then(said("{who:Person} sees the {count:Number} newest of {_:Whose} tasks"))
def sees_newest(cast: Cast, who: str, count: int) -> None:
    newest_first = list(reversed(cast(who).tasks))
    assert titles_of(shown(cast(who))["tasks"]) == newest_first[:count]


@then(said("{who:Person} is told that the total is {count:Number}"))
def is_told_the_total(cast: Cast, who: str, count: int) -> None:
    assert shown(cast(who))["count"] == count


@then(said("{who:Person} sees exactly these details:"))
def sees_details(cast: Cast, who: str, datatable: list[list[str]]) -> None:
    answer = shown(cast(who))
    tasks = answer.get("tasks", [answer])
    assert details(tasks) == table(datatable)
    assert {task["user_id"] for task in tasks} == {cast(who).user_id}


@then(said("{who:Person} has seen each of {_:Whose} tasks once, and page {pages:Number} was the last"))
def has_seen_each_once(cast: Cast, who: str, pages: int) -> None:
    person = cast(who)
    assert len(person.pages) == pages
    assert [title for page in person.pages for title in titles_of(page["tasks"])] == list(reversed(person.tasks))
    assert {page["count"] for page in person.pages} == {len(person.tasks)}


@then(said("{who:Person} has seen {count:Number} tasks that are done, and page {pages:Number} was the last"))
def has_seen_done_tasks(cast: Cast, who: str, count: int, pages: int) -> None:
    person = cast(who)
    assert len(person.pages) == pages
    seen = [task for page in person.pages for task in page["tasks"]]
    assert seen == [task for task in person.ledger.tasks_of(person.user_id) if task["complete"]]
    assert {page["count"] for page in person.pages} == {count}


@then(said("{who:Person} is shown the way to the next page"))
def is_shown_next_page(cast: Cast, who: str) -> None:
    last = cast(who).answer.json()["tasks"][-1]["id"]
    next_page = f"{cast(who).tasks_path()}?limit=500&after={last}"
    assert cast(who).answer.headers["link"] == f'<{next_page}>; rel="next"'


@then(said("{who:Person} is shown no way to a next page"))
def is_shown_no_next_page(cast: Cast, who: str) -> None:
    assert "link" not in cast(who).answer.headers


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


# What is stored; `tests/support/ledger.py` holds each answer against all of it, field by field


@then(said("{who:Person} still has no tasks"))
def still_has_no_tasks(cast: Cast, who: str) -> None:
    still_has(cast(who), [])


@then(said("{who:Person} still has exactly the tasks {titles:Titles}"))
def still_has_exactly(cast: Cast, who: str, titles: list[str]) -> None:
    still_has(cast(who), titles)


@then(said("{who:Person} now has exactly the tasks {titles:Titles}"))
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


@then(said("{who:Person} now has one task, exactly as she wrote it"))
def has_task_as_written(cast: Cast, who: str) -> None:
    person = cast(who)
    (wrote,) = person.tasks.values()
    expected = {"description": None, "complete": False} | wrote
    assert details([shown(person, 201)]) == details(person.ledger.tasks_of(person.user_id)) == [expected]


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


@then(said("the task {title:Quoted} was created and changed just now"))
def was_created_just_now(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert task["created_at"] == task["updated_at"]
    assert is_now(task["created_at"])


@then(said("the task {title:Quoted} was changed just now"))
def was_changed_just_now(cast: Cast, title: str) -> None:
    assert is_now(task_called(cast("Alice"), title)["updated_at"])


def is_now(moment: str) -> bool:
    """Whether this is the current time, but for what a busy machine takes."""
    return timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(moment) < timedelta(minutes=1)


@then(said("the task {title:Quoted} has kept the time of its creation"))
def has_kept_creation(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert task["created_at"] == task_before(cast("Alice"), task["id"])["created_at"]


@then(said("nothing but the time of the last change of {title:Quoted} has moved forward"))
def only_the_time_has_moved(cast: Cast, title: str) -> None:
    alice = cast("Alice")
    task = task_called(alice, title)
    before = task_before(alice, task["id"])
    assert task == before | {"updated_at": task["updated_at"]}
    assert task["updated_at"] > before["updated_at"]
    assert shown(alice) == task


@then(said("the task {title:Quoted} has a higher number than {old:Quoted} had"))
def has_higher_number(cast: Cast, title: str, old: str) -> None:
    assert task_called(cast("Alice"), title)["id"] > cast("Alice").tasks[old]["id"]


# What is told


@then(said("{who:Person} is told that it is done"))
def is_told_that_it_is_done(cast: Cast, who: str) -> None:
    assert cast(who).answer.status_code == 204


@then(said("{who:Person} is told {sentence:Quoted}"))
def is_told(cast: Cast, who: str, sentence: str) -> None:
    told(cast(who).answer, sentence)


@then(said("{who:Person} is told {sentence:Quoted}, as about a task that never existed"))
def is_told_as_about_nothing(cast: Cast, who: str, sentence: str) -> None:
    person = cast(who)
    told(person.answer, sentence)
    request = person.answer.request
    conditions = {name: request.headers[name] for name in ("if-match", "content-type") if name in request.headers}
    path = path_to(person, NEVER_EXISTED)
    about_nothing = person.send(request.method, path, content=request.content, headers=conditions)
    assert same_parts(person.answer) == same_parts(about_nothing)


def same_parts(answer: httpx.Response) -> tuple[object, ...]:
    """All of an answer but for the request's id and the time."""
    body = answer.json()
    del body["timestamp"]
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in CHANGES_EVERY_TIME]
    return answer.status_code, body, sorted(headers)


@then(said("{who:Person} is told within {seconds:Number} seconds {sentence:Quoted}"))
def is_told_within(cast: Cast, who: str, seconds: int, sentence: str) -> None:
    told(cast(who).answer, sentence)
    assert cast(who).waited < seconds


@then("the answer says that a list can be read and added to")
def says_what_a_list_allows(cast: Cast) -> None:
    assert cast("Alice").answer.headers["allow"] == "GET, POST"


@then(said("Alice is told on each device within {seconds:Number} seconds {sentence:Quoted}"))
def is_told_on_each_device(devices: list[Person], seconds: int, sentence: str) -> None:
    for device in devices:
        told(device.answer, sentence)
        assert device.waited < seconds


@then("nothing that Alice was answered contains the secret")
def answer_has_no_secret(cast: Cast) -> None:
    answer = cast("Alice").answer
    assert SESAME not in answer.text
    assert SESAME not in str(answer.headers)
