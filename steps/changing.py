"""The steps of changing, completing and reopening tasks."""

from pytest_bdd import then, when

from steps.answers import task_before, task_called
from steps.inputs import BAD_FIELDS, GOOD_TASKS, JSON, NEVER_EXISTED, TASK, WHOLE_TASK
from steps.vocabulary import said, table
from tests.support.clock import is_now
from tests.support.people import Cast, Person


@then(said("the task {title:Quoted} was changed just now"))
def was_changed_just_now(cast: Cast, title: str) -> None:
    assert is_now(task_called(cast("Alice"), title)["updated_at"])


@then(said("the time of the last change of the task {title:Quoted} has moved forward"))
def has_moved_forward(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert task["updated_at"] > task_before(cast("Alice"), task["id"])["updated_at"]


@then(said("the task {title:Quoted} has kept the time of its creation"))
def has_kept_creation(cast: Cast, title: str) -> None:
    task = task_called(cast("Alice"), title)
    assert task["created_at"] == task_before(cast("Alice"), task["id"])["created_at"]


@when(said("{who:Person} replaces the task {title:Quoted} with:"))
def replaces(cast: Cast, who: str, title: str, datatable: list[list[str]]) -> None:
    person, (new,) = cast(who), table(datatable)
    person.ask("PUT", person.tasks_path(person.tasks[title]), json=new)


@when(said("{who:Person} replaces the task {title:Quoted} with one that has {what}"))
def replaces_with_one_that_has(cast: Cast, who: str, title: str, what: str) -> None:
    write(cast(who), "PUT", title, what, GOOD_TASKS[what] | {"complete": False})


@when(said("{who:Person} changes the task {title:Quoted} to have {what}"))
def changes_to_have(cast: Cast, who: str, title: str, what: str) -> None:
    write(cast(who), "PATCH", title, what, GOOD_TASKS[what])


def write(person: Person, method: str, title: str, what: str, new: dict[str, object]) -> None:
    """Replace or change a task, and remember what was written in its place."""
    path = person.tasks_path(person.tasks[title])
    person.tasks = {what: new}
    person.ask(method, path, json=new)


@when(said("{who:Person} changes the task {title:Quoted} to:"))
def changes_to(cast: Cast, who: str, title: str, datatable: list[list[str]]) -> None:
    (new,) = table(datatable)
    change(cast(who), title, new)


@when(said("{who:Person} changes the {field:w} of {title:Quoted} to {new:Quoted}"))
def changes_field(cast: Cast, who: str, field: str, title: str, new: str) -> None:
    change(cast(who), title, {field: new})


@when(said("{who:Person} clears the description of {title:Quoted}"))
def clears_description(cast: Cast, who: str, title: str) -> None:
    change(cast(who), title, {"description": None})


@when(said("{who:Person} completes the task {title:Quoted}"))
def completes(cast: Cast, who: str, title: str) -> None:
    change(cast(who), title, {"complete": True})


@when(said("{who:Person} reopens the task {title:Quoted}"))
def reopens(cast: Cast, who: str, title: str) -> None:
    change(cast(who), title, {"complete": False})


def change(person: Person, title: str, fields: dict[str, object]) -> None:
    """Change some fields of a task."""
    person.ask("PATCH", person.tasks_path(person.tasks[title]), json=fields)


@when(said("{who:Person} tries to replace the task {title:Quoted} with one that has {what}"))
def tries_to_replace_with(cast: Cast, who: str, title: str, what: str) -> None:
    path = cast(who).tasks_path(cast(who).tasks[title])
    cast(who).ask("PUT", path, content=BAD_FIELDS[what](WHOLE_TASK).encode(), headers=JSON)


@when(said("{who:Person} tries to change the task {title:Quoted} to have {what}"))
def tries_to_change_to_have(cast: Cast, who: str, title: str, what: str) -> None:
    path = cast(who).tasks_path(cast(who).tasks[title])
    cast(who).ask("PATCH", path, content=BAD_FIELDS[what]({}).encode(), headers=JSON)


@when(said("{who:Person} tries to change the task {title:Quoted} without saying what"))
def tries_to_change_nothing(cast: Cast, who: str, title: str) -> None:
    change(cast(who), title, {})


@when(said("{who:Person} tries to replace a task that never existed"))
def replaces_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("PUT", cast(who).tasks_path(NEVER_EXISTED), json=WHOLE_TASK)


@when(said("{who:Person} tries to change a task that never existed"))
def changes_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("PATCH", cast(who).tasks_path(NEVER_EXISTED), json=TASK)


@when(said("{who:Person} tries to complete a task that never existed"))
def completes_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("PATCH", cast(who).tasks_path(NEVER_EXISTED), json={"complete": True})
