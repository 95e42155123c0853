"""The steps of deleting tasks."""

from pytest_bdd import when

from steps.inputs import NEVER_EXISTED
from steps.vocabulary import said
from tests.support.people import Cast


@when(said("{who:Person} deletes the task {title:Quoted}"))
@when(said("{who:Person} tries to delete the task {title:Quoted}"))
def deletes(cast: Cast, who: str, title: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path(cast(who).tasks[title]))


@when(said("{who:Person} tries to delete a task whose number is given as {number}"))
def deletes_numbered(cast: Cast, who: str, number: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path(number))


@when(said("{who:Person} tries to delete a task that never existed"))
def deletes_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path(NEVER_EXISTED))


@when(said("{who:Person} tries to delete her whole list at once"))
def deletes_whole_list(cast: Cast, who: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path())
