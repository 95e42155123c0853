"""When: what people do with tasks, always through the API."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pytest_bdd import parsers, when

from steps.inputs import (
    BAD_FIELDS,
    BAD_FILTERS,
    BAD_NUMBERS,
    BAD_USERS,
    BODIES,
    GOOD_TASKS,
    JSON,
    NEVER_EXISTED,
    TASK,
    UNREADABLE,
    WHOLE_TASK,
)
from steps.vocabulary import ACTIONS, STATES, said, table
from tests.support.people import Cast, Person, path_to


def path_to_nothing(user: str) -> str:
    """Where a task of this user's would be, had it ever existed."""
    return f"/api/{user}/tasks/{NEVER_EXISTED}"


def attempt(who: Person, action: str, owner: Person, in_list_of: Person) -> None:
    """Try an action, on the owner's task if it needs one, through a person's list."""
    method, _, one = ACTIONS[action].partition(" ")
    task = next(iter(owner.tasks.values())) if one else None
    path = path_to(in_list_of, task)
    if action == "send an unreadable request":
        who.ask("POST", path, content=UNREADABLE, headers=JSON)
    elif action == "guess an address":
        who.ask("GET", "/api/no/such/address")
    else:
        body = {"POST": TASK, "PUT": WHOLE_TASK, "PATCH": {"complete": True}}.get(method)
        who.ask(method, path, json=body) if body else who.ask(method, path)


def follow(person: Person, answer: httpx.Response) -> httpx.Response:
    """Follow the answer's link to the next page."""
    link = answer.links["next"]["url"]
    return person.ask("GET", str(answer.url.join(link)).removeprefix(person.service.url))


# Listing


@when(said("{who:Person} lists {_:Whose} tasks"))
def lists(cast: Cast, who: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path())


@when(said("{who:Person} lists {_:Whose} tasks that are {state:State}"))
def lists_by_state(cast: Cast, who: str, state: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"complete": STATES[state]})


@when(said("{who:Person} lists {_:Whose} tasks {size:Number} at a time"))
def lists_in_pages(cast: Cast, who: str, size: int) -> None:
    read_all_pages(cast(who), {"limit": str(size)})


@when(said("{who:Person} lists {_:Whose} tasks that are {state:State}, {size:Number} at a time"))
def lists_by_state_in_pages(cast: Cast, who: str, state: str, size: int) -> None:
    read_all_pages(cast(who), {"limit": str(size), "complete": str(STATES[state]).lower()})


def read_all_pages(person: Person, question: dict[str, str]) -> None:
    """Follow the links until there is no next page."""
    answer = person.ask("GET", person.tasks_path(), params=question)
    person.pages = [answer.json()]
    while "next" in answer.links:
        answer = follow(person, answer)
        person.pages.append(answer.json())


@when(said("{who:Person} turns to the next page"))
def turns_to_next_page(cast: Cast, who: str) -> None:
    follow(cast(who), cast(who).answer)


@when(said("{who:Person} lists {_:Whose} tasks and skips {count:Number}"))
def lists_and_skips(cast: Cast, who: str, count: int) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"offset": count})


@when(said("{who:Person} lists {_:Whose} tasks after the task {title:Quoted} of {owner:Person}'s"))
def lists_after_anothers_task(cast: Cast, who: str, title: str, owner: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"after": cast(owner).tasks[title]["id"]})


@when(said("{who:Person} tries to list {_:Whose} tasks with {what}"))
def tries_to_list_with(cast: Cast, who: str, what: str) -> None:
    cast(who).ask("GET", f"{cast(who).tasks_path()}?{BAD_FILTERS[what]}")


# Creating


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


@when(said("{who:Person} creates a task padded to {what}"))
def creates_padded_task(cast: Cast, who: str, what: str) -> None:
    send_body(cast(who), "POST", cast(who).tasks_path(), what)


@when(said("{who:Person} tries to {action:Action} by sending {what}"))
def tries_by_sending(cast: Cast, who: str, action: str, what: str) -> None:
    person = cast(who)
    method, _, one = ACTIONS[action].partition(" ")
    task = next(iter(person.tasks.values())) if one else None
    send_body(person, method, person.tasks_path(task), what)


def send_body(person: Person, method: str, path: str, what: str) -> None:
    """Send a body of this kind."""
    content, kind = BODIES[what]
    person.ask(method, path, content=content(), headers={"content-type": kind} if kind else {})


# Looking at one


@when(said("{who:Person} opens the task {title:Quoted}"))
@when(said("{who:Person} tries to open the task {title:Quoted}"))
def opens(cast: Cast, who: str, title: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(cast(who).tasks[title]))


@when(said("{who:Person} tries to open the task numbered {number}"))
def opens_numbered(cast: Cast, who: str, number: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(BAD_NUMBERS.get(number, number)))


@when(said("{who:Person} tries to open a task that never existed"))
def opens_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(NEVER_EXISTED))


# Changing


@when(said("{who:Person} replaces the task {title:Quoted} with:"))
def replaces(cast: Cast, who: str, title: str, datatable: list[list[str]]) -> None:
    person, (new,) = cast(who), table(datatable)
    person.ask("PUT", person.tasks_path(person.tasks[title]), json=new)


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


@when(said("{who:Person} tries to change nothing about the task {title:Quoted}"))
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


# Deleting


@when(said("{who:Person} deletes the task {title:Quoted}"))
@when(said("{who:Person} tries to delete the task {title:Quoted}"))
def deletes(cast: Cast, who: str, title: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path(cast(who).tasks[title]))


@when(said("{who:Person} tries to delete the task numbered {number}"))
def deletes_numbered(cast: Cast, who: str, number: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path(number))


@when(said("{who:Person} tries to delete a task that never existed"))
def deletes_never_existed(cast: Cast, who: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path(NEVER_EXISTED))


@when(said("{who:Person} tries to delete her whole list at once"))
def deletes_whole_list(cast: Cast, who: str) -> None:
    cast(who).ask("DELETE", cast(who).tasks_path())


# What is not allowed, or does not exist


@when(said("{who:Person} tries to {action:Action} in {owner:Person}'s list"))
def tries_in_list_of(cast: Cast, who: str, action: str, owner: str) -> None:
    attempt(cast(who), action, cast(owner), in_list_of=cast(owner))


@when(said("{who:Person} tries to send an unreadable request to {owner:Person}'s list"))
def sends_unreadable_to(cast: Cast, who: str, owner: str) -> None:
    attempt(cast(who), "send an unreadable request", cast(owner), in_list_of=cast(owner))


@when(said("{who:Person} tries to {action:Action} of {owner:Person}'s as if it were on {_:Person}'s own list"))
def tries_as_if_on_own_list(cast: Cast, who: str, action: str, owner: str) -> None:
    attempt(cast(who), action, cast(owner), in_list_of=cast(who))


@when(said("{who:Person} tries to {action:Action} in her list"))
def tries_in_own_list(cast: Cast, who: str, action: str) -> None:
    attempt(cast(who), action, cast(who), in_list_of=cast(who))


@pytest.fixture
def devices() -> list[Person]:
    """Alice on each of her devices, where she does several things at once."""
    return []


@when("Alice tries to do all of this at once, each on another device:")
def tries_on_devices(cast: Cast, devices: list[Person], datatable: list[list[str]]) -> None:
    alice = cast("Alice")
    devices += [alice.on_another_device() for _ in datatable]
    with alice.ledger.at_once(), ThreadPoolExecutor(len(devices)) as hands:
        tried = [
            hands.submit(attempt, one, action, one, one) for one, (action,) in zip(devices, datatable, strict=True)
        ]
    for one in tried:
        one.result()


@when(said("{who:Person} tries to open an address that does not exist"))
def opens_no_address(cast: Cast, who: str) -> None:
    cast(who).ask("GET", "/no/such/address")


@when(said("{who:Person} tries to ask for the headers of {_:Whose} list alone"))
def asks_for_headers(cast: Cast, who: str) -> None:
    cast(who).ask("HEAD", cast(who).tasks_path())


@when(said("{who:Person} tries to list the tasks of {what}"))
def lists_tasks_of_nobody(cast: Cast, who: str, what: str) -> None:
    cast(who).ask("GET", f"/api/{BAD_USERS[what]}/tasks")


SEVERAL_FAULTS: dict[str, tuple[str, str, bytes]] = {
    "something unreadable, too large, to an address of nobody's": ("POST", "/api/no/such/address", b"{" * 70_000),
    "an unsupported action on Alice's list": ("DELETE", "/api/alice/tasks", b""),
    "something unreadable for a task of Alice's that never existed": ("PUT", path_to_nothing("alice"), UNREADABLE),
    "something unreadable for a task that never existed": ("PUT", path_to_nothing("alice"), UNREADABLE),
    "something too large for a task that never existed": ("PUT", path_to_nothing("alice"), b" " * 70_000),
    "a wrong field for a task that never existed": (
        "PUT",
        path_to_nothing("alice"),
        BAD_FIELDS["a misspelt field"](WHOLE_TASK).encode(),
    ),
    "a good change for a task that never existed": ("PUT", path_to_nothing("alice"), json.dumps(WHOLE_TASK).encode()),
}


@when(parsers.re(rf"(?P<who>Alice|Bob|A stranger) tries to send (?P<what>{'|'.join(SEVERAL_FAULTS)})"))
def sends_several_faults(cast: Cast, who: str, what: str) -> None:
    method, path, content = SEVERAL_FAULTS[what]
    cast(who).ask(method, path, content=content, headers=JSON)
