"""What people send, by its name in the features: good input just within the limits, and bad input of every kind."""

import json
from collections.abc import Callable, Iterator
from typing import Any

TASK = {"title": "Buy milk"}
WHOLE_TASK = {"title": "Buy oats", "complete": False}
SESAME = "sesame-4711"
BODY_MAX = 64 * 1024


def _without(task: dict[str, Any], name: str) -> str:
    return json.dumps({key: value for key, value in task.items() if key != name})


def _padded(size: int) -> bytes:
    """A valid task of this many bytes, padded with spaces after the JSON."""
    body = json.dumps(TASK).encode()
    return body + b" " * (size - len(body))


GOOD_TASKS: dict[str, dict[str, Any]] = {
    "a title of one character": {"title": "x"},
    "a title of 200 characters": {"title": "x" * 200},
    "a title of 200 characters with spaces around": {"title": " \t" + "x" * 200 + "\u2003\n"},
    "a title of 200 emoji": {"title": "🥛" * 200},
    "a description of 1,000 characters": {"title": "x", "description": "d" * 1000},
    "a description of 1,000 emoji": {"title": "x", "description": "🥛" * 1000},
    "a description without characters": {"title": "x", "description": ""},
    "null as the description": {"title": "x", "description": None},
    "a title that looks like a page's code": {"title": '<b>Milk</b> & "oats"'},
    "a title with an accent written apart": {"title": "Cafe\u0301"},
    "a description with spaces around it": {"title": "x", "description": "  two litres\t"},
    "a description with line ends of two kinds": {"title": "x", "description": "two\r\nlitres\n"},
}

BAD_FIELDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "the title left out": lambda task: _without(task, "title"),
    "a title without characters": lambda task: json.dumps(task | {"title": ""}),
    "a title of nothing but spaces": lambda task: json.dumps(task | {"title": " \t\u2003\x1f"}),
    "a title of 201 characters": lambda task: json.dumps(task | {"title": "x" * 201}),
    "null as the title": lambda task: json.dumps(task | {"title": None}),
    "a title that is a number": lambda task: json.dumps(task | {"title": 1}),
    "a title with an invisible NUL character": lambda task: json.dumps(task | {"title": "a\0b"}),
    "a title with a broken character": lambda task: json.dumps(task | {"title": "a\ud800"}),
    "two titles": lambda task: '{"title": "x", ' + json.dumps(task)[1:],
    "a description of 1,001 characters": lambda task: json.dumps(task | {"description": "d" * 1001}),
    "a description that is a list": lambda task: json.dumps(task | {"description": []}),
    "a description with an invisible NUL character": lambda task: json.dumps(task | {"description": "\0"}),
    "a description with a broken character": lambda task: json.dumps(task | {"description": "\udfff"}),
    "a misspelt field": lambda task: json.dumps(task | {"titel" if "complete" in task else "descripton": "x"}),
    "a state given by Alice": lambda task: json.dumps(task | {"complete": True}),
    "an owner given by Alice": lambda task: json.dumps(task | {"user_id": "mallory"}),
    "a number given by Alice": lambda task: json.dumps(task | {"id": 1}),
    "a time given by Alice": lambda task: json.dumps(task | {"updated_at": "2020-01-01T00:00:00Z"}),
    "the state left out": lambda task: _without(task, "complete"),
    'a state of "yes"': lambda task: json.dumps(task | {"complete": "yes"}),
    "a state that is a number": lambda task: json.dumps(task | {"complete": 1}),
    "null as the state": lambda task: json.dumps(task | {"complete": None}),
    "two states": lambda task: '{"complete": true, ' + json.dumps(task)[1:],
}

JSON_TYPE = "application/json"
JSON = {"content-type": JSON_TYPE}
UNREADABLE = b"{unreadable"
NEVER_EXISTED = 2**62
"""The number of no task."""


def _in_chunks() -> Iterator[bytes]:
    for _ in range(160):
        yield b" " * BODY_MAX


# The body, and its content type.
BODIES: dict[str, tuple[Callable[[], Any], str | None]] = {
    "an empty body": (lambda: b"", JSON_TYPE),
    "broken JSON": (lambda: b'{"title": "Buy milk"', JSON_TYPE),
    "invalid UTF-8": (lambda: b'{"title": "Buy m\xfflk"}', JSON_TYPE),
    "the number NaN": (lambda: b'{"title": NaN}', JSON_TYPE),
    "the number Infinity": (lambda: b'{"title": "Buy milk", "description": Infinity}', JSON_TYPE),
    "the number -Infinity": (lambda: b'{"title": -Infinity}', JSON_TYPE),
    "a number of 5,000 digits": (lambda: b'{"title": ' + b"9" * 5000 + b"}", JSON_TYPE),
    "lists nested 30,000 deep": (lambda: b"[" * 30_000 + b"]" * 30_000, JSON_TYPE),
    "objects nested 10,000 deep": (lambda: b'{"a":' * 10_000 + b"1" + b"}" * 10_000, JSON_TYPE),
    "plain text": (lambda: json.dumps(TASK).encode(), "text/plain"),
    "a web form": (lambda: b"title=Buy+milk", "application/x-www-form-urlencoded"),
    "JSON that is not called JSON": (lambda: json.dumps(TASK).encode(), None),
    "a list": (lambda: b"[]", JSON_TYPE),
    "a string": (lambda: b'"Buy milk"', JSON_TYPE),
    "null": (lambda: b"null", JSON_TYPE),
    "one byte more than allowed": (lambda: _padded(BODY_MAX + 1), JSON_TYPE),
    "ten megabytes": (lambda: _padded(10_000_000), JSON_TYPE),
    "ten megabytes in chunks": (_in_chunks, JSON_TYPE),
    "exactly 64 KiB": (lambda: _padded(BODY_MAX), JSON_TYPE),
    "a secret in each wrong field": (
        lambda: json.dumps({"title": [SESAME], "description": {"a": SESAME}, "complete": SESAME}).encode(),
        JSON_TYPE,
    ),
    "a title without characters and a misspelt field": (lambda: b'{"title": "", "descripton": "x"}', JSON_TYPE),
    "an unknown field twice, whose name has 1,000 characters": (
        lambda: b'{"title": "x"' + (b', "' + b"x" * 1000 + b'": 1') * 2 + b"}",
        JSON_TYPE,
    ),
    "a title without characters and four misspelt fields": (
        lambda: b'{"title": "", "a": 1, "b": 2, "c": 3, "d": 4}',
        JSON_TYPE,
    ),
    "an unknown field whose name has 1,000 characters": (
        lambda: json.dumps(TASK | {"x" * 1000: 1}).encode(),
        JSON_TYPE,
    ),
}

BAD_USERS = {
    "an invisible NUL character": "ali%00ce",
    "a broken character": "ali%ED%A0%80ce",
    "ALICE in capitals": "ALICE",
}

BAD_FILTERS = {
    "a limit of zero": "limit=0",
    "a limit of 501": "limit=501",
    "a limit that is not a number": "limit=ten",
    "a limit written as 1_0": "limit=1_0",
    "a negative offset": "offset=-1",
    "an offset written as a fraction": "offset=1.0",
    "an offset that is too large": "offset=9223372036854775808",
    "a start after task number zero": "after=0",
    "a start after a number that is too large": "after=9223372036854775808",
    "both an offset and a start": "offset=0&after=5",
    '"yes" for complete': "complete=yes",
    '"TRUE" for complete': "complete=TRUE",
    '"1" for complete': "complete=1",
    "complete twice": "complete=true&complete=true",
    "a misspelt filter": "complet=true",
    "the same limit twice": "limit=5&limit=5",
    "an invisible NUL character": "complete=%00",
}

BAD_NUMBERS = {"an invisible NUL character": "%00", "a broken character": "%ED%A0%80"}
