"""The steps about requests that are wrong in several ways."""

import json

from pytest_bdd import parsers, when

from steps.inputs import BAD_FIELDS, JSON, UNREADABLE, WHOLE_TASK
from steps.keeping_private import path_to_nothing
from tests.support.people import Cast

SEVERAL_FAULTS: dict[str, tuple[str, str, bytes]] = {
    "something unreadable and too large to an address that nobody has": ("POST", "/api/no/such/address", b"{" * 70_000),
    "a deletion of Alice's whole list": ("DELETE", "/api/alice/tasks", b""),
    "something unreadable for a task of Alice's that never existed": ("PUT", path_to_nothing("alice"), UNREADABLE),
    "a question for a page of Alice's list with a limit of zero": ("GET", "/api/alice/tasks?limit=0", b""),
    "a question for a page of her list with a limit of zero": ("GET", "/api/alice/tasks?limit=0", b""),
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
