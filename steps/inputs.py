"""What people send, phrase by phrase: good input just within the limits, and bad input of every kind."""

import json
from collections.abc import Callable, Iterator
from typing import Any

TASK = {"title": "Buy milk"}
WHOLE_TASK = {"title": "Buy oats", "complete": False}
SECRET = "sesame-4711"  # noqa: S105 - planted, to be looked for
BODY_MAX = 64 * 1024


def _without(task: dict[str, Any], name: str) -> str:
    return json.dumps({key: value for key, value in task.items() if key != name})


def _padded(size: int) -> bytes:
    """A good task of so many bytes: white space is no part of it."""
    body = json.dumps(TASK).encode()
    return body + b" " * (size - len(body))


GOOD_TASKS: dict[str, dict[str, Any]] = {
    "a title of one character": {"title": "x"},
    "a title of 200 characters": {"title": "x" * 200},
    "a title of 200 emoji": {"title": "🥛" * 200},
    "a description of 1,000 characters": {"title": "x", "description": "d" * 1000},
    "an empty description": {"title": "x", "description": ""},
}

BAD_FIELDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "no title": lambda task: _without(task, "title"),
    "an empty title": lambda task: json.dumps(task | {"title": ""}),
    "a title of nothing but spaces": lambda task: json.dumps(task | {"title": " \t\u2003\x1f"}),
    "a title of 201 characters": lambda task: json.dumps(task | {"title": "x" * 201}),
    "a title that is nothing": lambda task: json.dumps(task | {"title": None}),
    "a title that is a number": lambda task: json.dumps(task | {"title": 1}),
    "a title with an invisible NUL": lambda task: json.dumps(task | {"title": "a\0b"}),
    "a title with half a character": lambda task: json.dumps(task | {"title": "a\ud800"}),
    "two titles": lambda task: '{"title": "x", ' + json.dumps(task)[1:],
    "a description of 1,001 characters": lambda task: json.dumps(task | {"description": "d" * 1001}),
    "a description that is a list": lambda task: json.dumps(task | {"description": []}),
    "a description with an invisible NUL": lambda task: json.dumps(task | {"description": "\0"}),
    "a description with half a character": lambda task: json.dumps(task | {"description": "\udfff"}),
    "a misspelt field": lambda task: json.dumps(task | {"titel" if "complete" in task else "descripton": "x"}),
    "a state of its own": lambda task: json.dumps(task | {"complete": True}),
    "an owner of its own": lambda task: json.dumps(task | {"user_id": "mallory"}),
    "a number of its own": lambda task: json.dumps(task | {"id": 1}),
    "a time of its own": lambda task: json.dumps(task | {"updated_at": "2020-01-01T00:00:00Z"}),
    "no state": lambda task: _without(task, "complete"),
    'a state of "yes"': lambda task: json.dumps(task | {"complete": "yes"}),
    "a state that is a number": lambda task: json.dumps(task | {"complete": 1}),
    "a state that is nothing": lambda task: json.dumps(task | {"complete": None}),
    "two states": lambda task: '{"complete": true, ' + json.dumps(task)[1:],
    "nothing new": lambda task: "{}",  # noqa: ARG005 - whatever the task
}

JSON = "application/json"


def _piece_by_piece() -> Iterator[bytes]:
    for _ in range(160):
        yield b" " * BODY_MAX


# What is sent, and what it is said to be.
BODIES: dict[str, tuple[Callable[[], Any], str | None]] = {
    "nothing": (lambda: b"", JSON),
    "broken syntax": (lambda: b'{"title": "Buy milk"', JSON),
    "broken letters": (lambda: b'{"title": "Buy m\xfflk"}', JSON),
    "a number that is none": (lambda: b'{"title": NaN}', JSON),
    "an endless number": (lambda: b'{"title": -Infinity}', JSON),
    "a number of 5,000 digits": (lambda: b'{"title": ' + b"9" * 5000 + b"}", JSON),
    "boxes in boxes, 30,000 deep": (lambda: b"[" * 30_000 + b"]" * 30_000, JSON),
    "a plain text": (lambda: json.dumps(TASK).encode(), "text/plain"),
    "a form": (lambda: b"title=Buy+milk", "application/x-www-form-urlencoded"),
    "something without a label": (lambda: json.dumps(TASK).encode(), None),
    "a list": (lambda: b"[]", JSON),
    "a mere text": (lambda: b'"Buy milk"', JSON),
    '"nothing" spelt out': (lambda: b"null", JSON),
    "one byte more than allowed": (lambda: _padded(BODY_MAX + 1), JSON),
    "ten megabytes": (lambda: _padded(10_000_000), JSON),
    "ten megabytes piece by piece": (_piece_by_piece, JSON),
    "exactly 64 KiB": (lambda: _padded(BODY_MAX), JSON),
    "a secret in each wrong field": (
        lambda: json.dumps({"title": [SECRET], "description": {"a": SECRET}, "complete": SECRET}).encode(),
        JSON,
    ),
}

BAD_QUESTIONS = {
    "a limit of zero": "limit=0",
    "a limit of 501": "limit=501",
    "a limit that is no number": "limit=ten",
    "a negative offset": "offset=-1",
    "an offset written as a fraction": "offset=1.0",
    "a starting point of zero": "after=0",
    "a starting point beyond any id": "after=9223372036854775808",
    "both an offset and a start": "offset=0&after=5",
    '"yes" for complete': "complete=yes",
    "a misspelt question": "complet=true",
    "the same question twice": "limit=5&limit=5",
    "an invisible NUL character": "complete=%00",
}

ODD_NUMBERS = {"an invisible NUL character": "%00", "half a character": "%ED%A0%80"}
