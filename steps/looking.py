"""The steps of looking at a task."""

from pytest_bdd import when

from steps.inputs import BAD_NUMBERS, NEVER_EXISTED
from steps.vocabulary import said
from tests.support.people import Cast


@when(said("{who:Person} opens the task {title:Quoted}"))
@when(said("{who:Person} tries to open the task {title:Quoted}"))
def opens(cast: Cast, who: str, title: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(cast(who).tasks[title]))


@when(said("{who:Person} tries to open a task whose number is given as {number}"))
def opens_numbered(cast: Cast, who: str, number: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(BAD_NUMBERS.get(number, number)))


@when(said("{who:Person} tries to open a task that never existed"))
def opens_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(NEVER_EXISTED))
