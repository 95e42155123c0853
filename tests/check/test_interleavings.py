"""Whatever two to four people do, in whatever order, at once or while the database dies: it is what a model says.

The model is two dictionaries: what tasks each person has, and what each key was answered with. What it says of a
person never depends on another one, so that an answer which it foretells tells nothing of anybody else.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, product
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, text

from tests.support import contract
from tests.support.clock import wait_until
from tests.support.cluster import Cluster
from tests.support.factories import rows
from tests.support.service import Service
from tests.support.tokens import token

SETTINGS = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
IDS = {"alice": "alice-{}", "bob": "alice-{} 1", "carol": "ALICE-{}", "dave": "%-{}"}
"""People, and their ids at Better Auth: a sloppy comparison takes each of them for Alice, or Alice for them."""
PEOPLE: st.SearchStrategy[str] = st.runner().flatmap(lambda machine: st.sampled_from(machine.people))
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
ASKED = st.one_of(CHANGES, st.just(("GET", None)))
LIMITS = st.integers(1, 4)
OFFSETS = st.none() | st.integers(0, 5)
MOMENTS = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.25])
"""How soon after a request the database dies, as a part of the time that a request takes now.

None: while the request's statement waits in the database for a lock, so that its answer is lost on every machine.
"""
GONE = -1
NEVER = 2**62
"""The number of a task that never was."""
numbers = count()

Essence = tuple[int, bytes, str | None, str | None]
Refusal = tuple[int, dict[str, Any], dict[str, str]]


def essence(answer: httpx.Response) -> Essence:
    """All of an answer that is about the task."""
    return answer.status_code, answer.content, answer.headers.get("location"), answer.headers.get("etag")


def refusal(answer: httpx.Response) -> Refusal:
    """All of a refusal but when it was made and which request it answers."""
    body = {name: value for name, value in answer.json().items() if name != "timestamp"}
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    return answer.status_code, body, headers


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
    """Create, retry, edit, delete, list and look, by two to four people with several tabs each.

    How a race ends is chance, and hypothesis must not be led by it: how many views a rule gives never depends on that.
    """

    views: Bundle[View] = Bundle("views")
    service: Service
    database: Engine

    def __init__(self) -> None:
        super().__init__()
        self.number = next(numbers)
        self.people: list[str] = []
        self.client = httpx.Client(base_url=self.service.url, timeout=30)
        self.tasks: dict[str, dict[int, dict[str, Any]]] = {}
        self.answers: dict[str, dict[str, tuple[dict[str, Any], Essence]]] = defaultdict(dict)
        self.nothing: dict[tuple[str, ...], Refusal] = {}

    @initialize(count=st.integers(2, len(IDS)))
    def meet(self, count: int) -> None:
        """So many people sign in."""
        self.people = [*IDS][:count]
        self.ids = {name: IDS[name].format(self.number) for name in self.people}
        self.tokens = {name: token(user) for name, user in self.ids.items()}
        self.tasks = {name: {} for name in self.people}

    def teardown(self) -> None:
        """Hold the database itself against the model, and what is open to all against the people."""
        for person in self.people:
            stored = {row["id"]: {name: row[name] for name in TOLD} for row in rows(self.database, self.ids[person])}
            assert stored == {number: told(task) for number, task in self.tasks[person].items()}
        for path in ("/metrics", "/openapi.json", "/health/ready"):
            self.tells_nothing_of(self.people, self.client.get(path))
        self.client.close()

    # asking

    def ask(self, person: str, method: str, task_id: int | None, body: Any = None, **headers: str) -> httpx.Response:
        """Ask once for one's own, and hold the answer against the contract."""
        path = self.path(self.ids[person]) + (f"/{task_id}" if task_id else "")
        return self.ask_for(path, person, method, body, **headers)

    def path(self, user: str) -> str:
        """Where a user's list is."""
        return f"/api/{quote(user, safe='')}/tasks"

    def ask_for(self, path: str, person: str | None, method: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask for anything, a stranger without a token, and hold the answer against the contract."""
        signed_in = {"authorization": f"Bearer {self.tokens[person]}"} if person else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {} if body is None else {"json": body}
        answer = self.client.request(method, path, headers=signed_in | named, **sent)
        contract.hold(answer)
        self.tells_nothing_of([other for other in self.people if other != person], answer, person)
        return answer

    def tells_nothing_of(self, people: list[str], answer: httpx.Response, asking: str | None = None) -> None:
        """Fail where an answer holds an id or a moment of these people, anywhere; of ids, one may be part of another.

        Two tasks that were made at once may have a moment in common.
        """
        said, own = "\n".join([answer.text, *answer.headers.values()]), self.moments(asking) if asking else set()
        for person in people:
            words = self.moments(person) - own | {f'"{self.ids[person]}"', self.path(self.ids[person])}
            assert not [word for word in words if word in said]

    def moments(self, person: str) -> set[str]:
        """When a person's tasks were made and changed last."""
        return {task[name] for task in self.tasks[person].values() for name in ("created_at", "updated_at")}

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

    @rule(person=PEOPLE, complete=st.none() | st.booleans(), limit=LIMITS, offset=OFFSETS)
    def list_all(self, person: str, complete: bool | None, limit: int, offset: int | None) -> None:
        """Read the whole list, page after page: all of one's own that match, newest first, and nothing else."""
        start = {} if offset is None else {"offset": offset}
        self.read_on(person, complete, limit, self.matching(person, complete)[offset or 0 :], start)

    def matching(self, person: str, complete: bool | None) -> list[dict[str, Any]]:
        """A person's tasks of that state, or of any, newest first."""
        tasks = [task for _, task in sorted(self.tasks[person].items(), reverse=True)]
        return [task for task in tasks if complete in (None, task["complete"])]

    def read_on(
        self, person: str, complete: bool | None, limit: int, left: list[dict[str, Any]], start: dict[str, Any]
    ) -> None:
        """Follow the links from a first page, and find all that is left, all pages full but the last."""
        kept = ({} if complete is None else {"complete": str(complete).lower()}) | {"limit": limit}
        url, count = httpx.URL(self.path(self.ids[person]), params=kept | start), len(self.matching(person, complete))
        while True:
            answer = self.ask_for(str(url), person, "GET")
            page, left = left[:limit], left[limit:]
            assert answer.json() == {"tasks": page, "count": count}
            if not left:
                assert "link" not in answer.headers
                return
            link = answer.links["next"]["url"]
            assert httpx.URL(link).params == httpx.QueryParams(kept | {"after": page[-1]["id"]})
            url = url.join(link)


class AmongOthers(Interleavings):
    """The same, where people also try what is others': numbers, tags, keys and places."""

    @rule(view=Interleavings.views, other=Interleavings.views, change=CHANGES)
    def use_the_tag_of_another_task(self, view: View, other: View, change: tuple[str, Any]) -> None:
        """A tag opens what it was given for, and nothing else: neither a change nor a look that is spared."""
        task = self.tasks[view.person].get(view.task_id)
        if task and other.tag != self.tag(view):
            asked = view.person, change[0], view.task_id, change[1]
            assert self.ask(*asked, if_match=other.tag).status_code == 412
            answer = self.ask(view.person, "GET", view.task_id, if_none_match=other.tag)
            assert (answer.status_code, answer.json()) == (200, task)

    @rule(view=Interleavings.views, body=NEW, place=st.integers(0, 2))
    def meddle(self, view: View, body: dict[str, Any], place: int) -> None:
        """Another one tries the task's number, and its true tag, in a list of their own: as if it had never been."""
        other, known = self.other_than(view.person, place), view.task_id in self.tasks[view.person]
        tag = self.tag(view) if known else view.tag
        for method, header, what in [
            ("GET", "if_none_match", None),
            ("PATCH", "if_match", body),
            ("PUT", "if_match", body | {"complete": True}),
            ("DELETE", "if_match", None),
        ]:
            for headers in ({}, {header: tag}):
                answer = self.ask(other, method, view.task_id, what, **headers)
                assert answer.status_code == 404
                assert refusal(answer) == self.never_been(other, method, what, **headers)

    def never_been(self, person: str | None, method: str, body: Any, where: str = "", **headers: str) -> Refusal:
        """What is told of a task or a user that never was; asked once for each kind of question: it is the same."""
        kind = where, str(person), method, *headers
        if kind not in self.nothing:
            path = self.path(where or self.ids[str(person)])
            self.nothing[kind] = refusal(self.ask_for(f"{path}/{NEVER}", person, method, body, **headers))
        return self.nothing[kind]

    @rule(view=Interleavings.views, asked=ASKED, kind=st.integers(0, 2))
    def trespass(self, view: View, asked: tuple[str, Any], kind: int) -> None:
        """All, and a stranger, go to all others' places: as closed as that of a user who never was."""
        method, body = asked
        header = "if_none_match" if method == "GET" else "if_match"
        rest, how, what, headers = [
            (f"/{view.task_id}", method, body, {header: view.tag}),
            ("", "POST", view.body, {"idempotency_key": view.key or "one"}),
            (f"?limit=1&after={view.task_id + 1}", "GET", None, {}),
        ][kind]
        for owner, other in product(self.people, [*self.people, None]):
            if other != owner:
                answer = self.ask_for(self.path(self.ids[owner]) + rest, other, how, what, **headers)
                assert answer.status_code == (403 if other else 401)
                assert refusal(answer) == self.never_been(other, how, what, where="nobody", **headers)

    def other_than(self, person: str, place: int) -> str:
        """Somebody else."""
        others = [one for one in self.people if one != person]
        return others[place % len(others)]

    @rule(target=Interleavings.views, key=KEYS, body=NEW)
    def send_the_same_at_once(self, key: str, body: dict[str, Any]) -> MultipleResults[View]:
        """All people send one task under one key: it is each one's own, and nobody waits for or hears of another."""
        answers = self.at_once(
            *[lambda person=person: self.ask(person, "POST", None, body, idempotency_key=key) for person in self.people]
        )
        made = [self.created(person, key, body, answer) for person, answer in zip(self.people, answers, strict=True)]
        return multiple(*[view for views in made for view in views.values])

    @rule(person=PEOPLE, view=Interleavings.views, complete=st.none() | st.booleans(), limit=LIMITS)
    def list_after(self, person: str, view: View, complete: bool | None, limit: int) -> None:
        """Read on after a number that is one's own, another's or nobody's any more: it is a number, and no more."""
        left = [task for task in self.matching(person, complete) if task["id"] < view.task_id]
        self.read_on(person, complete, limit, left, {"after": view.task_id})


class WithDyingDatabase(Interleavings):
    """The same, where the database dies now and then while it is asked for a change; people try again."""

    cluster: Cluster
    is_dying = False
    """Whether the database dies over the next request."""
    dies_after: float | None = None
    """When; see MOMENTS."""
    lost: ClassVar[list[str]] = []
    """By what was asked: the answers that the database took with it."""

    @rule(target=Interleavings.views, person=PEOPLE, body=NEW, moment=MOMENTS)
    def create_while_it_dies(self, person: str, body: dict[str, Any], moment: float | None) -> Views:
        """Send a task that nobody has sent before, and lose the database over it."""
        self.is_dying, self.dies_after = True, moment
        return self.create(person, f"key-{next(numbers)}", body)

    @rule(target=Interleavings.views, view=Interleavings.views, change=CHANGES, condition=CONDITIONS, moment=MOMENTS)
    def change_while_it_dies(self, view: View, change: tuple[str, Any], condition: str, moment: float | None) -> Views:
        """Ask for a change, and lose the database over it."""
        self.is_dying, self.dies_after = True, moment
        return self.change(view, change, condition)

    def write(self, person: str, method: str, task_id: int | None, body: Any, **headers: str) -> httpx.Response:
        """Ask for a change and, where the answer was lost, do what a good client does."""
        if not self.is_dying:
            return super().write(person, method, task_id, body, **headers)
        self.is_dying = False
        self.ask(person, "GET", None)  # after the last crash this one connects again
        with self.killer(person) as killer:
            killer.start()
            answer = self.ask(person, method, task_id, body, **headers)
            killer.join()
        return answer if answer.status_code != 500 else self.again(person, method, task_id, body, headers)

    @contextmanager
    def killer(self, person: str) -> Iterator[threading.Thread]:
        """Yield a thread that kills the database at the moment that was chosen."""
        if self.dies_after is not None:
            began = time.monotonic()
            self.ask(person, "GET", None)
            yield threading.Timer(self.dies_after * (time.monotonic() - began), self.crash_and_start)
            return
        with self.database.connect() as holder:
            holder.execute(text("LOCK TABLE task IN SHARE ROW EXCLUSIVE MODE"))
            yield threading.Thread(target=self.crash_while_one_waits, args=(holder,))
            holder.invalidate()  # it has died with the database

    def crash_while_one_waits(self, holder: Connection) -> None:
        """Die as soon as a statement waits for what the holder has locked."""
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        wait_until(lambda: holder.execute(waiting).scalar_one() > 0)
        self.crash_and_start()

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
    """No duplicate, no lost update; nobody sees, changes or hears of what is another's."""

    class Machine(AmongOthers):
        pass

    Machine.service, Machine.database = service, database
    run_state_machine_as_test(Machine, settings=settings(SETTINGS, max_examples=20, stateful_step_count=30))


def test_the_same_while_the_database_dies(service: Service, database: Engine, cluster: Cluster) -> None:
    """A client that was told 500 tries again, and finds everything once."""

    class Machine(WithDyingDatabase):
        pass

    Machine.service, Machine.database, Machine.cluster = service, database, cluster
    run_state_machine_as_test(Machine, settings=settings(SETTINGS, max_examples=5, stateful_step_count=15))
    assert Machine.lost
