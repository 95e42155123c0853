"""Whatever two people do, in whatever order, at once or while the database dies: it is what a simple model says.

The model is two dictionaries: what tasks each person has, and what each key was answered with.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from tests.support import contract
from tests.support.cluster import Cluster
from tests.support.factories import rows
from tests.support.service import Service
from tests.support.tokens import token

SETTINGS = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
PEOPLE = st.sampled_from(["alice", "bob"])
KEYS = st.sampled_from(["one", "two", "three"])
TITLES = st.sampled_from(["Buy milk", "Pay the rent", "Call Mum"])
NEW = st.fixed_dictionaries({"title": TITLES}, optional={"description": st.sampled_from([None, "", "two litres"])})
PARTS = st.fixed_dictionaries({"title": TITLES}, optional={"complete": st.booleans()})
CHANGES = st.one_of(
    st.tuples(st.just("PATCH"), PARTS),
    st.tuples(st.just("PUT"), st.fixed_dictionaries({"title": TITLES, "complete": st.booleans()})),
    st.tuples(st.just("DELETE"), st.none()),
)
CONDITIONS = st.sampled_from(["as seen", "whatever is there", "not asked"])
MILLISECONDS = st.integers(0, 8)
"""How soon after a request the database dies: about as long as a request takes."""
GONE = -1
numbers = count()

Essence = tuple[int, bytes, str | None, str | None]


def essence(answer: httpx.Response) -> Essence:
    """All of an answer that is about the task."""
    return answer.status_code, answer.content, answer.headers.get("location"), answer.headers.get("etag")


@dataclass(frozen=True)
class View:
    """What a tab or a phone remembers: a task as it was, and how it was asked for."""

    person: str
    task_id: int
    tag: str
    key: str | None
    body: dict[str, Any]


Views = MultipleResults[View] | View


class Interleavings(RuleBasedStateMachine):
    """Create, retry, edit, delete and look, by two people with several tabs each.

    How a race ends is chance, and hypothesis must not be led by it: how many views a rule gives never depends on that.
    """

    views: Bundle[View] = Bundle("views")
    service: Service
    database: Engine

    def __init__(self) -> None:
        super().__init__()
        number = next(numbers)
        self.ids = {name: f"{name}-{number}" for name in ("alice", "bob")}
        self.tokens = {name: token(user) for name, user in self.ids.items()}
        self.client = httpx.Client(base_url=self.service.url, timeout=30)
        self.tasks: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in self.ids}
        self.answers: dict[str, dict[str, tuple[dict[str, Any], Essence]]] = defaultdict(dict)

    def teardown(self) -> None:
        """Hold the database itself against the model."""
        for person, user in self.ids.items():
            stored = {row["id"]: {name: row[name] for name in TOLD} for row in rows(self.database, user)}
            assert stored == {number: told(task) for number, task in self.tasks[person].items()}
        self.client.close()

    # asking

    def ask(self, person: str, method: str, task_id: int | None, body: Any = None, **headers: str) -> httpx.Response:
        """Ask once, and hold the answer against the contract."""
        signed_in = {"authorization": f"Bearer {self.tokens[person]}"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/api/{self.ids[person]}/tasks" + (f"/{task_id}" if task_id else "")
        sent = {} if body is None else {"json": body}
        answer = self.client.request(method, path, headers=signed_in | named, **sent)
        contract.hold(answer)
        return answer

    def write(self, person: str, method: str, task_id: int | None, body: Any, **headers: str) -> httpx.Response:
        """Ask for a change."""
        return self.ask(person, method, task_id, body, **headers)

    def at_once(self, *asked: Callable[[], httpx.Response]) -> list[httpx.Response]:
        """Ask several things at the same time."""
        with ThreadPoolExecutor(len(asked)) as tabs:
            return [answer.result() for answer in [tabs.submit(one) for one in asked]]

    # the model

    def created(
        self, person: str, key: str | None, body: dict[str, Any], answer: httpx.Response
    ) -> MultipleResults[View]:
        """What must come of a task that was sent."""
        if key and key in self.answers[person]:
            meant, first = self.answers[person][key]
            if meant == normal(body):
                assert essence(answer) == first
            else:
                assert (answer.status_code, answer.json()["errors"][0]["type"]) == (422, "key_reused")
            return multiple()
        assert answer.status_code == 201
        task = answer.json()
        assert told(task) == {"complete": False} | normal(body)
        assert all(task["id"] not in tasks for tasks in self.tasks.values())
        self.tasks[person][task["id"]] = task
        if key:
            self.answers[person][key] = normal(body), essence(answer)
        return multiple(View(person, task["id"], answer.headers["etag"], key, body))

    def changed(self, view: View, method: str, body: Any, answer: httpx.Response) -> View:
        """Take into the model that a change was made."""
        tasks = self.tasks[view.person]
        if method == "DELETE":
            assert answer.status_code == 204
            del tasks[view.task_id]
            return view
        assert answer.status_code == 200
        before, now = tasks[view.task_id], answer.json()
        assert told(now) == told(before) | ({"description": None} if method == "PUT" else {}) | body
        assert now["updated_at"] > before["updated_at"]
        assert now["created_at"] == before["created_at"]
        tasks[view.task_id] = now
        return replace(view, tag=answer.headers["etag"])

    def tag(self, view: View) -> str:
        """The tag that the view's task has now."""
        return '"{updated_at}"'.format(**self.tasks[view.person][view.task_id])

    # what people do

    @rule(target=views, person=PEOPLE, key=st.none() | KEYS, body=NEW)
    def create(self, person: str, key: str | None, body: dict[str, Any]) -> MultipleResults[View]:
        """Send a task, with a key or without."""
        headers = {"idempotency_key": key} if key else {}
        return self.created(person, key, body, self.write(person, "POST", None, body, **headers))

    @rule(view=views)
    def retry(self, view: View) -> None:
        """Send a task again, whatever has become of it since."""
        if view.key:
            self.created(
                view.person,
                view.key,
                view.body,
                self.ask(view.person, "POST", None, view.body, idempotency_key=view.key),
            )

    @rule(target=views, view=views, change=CHANGES, condition=CONDITIONS)
    def change(self, view: View, change: tuple[str, Any], condition: str) -> View:
        """Replace, change or delete a task, on the strength of what was seen or not."""
        method, body = change
        headers = {"as seen": {"if_match": view.tag}, "whatever is there": {"if_match": "*"}}.get(condition, {})
        answer = self.write(view.person, method, view.task_id, body, **headers)
        if view.task_id not in self.tasks[view.person]:
            assert answer.status_code == 404
        elif condition == "as seen" and view.tag != self.tag(view):
            assert answer.status_code == 412
        else:
            return self.changed(view, method, body, answer)
        return view

    @rule(target=views, view=views)
    def look(self, view: View) -> View:
        """Ask for a task, if there is anything new."""
        answer = self.ask(view.person, "GET", view.task_id, if_none_match=view.tag)
        if view.task_id not in self.tasks[view.person]:
            assert answer.status_code == 404
        elif view.tag == self.tag(view):
            assert answer.status_code == 304
        else:
            assert (answer.status_code, answer.json()) == (200, self.tasks[view.person][view.task_id])
            return replace(view, tag=answer.headers["etag"])
        return view

    @rule(view=views, change=CHANGES)
    def meddle(self, view: View, change: tuple[str, Any]) -> None:
        """The other one tries the task's number, and its true tag, in a list of their own."""
        other = {"alice": "bob", "bob": "alice"}[view.person]
        assert self.ask(other, *[change[0], view.task_id, change[1]], if_match=view.tag).status_code == 404
        assert self.ask(other, "GET", view.task_id, if_none_match=view.tag).status_code == 404

    @rule(target=views, person=PEOPLE, key=KEYS, body=NEW)
    def send_at_once(self, person: str, key: str, body: dict[str, Any]) -> MultipleResults[View]:
        """A retry overtakes the first attempt."""
        first, *others = self.at_once(*[lambda: self.ask(person, "POST", None, body, idempotency_key=key)] * 4)
        if first.status_code == 201:
            assert {essence(answer) for answer in others} == {essence(first)}
        assert {answer.status_code for answer in others} == {first.status_code}
        return self.created(person, key, body, first)

    @rule(target=views, view=views, changes=st.lists(CHANGES, min_size=2, max_size=4))
    def save_at_once(self, view: View, changes: list[tuple[str, Any]]) -> View:
        """Several tabs that have seen the same save at the same time: one of them does."""
        if view.task_id not in self.tasks[view.person]:
            return view
        tag = self.tag(view)
        asked = [
            lambda method=method, body=body: self.ask(view.person, method, view.task_id, body, if_match=tag)
            for method, body in changes
        ]
        answers = self.at_once(*asked)
        ((won, answer),) = [(place, answer) for place, answer in enumerate(answers) if answer.is_success]
        lost = {answer.status_code for answer in answers if not answer.is_success}
        assert lost <= ({404, 412} if changes[won][0] == "DELETE" else {412})
        return self.changed(view, *changes[won], answer)

    @rule(person=PEOPLE)
    def list_all(self, person: str) -> None:
        """Look at the list: all of one's own, newest first, and nothing else."""
        answer = self.ask(person, "GET", None).json()
        tasks = self.tasks[person]
        assert answer == {"tasks": [tasks[number] for number in sorted(tasks, reverse=True)], "count": len(tasks)}


class WithDyingDatabase(Interleavings):
    """The same, where the database dies now and then while it is asked for a change; people try again."""

    cluster: Cluster
    dies_after: float | None = None
    lost: ClassVar[list[str]] = []
    """By what was asked: the answers that the database took with it."""

    @rule(target=Interleavings.views, person=PEOPLE, body=NEW, milliseconds=MILLISECONDS)
    def create_while_it_dies(self, person: str, body: dict[str, Any], milliseconds: int) -> Views:
        """Send a task that nobody has sent before, and lose the database over it."""
        self.dies_after = milliseconds / 1000
        return self.create(person, f"key-{next(numbers)}", body)

    @rule(
        target=Interleavings.views,
        view=Interleavings.views,
        change=CHANGES,
        condition=CONDITIONS,
        milliseconds=MILLISECONDS,
    )
    def change_while_it_dies(self, view: View, change: tuple[str, Any], condition: str, milliseconds: int) -> Views:
        """Ask for a change, and lose the database over it."""
        self.dies_after = milliseconds / 1000
        return self.change(view, change, condition)

    def write(self, person: str, method: str, task_id: int | None, body: Any, **headers: str) -> httpx.Response:
        """Ask for a change and, where the answer was lost, do what a good client does."""
        if self.dies_after is None:
            return super().write(person, method, task_id, body, **headers)
        delay, self.dies_after = self.dies_after, None
        killer = threading.Timer(delay, self.crash_and_start)
        killer.start()
        answer = self.ask(person, method, task_id, body, **headers)
        killer.join()
        return answer if answer.status_code != 500 else self.again(person, method, task_id, body, headers)

    def crash_and_start(self) -> None:
        """Die, and be back as soon as can be."""
        self.cluster.crash()
        self.cluster.start()

    def again(
        self, person: str, method: str, task_id: int | None, body: Any, headers: dict[str, str]
    ) -> httpx.Response:
        """Send it again; where that is refused, it may be because the first attempt was heard."""
        self.lost.append(method)
        answer = self.ask(person, method, task_id, body, **headers)
        known = self.tasks[person].get(task_id or GONE)
        if answer.status_code == 404 and method == "DELETE" and known:
            return httpx.Response(204)
        if answer.status_code == 412 and known:
            now = self.ask(person, "GET", task_id)
            return now if now.json() != known else answer
        return answer


TOLD = ("title", "description", "complete")


def told(task: dict[str, Any]) -> dict[str, Any]:
    """What a person wrote or set."""
    return {name: task[name] for name in TOLD}


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """What is meant by a body: a description that is left out is none."""
    return {"description": None} | body


def test_any_interleaving_is_what_the_model_says(service: Service, database: Engine) -> None:
    """No duplicate, no lost update, no leak."""

    class Machine(Interleavings):
        pass

    Machine.service, Machine.database = service, database
    run_state_machine_as_test(Machine, settings=settings(SETTINGS, max_examples=30, stateful_step_count=30))


def test_the_same_while_the_database_dies(service: Service, database: Engine, cluster: Cluster) -> None:
    """A client that was told 500 tries again, and finds everything once."""

    class Machine(WithDyingDatabase):
        pass

    Machine.service, Machine.database, Machine.cluster = service, database, cluster
    run_state_machine_as_test(Machine, settings=settings(SETTINGS, max_examples=3, stateful_step_count=15))
    assert Machine.lost, "no answer was ever lost: the database dies too late"
