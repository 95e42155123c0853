"""The steps of listing tasks."""

import httpx
from pytest_bdd import given, then, when

from steps.answers import shown, titles_of
from steps.inputs import BAD_FILTERS
from steps.vocabulary import STATES, said
from tests.support.people import Cast, Person


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


@then(said("{who:Person} has seen each of {_:Whose} tasks once, and page {pages:Number} was the last"))
def has_seen_each_once(cast: Cast, who: str, pages: int) -> None:
    person = cast(who)
    assert len(person.pages) == pages
    assert [title for page in person.pages for title in titles_of(page["tasks"])] == list(reversed(person.tasks))
    assert {page["count"] for page in person.pages} == {len(person.tasks)}


@then(said("{who:Person} has seen {count:Number} tasks that are {state:State}, and page {pages:Number} was the last"))
def has_seen_tasks_of_state(cast: Cast, who: str, count: int, state: str, pages: int) -> None:
    person = cast(who)
    assert len(person.pages) == pages
    seen = [task for page in person.pages for task in page["tasks"]]
    assert seen == [task for task in person.ledger.tasks_of(person.user_id) if task["complete"] == STATES[state]]
    assert len(seen) == count
    assert {page["count"] for page in person.pages} == {count}


@then(said("{who:Person} is given a link to the next page"))
def is_shown_next_page(cast: Cast, who: str) -> None:
    last = cast(who).answer.json()["tasks"][-1]["id"]
    next_page = f"{cast(who).tasks_path()}?limit=500&after={last}"
    assert cast(who).answer.headers["link"] == f'<{next_page}>; rel="next"'


@then(said("{who:Person} is given no link to a next page"))
def is_shown_no_next_page(cast: Cast, who: str) -> None:
    assert "link" not in cast(who).answer.headers


@given(
    said("{who:Person} has looked at the first {size:Number} of {_:Whose} tasks"), target_fixture="page_that_is_open"
)
def has_looked_at_first(cast: Cast, who: str, size: int) -> httpx.Response:
    return look_at(cast(who), limit=size)


@given(
    said("{who:Person} has looked at {size:Number} of {_:Whose} tasks, the first {skipped:Number} skipped"),
    target_fixture="page_that_is_open",
)
def has_looked_at_some(cast: Cast, who: str, size: int, skipped: int) -> httpx.Response:
    return look_at(cast(who), limit=size, offset=skipped)


def look_at(person: Person, **question: int) -> httpx.Response:
    """A page of a person's tasks."""
    answer = person.ask("GET", person.tasks_path(), params=question)
    assert answer.status_code == 200
    return answer


def follow(person: Person, answer: httpx.Response) -> httpx.Response:
    """Follow the answer's link to the next page."""
    link = answer.links["next"]["url"]
    return person.ask("GET", str(answer.url.join(link)).removeprefix(person.service.url))


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
def turns_to_next_page(cast: Cast, page_that_is_open: httpx.Response, who: str) -> None:
    follow(cast(who), page_that_is_open)


@when(said("{who:Person} lists {_:Whose} tasks and skips the first {count:Number} of them"))
def lists_and_skips(cast: Cast, who: str, count: int) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"offset": count})


@when(said("{who:Person} lists {_:Whose} tasks that are {state:State} and skips the first {count:Number} of them"))
def lists_by_state_and_skips(cast: Cast, who: str, state: str, count: int) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"complete": STATES[state], "offset": count})


@when(said("{who:Person} lists those of {_:Whose} tasks that come after task number {number:Number}"))
def lists_after_number(cast: Cast, who: str, number: int) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"after": number})


@when(said("{who:Person} lists those of {_:Whose} tasks that come after {owner:Person}'s task {title:Quoted}"))
def lists_after_anothers_task(cast: Cast, who: str, owner: str, title: str) -> None:
    cast(who).ask("GET", cast(who).tasks_path(), params={"after": cast(owner).tasks[title]["id"]})


@when(said("{who:Person} tries to list {_:Whose} tasks with {what}"))
def tries_to_list_with(cast: Cast, who: str, what: str) -> None:
    cast(who).ask("GET", f"{cast(who).tasks_path()}?{BAD_FILTERS[what]}")
