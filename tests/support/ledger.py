"""What must be stored for everybody in a scenario, held against each answer.

A refusal changes nothing. After a success the answer, the row, a new fetch and the list agree, and every other row is
what it was. `Person.ask` passes each answer through here, so that no step can forget it.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import text

from tests.support.clock import is_now
from tests.support.cluster import Cluster

Task = dict[str, Any]
"""A task in the form in which the service shows it."""
Place = tuple[str, int]
"""Where a task is stored: its owner's id, and its number."""
Key = tuple[str, str]
"""A user's id, and an Idempotency-Key of theirs."""
Exchange = tuple[Callable[[str, str], httpx.Response], httpx.Response]
"""How whoever was answered asks again (a method and a path), and the answer."""
PATH = re.compile(r"/api/(?P<user>[^/]+)/tasks(?:/(?P<number>\d+))?")
PAGE = 500
READS = {"GET", "HEAD", "OPTIONS"}


class Ledger:
    """All tasks that must be stored, field by field."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._tasks: dict[Place, Task] = {}
        self._before: dict[Place, Task] = {}
        """As they were when the scenario came to its When."""
        self._numbers: set[int] = set()
        """Of all tasks that there ever were."""
        self._answers: dict[Key, tuple[Any, ...]] = {}
        """The first answer for each user and Idempotency-Key."""
        self._kept_since: dict[Key, datetime] = {}
        """When each of these keys was stored, once that is known."""
        self._uncertain: set[Key] = set()
        """Keys that may be stored or not: too old ones, and those of errors in a crash."""
        self._together: list[Exchange] | None = None
        """Answers to requests that are sent at the same time."""

    # What a scenario looks at

    def tasks_of(self, user: str) -> list[Task]:
        """A person's tasks, the newest first."""
        return _newest_first(self._tasks, user)

    def tasks_before(self, user: str) -> list[Task]:
        """The same at the moment when the scenario came to its When."""
        return _newest_first(self._before, user)

    def owner_of(self, number: int) -> str | None:
        """The person whose task this is or was before the When."""
        return next((user for user, task in [*self._tasks, *self._before] if task == number), None)

    # What a scenario says of the database

    def mark(self) -> None:
        """Note how things are before the When."""
        self._before = dict(self._tasks)

    def learn(self, user: str) -> list[Task]:
        """Take over the tasks that a step has stored for one person; return them, the oldest first.

        The person has lost none by that.
        """
        stored = self._stored()
        new = sorted(place for place in stored if place not in self._tasks)
        assert {owner for owner, _ in new} <= {user}
        for place in new:
            self._enter(place, stored[place])
        self.settle()
        return [stored[place] for place in new]

    def forget(self, user: str) -> None:
        """Everything of this person has been deleted."""
        self._tasks = {place: task for place, task in self._tasks.items() if place[0] != user}
        self._answers = {key: answer for key, answer in self._answers.items() if key[0] != user}
        self._kept_since = {key: since for key, since in self._kept_since.items() if key[0] != user}

    def let_keys_age(self, *, lapsed: bool) -> None:
        """A step has made all Idempotency-Keys older; tell whether too old."""
        self._kept_since = {}
        if lapsed:
            self._uncertain |= self._answers.keys()
            self._answers = {}

    # What the service answers

    def hold(self, answer: httpx.Response, ask_again: Callable[[str, str], httpx.Response]) -> None:
        """Fail unless what is stored is what this answer says."""
        if self._together is not None:
            self._together.append((ask_again, answer))
        else:
            self._hold([(ask_again, answer)])

    @contextmanager
    def at_once(self, *, crash: bool = False) -> Iterator[None]:
        """Hold all answers together at the end: while requests are sent at the same time, nobody knows their order.

        In a crash a task may be stored although the answer was an error.
        """
        exchanges: list[Exchange] = []
        self._together = exchanges
        try:
            yield
        finally:
            self._together = None
        self._hold(exchanges, crash=crash)

    def _hold(self, exchanges: list[Exchange], *, crash: bool = False) -> None:
        writes = [one for one in exchanges if one[1].request.method not in READS]
        changes = [one for one in sorted(writes, key=_time) if self._expect(one[1])]
        if crash:
            self._learn_unconfirmed([answer for _, answer in writes if answer.status_code >= 500])
        self.settle()
        if not changes:
            for _, answer in exchanges:
                self._compare_shown(answer)
        for ask_again, answer in changes[-1:]:
            self._look_again(ask_again, answer)

    def settle(self) -> None:
        """Fail unless the database holds exactly what it must; while it can't be asked, that has to wait."""
        if self._cluster.is_away:
            return
        stored = self._stored()
        wrong = {
            place: {"must be": self._tasks.get(place), "is": stored.get(place)}
            for place in {**self._tasks, **stored}
            if self._tasks.get(place) != stored.get(place)
        }
        assert not wrong, f"stored otherwise than answered: {wrong}"
        keys = self._stored_keys()
        assert self._answers.keys() <= keys.keys() <= self._answers.keys() | self._uncertain, keys
        # a key counts from its first use, whatever is done afterwards
        for key in self._answers:
            assert self._kept_since.setdefault(key, keys[key]) == keys[key]

    def _expect(self, answer: httpx.Response) -> bool:
        """Note what must be stored after this answer to a write; tell whether anything has changed."""
        place = PATH.fullmatch(answer.request.url.path)
        if place is None or answer.status_code >= 400:
            return False
        user, number = place["user"], int(place["number"] or 0)
        match answer.request.method:
            case "POST":
                return self._expect_creation(user, answer)
            case "DELETE":
                del self._tasks[user, number]
            case method:
                self._expect_change(user, number, method, answer)
        return True

    def _expect_creation(self, user: str, answer: httpx.Response) -> bool:
        key = _key(answer)
        if key in self._answers:
            assert first_answer(answer) == self._answers[key]
            return False
        task = answer.json()
        if key in self._uncertain and (user, task["id"]) in self._tasks:
            # the crash came after the task was stored
            assert task == self._tasks[user, task["id"]]
            self._confirm(key, answer)
            return False
        sent = _sent(answer)
        wrote = {"user_id": user, "description": None, "complete": False, "updated_at": task["created_at"]} | sent
        assert task == task | wrote
        assert is_now(task["created_at"])
        assert task["id"] not in self._numbers
        self._enter((user, task["id"]), task)
        if key[1]:
            self._confirm(key, answer)
        return True

    def _confirm(self, key: Key, answer: httpx.Response) -> None:
        self._answers[key] = first_answer(answer)
        self._uncertain.discard(key)

    def _expect_change(self, user: str, number: int, method: str, answer: httpx.Response) -> None:
        before = self._tasks[user, number]
        cleared = {"description": None} if method == "PUT" else {}
        task = answer.json()
        assert task == before | cleared | _sent(answer) | {"updated_at": task["updated_at"]}
        assert task["updated_at"] > before["updated_at"]
        # unless the clock was set back, when it only moves on
        assert is_now(task["updated_at"]) or before["updated_at"] > _shown(datetime.now(UTC))
        self._tasks[user, number] = task

    def _enter(self, place: Place, task: Task) -> None:
        self._tasks[place] = task
        self._numbers.add(place[1])

    def _learn_unconfirmed(self, errors: list[httpx.Response]) -> None:
        """Take over the tasks that a crash has left behind errors: each as it was sent, and once at most."""
        stored = self._stored()
        new = [place for place in stored if place not in self._tasks]
        sent = [_sent(error) for error in errors]
        self._uncertain |= {_key(error) for error in errors} - self._answers.keys()
        for place in new:
            task = stored[place]
            sent.remove({"title": task["title"]})
            assert (task["description"], task["complete"]) == (None, False)
            assert task["updated_at"] == task["created_at"]
            self._enter(place, task)

    def _compare_shown(self, answer: httpx.Response) -> None:
        """Fail if an answer to a read shows a task otherwise than it is stored."""
        place = PATH.fullmatch(answer.request.url.path)
        if place is None or answer.status_code != 200 or answer.request.method != "GET":
            return
        shown = answer.json()
        if place["number"]:
            assert shown == self._tasks[place["user"], int(place["number"])]
            return
        tasks = self.tasks_of(place["user"])
        if not answer.request.url.query:
            assert shown == {"tasks": tasks[:PAGE], "count": len(tasks)}
        # some of them, in the same order
        assert shown["tasks"] == [task for task in tasks if task in shown["tasks"]]

    def _look_again(self, ask_again: Callable[[str, str], httpx.Response], answer: httpx.Response) -> None:
        """Fetch what was changed, and list it."""
        path = answer.request.url.raw_path.decode().partition("?")[0]
        if answer.request.method == "POST":
            self._compare_shown(ask_again("GET", answer.headers["location"]))
            self._compare_shown(ask_again("GET", path))
        else:
            fetched = ask_again("GET", path)
            assert fetched.status_code == (404 if answer.request.method == "DELETE" else 200)
            self._compare_shown(fetched)
            self._compare_shown(ask_again("GET", path.rpartition("/")[0]))

    def _stored(self) -> dict[Place, Task]:
        with self._cluster.engine.connect() as connection:
            rows = connection.execute(text("SELECT * FROM task")).mappings()
            return {(row["user_id"], row["id"]): _as_shown(dict(row)) for row in rows}

    def _stored_keys(self) -> dict[Key, datetime]:
        """When each key was stored."""
        with self._cluster.engine.connect() as connection:
            rows = connection.execute(text("SELECT user_id, key, created_at FROM idempotency_key"))
            return {(user, key): created_at for user, key, created_at in rows}


def _key(answer: httpx.Response) -> Key:
    """The user and the Idempotency-Key of a request for a new task; the key is empty if there is none."""
    place = PATH.fullmatch(answer.request.url.path)
    assert place
    return place["user"], answer.request.headers.get("idempotency-key", "")


def first_answer(answer: httpx.Response) -> tuple[Any, ...]:
    """The parts of an answer that a retry gets again."""
    return answer.status_code, answer.content, answer.headers["location"], answer.headers["etag"]


def _newest_first(tasks: dict[Place, Task], user: str) -> list[Task]:
    return [tasks[place] for place in sorted(tasks, reverse=True) if place[0] == user]


def _time(exchange: Exchange) -> str:
    """When a change was made, as its answer says; a deletion comes last."""
    _, answer = exchange
    return str(answer.json()["updated_at"]) if answer.status_code in {200, 201} else "9999"


def _sent(answer: httpx.Response) -> dict[str, Any]:
    """The fields that were sent; spaces around a title are no part of it."""
    fields: dict[str, Any] = json.loads(answer.request.content)
    return fields | ({"title": fields["title"].strip()} if "title" in fields else {})


def _as_shown(row: dict[str, Any]) -> Task:
    """A row, with its times as the service shows them."""
    return {name: _shown(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
