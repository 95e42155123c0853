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
    "replace the task": "PUT one",
    "change the task": "PATCH one",
    "delete the task": "DELETE one",
    "send an unreadable request": "POST",
    "guess an address": "GET",
}


STATES = {"open": False, "done": True}


def _one_of(words: Mapping[str, Any]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


def _quoted(text: str) -> list[str]:
    return re.findall('"([^"]*)"', text)


WORDS = {
    "Person": parse.with_pattern(r"Alice|Bob|Mallory|[Aa] stranger|[Tt]he stranger|[Tt]he page")(lambda text: text),
    "Quoted": parse.with_pattern(r'"[^"]*"')(lambda text: text[1:-1]),
    "Titles": parse.with_pattern(r'"[^"]*"(?:, "[^"]*")*')(_quoted),
    "Tasks": parse.with_pattern(r'task "[^"]*"|tasks "[^"]*"(?:, "[^"]*")+')(lambda text: _quoted(text)),  # noqa: PLW0108 - it is given a pattern
    "Number": parse.with_pattern(r"\d+")(lambda text: int(text)),  # noqa: PLW0108 - it is given a pattern
    "Whose": parse.with_pattern(r"her|his|their")(lambda text: text),
    "State": parse.with_pattern("|".join(STATES))(lambda text: text),
    "Action": parse.with_pattern(_one_of(ACTIONS))(lambda text: text),
}

said = partial(parsers.parse, extra_types=WORDS)
"""Parse a step's sentence with these placeholders: `{who:Person} opens the task {title:Quoted}`."""


def table(datatable: list[list[str]]) -> list[dict[str, Any]]:
    """The tasks of a table, as the service has them: an empty description is None, a state is open or done."""
    header, *lines = datatable
    return [_task(dict(zip(header, line, strict=True))) for line in lines]


def _task(cells: dict[str, str]) -> dict[str, Any]:
    task: dict[str, Any] = dict(cells)
    if "description" in cells:
        task["description"] = cells["description"] or None
    if "state" in cells:
        task["complete"] = STATES[task.pop("state")]
    return task
