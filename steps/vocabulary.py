"""The placeholders of the steps' sentences, and how each is parsed."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import parse
from pytest_bdd import parsers

ACTIONS = {
    "list the tasks": "GET",
    "create a task": "POST",
    "open a task": "GET one",
    "replace a task": "PUT one",
    "change a task": "PATCH one",
    "delete a task": "DELETE one",
    "send an unreadable request": "POST",
    "guess an address": "GET",
}


def _one_of(words: Mapping[str, Any]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


def _quoted(text: str) -> list[str]:
    return re.findall('"([^"]*)"', text)


WORDS = {
    "Person": parse.with_pattern(r"Alice|Bob|Mallory|[Aa] stranger|[Tt]he stranger")(lambda text: text),
    "Quoted": parse.with_pattern(r'"[^"]*"')(lambda text: text[1:-1]),
    "Titles": parse.with_pattern(r'"[^"]*"(?:, "[^"]*")*')(_quoted),
    "Number": parse.with_pattern(r"\d+")(lambda text: int(text)),  # noqa: PLW0108 - it is given a pattern
    "Whose": parse.with_pattern(r"her|his|their")(lambda text: text),
    "Action": parse.with_pattern(_one_of(ACTIONS))(lambda text: text),
}

said = partial(parsers.parse, extra_types=WORDS)
"""Parse a step's sentence with these placeholders: `{who:Person} opens the task {title:Quoted}`."""


def table(datatable: list[list[str]]) -> list[dict[str, Any]]:
    """The tasks of a table; an empty description is None, a state is yes or no."""
    header, *lines = datatable
    read = {"description": lambda cell: cell or None, "complete": {"yes": True, "no": False}.__getitem__}
    return [{name: read.get(name, str)(cell) for name, cell in zip(header, line, strict=True)} for line in lines]
