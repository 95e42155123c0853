"""The cast: Alice and Bob with their own lists, Mallory who forges, and strangers without a token."""

import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from tests.acceptance.evidence import attach
from tests.support import contract
from tests.support.ledger import Ledger
from tests.support.service import Service
from tests.support.tokens import token
from tests.support.watch import Watch

Rows = dict[str, Any]
LONGEST_WAIT = 5
"""Seconds: nobody waits for any answer longer, whatever the database does."""


@dataclass
class Person:
    """Somebody who calls the service, and what they remember."""

    name: str
    service: Service
    token: str | None = field(repr=False)
    tasks: dict[str, Rows] = field(default_factory=dict)
    """Their tasks by title, as they were when last seen to."""
    pages: list[dict[str, Any]] = field(default_factory=list)
    id_at_better_auth: str | None = None
    """Where they have signed up at a real one; it gives out ids of its own."""
    origin: str | None = None
    """The site of the page that sends their requests."""
    waited: float = 0.0
    """Seconds for the last answer."""
    _ledger: Ledger | None = None
    """What each answer is held against in a scenario; other tests do without."""
    _answer: httpx.Response | None = None

    @property
    def user_id(self) -> str:
        """Their id at Better Auth."""
        return self.id_at_better_auth or self.name.lower().replace(" ", "-")

    @property
    def task(self) -> Rows:
        """Their only task."""
        (task,) = self.tasks.values()
        return task

    @property
    def ledger(self) -> Ledger:
        """What must be stored."""
        assert self._ledger is not None
        return self._ledger

    @property
    def answer(self) -> httpx.Response:
        """What the service told them last."""
        assert self._answer is not None, f"{self.name} has not asked for anything yet"
        return self._answer

    def ask(self, method: str, path: str, *, headers: Any = None, **request: Any) -> httpx.Response:
        """Send a request, hold the answer against the contract and the database, and remember it."""
        with Watch() as watch:
            answer = self._exchange(method, path, headers, **request)
        self._answer, self.waited = answer, watch.seconds
        if self._ledger:
            self._ledger.hold(answer, self._exchange)
            assert self.waited < LONGEST_WAIT
        return answer

    def send(self, method: str, path: str, *, headers: Any = None, **request: Any) -> httpx.Response:
        """The same without remembering the answer, for many threads at once; then inside of `ledger.at_once()`."""
        answer = self._exchange(method, path, headers, **request)
        if self._ledger:
            self._ledger.hold(answer, self._exchange)
        return answer

    def _exchange(self, method: str, path: str, headers: Any = None, **request: Any) -> httpx.Response:
        signed_in = [("authorization", f"Bearer {self.token}")] if self.token else []
        page = [("origin", self.origin)] if self.origin else []
        sent = [*signed_in, *page, *(headers.items() if isinstance(headers, dict) else headers or [])]
        answer = attach(self.service.http.request(method, path, headers=sent, **request))
        contract.hold(answer)
        return answer

    def on_another_device(self) -> "Person":
        """The same person, with an answer of their own."""
        return replace(self, pages=[], _answer=None)

    def tasks_path(self, task: Rows | int | str | None = None) -> str:
        """Where their list is, or one task of it."""
        return path_to(self, task)


def path_to(owner: Person, task: Rows | int | str | None = None) -> str:
    """Where a person's list is, or one task of it, by its row or its number."""
    number = task["id"] if isinstance(task, dict) else task
    return f"/api/{quote(owner.user_id, safe='')}/tasks" + ("" if number is None else f"/{number}")


class Cast:
    """Everybody in a scenario, each made when first named."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ledger: Ledger | None = None
        self._people: dict[str, Person] = {}

    def __call__(self, name: str) -> Person:
        """Find a person by name; a stranger, a page or a load balancer has no token."""
        name = re.sub("^(the|a) ", "a ", name, flags=re.IGNORECASE)
        if name not in self._people:
            person = Person(name, self.service, None, _ledger=self.ledger)
            person.token = None if name.startswith("a ") else token(person.user_id)
            self._people[name] = person
        return self._people[name]
