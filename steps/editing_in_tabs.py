"""The steps of editing one task in two tabs (ETag, If-Match, If-None-Match)."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
from pytest_bdd import given, then, when
from sqlalchemy import Engine, text

from steps.answers import shown, titles_of, told
from steps.inputs import WHOLE_TASK
from steps.vocabulary import ACTIONS, said
from tests.support.people import Cast


def save(cast: Cast, tag: str, action: str = "change the task", body: Any = None) -> None:
    """Change or delete Alice's task if its ETag is still this one."""
    method = ACTIONS[action].split()[0]
    body = body or {"PUT": WHOLE_TASK, "PATCH": {"complete": True}}.get(method)
    sent = {"json": body} if body else {}
    cast("Alice").ask(method, cast("Alice").tasks_path(cast("Alice").task), headers={"If-Match": tag}, **sent)


@given(said("Alice has opened the task {title:Quoted} in two tabs"))
def has_opened_in_two_tabs(cast: Cast, memory: dict[str, Any], title: str) -> None:
    alice = cast("Alice")
    memory["first"] = memory["second"] = alice.ask("GET", alice.tasks_path(alice.tasks[title])).headers["etag"]


@given(said("her first tab has changed the title to {title:Quoted}"))
def first_tab_has_changed_title(cast: Cast, memory: dict[str, Any], title: str) -> None:
    save(cast, memory["first"], body={"title": title})
    shown(cast("Alice"))


@given("her second tab has reloaded the task")
def second_tab_has_reloaded(cast: Cast, memory: dict[str, Any]) -> None:
    alice = cast("Alice")
    memory["second"] = alice.ask("GET", alice.tasks_path(alice.task)).headers["etag"]


@when(said("her second tab asks to {action:Action}"))
@when(said("her second tab tries to {action:Action}"))
def second_tab_tries(cast: Cast, memory: dict[str, Any], action: str) -> None:
    save(cast, memory["second"], action)


@when(said("her second tab changes the {field:w} to {new:Quoted}"))
def second_tab_changes(cast: Cast, memory: dict[str, Any], field: str, new: str) -> None:
    save(cast, memory["second"], body={field: new})
    shown(cast("Alice"))


@when(said("her second tab changes the {field:w} to {new:Quoted}, and asks for no version in particular"))
def second_tab_overwrites(cast: Cast, field: str, new: str) -> None:
    save(cast, "*", body={field: new})
    shown(cast("Alice"))


@when(said("her second tab asks for no version in particular, to {action:Action}"))
def second_tab_asks_for_no_version(cast: Cast, action: str) -> None:
    save(cast, "*", action)


@then("what it asked for is done")
def is_done(cast: Cast) -> None:
    alice = cast("Alice")
    deletes = alice.answer.request.method == "DELETE"
    assert alice.answer.status_code == (204 if deletes else 200)
    before = alice.ledger.tasks_before("alice")
    assert alice.ledger.tasks_of("alice") != before


@when("both tabs save another title in the same moment")
def both_tabs_save(cast: Cast, database: Engine, memory: dict[str, Any]) -> None:
    save_at_once(cast, database, memory, "PATCH", {})


@when("both tabs replace the task in the same moment")
def both_tabs_replace(cast: Cast, database: Engine, memory: dict[str, Any]) -> None:
    save_at_once(cast, database, memory, "PUT", WHOLE_TASK)


def save_at_once(cast: Cast, database: Engine, memory: dict[str, Any], method: str, fields: dict[str, Any]) -> None:
    """Send a title from each tab, with these other fields, so that both wait for the same row."""
    alice = cast("Alice")
    path, seen = alice.tasks_path(alice.task), {"If-Match": memory["first"]}
    with alice.ledger.at_once(), database.connect() as lock, ThreadPoolExecutor(2) as tabs:
        # both requests wait for the lock before either can write
        lock.execute(text("SELECT 1 FROM task WHERE user_id = :user_id AND id = :id FOR UPDATE"), alice.task)
        sent: dict[str, Future[httpx.Response]] = {
            title: tabs.submit(alice.send, method, path, headers=seen, json={**fields, "title": title})
            for title in ("Oats", "Rice")
        }
        time.sleep(0.3)
        assert not any(answer.done() for answer in sent.values())
        lock.rollback()
    memory["answers"] = {title: answer.result() for title, answer in sent.items()}


@when("her second tab asks whether the task has changed")
def second_tab_asks_for_changes(cast: Cast, memory: dict[str, Any]) -> None:
    alice = cast("Alice")
    alice.ask("GET", alice.tasks_path(alice.task), headers={"If-None-Match": memory["second"]})


@then(said("one tab's title is stored, and the other tab is told {sentence:Quoted}"))
def one_tab_is_told(cast: Cast, memory: dict[str, Any], sentence: str) -> None:
    (stored,) = titles_of(cast("Alice").ledger.tasks_of("alice"))
    assert memory["answers"].pop(stored).status_code == 200
    (refusal,) = memory["answers"].values()
    told(refusal, sentence)


@then("it is told that nothing has changed, and is not sent the task")
def is_told_that_nothing_has_changed(cast: Cast) -> None:
    assert cast("Alice").answer.status_code == 304
    assert cast("Alice").answer.content == b""
