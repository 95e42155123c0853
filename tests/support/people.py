"""The cast: Alice and Bob with their own lists, Mallory who forges, and strangers without a token."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.acceptance.evidence import attach
from tests.support import contract
from tests.support.service import Service
from tests.support.tokens import token

Rows = dict[str, Any]


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
    _answer: httpx.Response | None = None

    @property
    def user_id(self) -> str:
        """Their id at Better Auth."""
        return self.id_at_better_auth or self.name.lower().replace(" ", "-")

    @property
    def answer(self) -> httpx.Response:
        """What the service told them last."""
        assert self._answer is not None, f"{self.name} has not asked for anything yet"
        return self._answer

    def ask(self, method: str, path: str, *, headers: Any = None, **request: Any) -> httpx.Response:
        """Send a request, hold the answer against the contract and remember it."""
        signed_in = [("authorization", f"Bearer {self.token}")] if self.token else []
        sent = [*signed_in, *(headers.items() if isinstance(headers, dict) else headers or [])]
        self._answer = attach(self.service.http.request(method, path, headers=sent, **request))
        contract.hold(self._answer)
        return self._answer

    def tasks_path(self, task: Rows | int | str | None = None) -> str:
        """Where their list is, or one task of it."""
        return path_to(self, task)


def path_to(owner: Person, task: Rows | int | str | None = None) -> str:
    """Where a person's list is, or one task of it, by its row or its number."""
    number = task["id"] if isinstance(task, dict) else task
    return f"/api/{owner.user_id}/tasks" + ("" if number is None else f"/{number}")


class Cast:
    """Everybody in a scenario, each made when first named."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._people: dict[str, Person] = {}

    def __call__(self, name: str) -> Person:
        """Find a person by name; a stranger has no token."""
        name = name.replace("the ", "a ")
        if name not in self._people:
            person = Person(name, self.service, None)
            person.token = None if name.startswith("a ") else token(person.user_id)
            self._people[name] = person
        return self._people[name]
