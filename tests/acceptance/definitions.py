"""The step definitions of the project, and what is wrong with them.

Here alone are the two registries that pytest-bdd calls internal; a test breaks first when they change.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_bdd.scenario import scenario_wrapper_template_registry
from pytest_bdd.steps import StepFunctionContext, step_function_context_registry

from tests.acceptance.specification import Key, Pickle, Problem

KINDS = {"Context": "given", "Action": "when", "Outcome": "then"}


@dataclass(frozen=True)
class Definition:
    """A sentence that a function stands behind."""

    context: StepFunctionContext
    uri: str
    line: int

    @property
    def place(self) -> str:
        """File and line of the function."""
        return f"{self.uri}:{self.line}"

    @property
    def pattern(self) -> str:
        """The sentence."""
        return str(self.context.parser.name)

    @property
    def function(self) -> Callable[..., object]:
        """What runs, without decorators that keep what they wrap."""
        function: Callable[..., object] = inspect.unwrap(self.context.step_func)
        return function

    def matches(self, step: dict[str, Any]) -> bool:
        """Whether pytest-bdd would take it for a pickle's step."""
        fits = self.context.type in (None, KINDS.get(step["type"]))
        return fits and self.context.parser.is_matching(step["text"])

    def arguments(self, text: str) -> list[tuple[int, str]]:
        """Give where in a step's text each argument starts, and it."""
        parser: Any = self.context.parser
        if hasattr(parser, "regex") and (match := parser.regex.fullmatch(text)):
            groups = range(1, match.re.groups + 1)
            return [(match.start(group), match[group]) for group in groups if match[group] is not None]
        if hasattr(parser, "parser") and (result := parser.parser.parse(text)):
            return sorted((start, text[start:end]) for start, end in result.spans.values())
        return []


def definitions(root: Path) -> list[Definition]:
    """All step definitions in files of the project, but not those of installed packages."""
    found = []
    for context in list(step_function_context_registry.values()):
        code = inspect.unwrap(context.step_func).__code__
        path = Path(code.co_filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            found.append(Definition(context, path.relative_to(root).as_posix(), code.co_firstlineno))
    return sorted(found, key=lambda one: (one.uri, one.line, one.pattern))


def template_of(function: object) -> Any | None:
    """Give pytest-bdd's scenario that a test function runs, or None if it is a plain test."""
    try:
        return scenario_wrapper_template_registry.get(function)  # type: ignore[call-overload]
    except TypeError:  # what can't be referenced weakly is no scenario
        return None


def key_of(item: pytest.Item, root: Path) -> Key | None:
    """Give the pickle that an item runs, or None if it is a plain test."""
    template = template_of(getattr(item, "obj", None))
    if template is None:
        return None
    callspec = getattr(item, "callspec", None)
    index = callspec.indices.get("_pytest_bdd_example", 0) if callspec else 0
    rows = sum(len(list(examples.as_contexts())) for examples in template.examples)
    # where something else is a parameter too, pytest counts the rows on
    row = index % rows if rows else 0
    return Key(Path(template.feature.filename).relative_to(root).as_posix(), template.line_number, row)


def check(found: list[Definition], pickles: Iterable[Pickle]) -> Iterator[Problem]:
    """Find definitions that pytest-bdd would never await, choose between in silence, or never call."""
    used: set[int] = set()
    for one in found:
        if inspect.iscoroutinefunction(one.function) or inspect.isasyncgenfunction(one.function):
            yield Problem(
                one.uri, one.line, f'"{one.pattern}" is async, and pytest-bdd never awaits it: write a plain def'
            )
    matched: dict[tuple[str, str], list[Definition]] = {}
    for pickle in pickles:
        for step in pickle.node["steps"]:
            kind_and_text = (step["type"], step["text"])
            if kind_and_text not in matched:
                matched[kind_and_text] = [one for one in found if one.matches(step)]
                used.update(id(one) for one in matched[kind_and_text])
            hits = matched[kind_and_text]
            said = f'"{step["text"]}"'
            if len({one.function for one in hits}) > 1:
                places = " and ".join(sorted({one.place for one in hits}))
                text = f"{said} has two meanings, and pytest-bdd takes the last: make {places} differ"
                yield Problem(pickle.key.uri, pickle.key.line, text)
            if not hits:
                yield Problem(
                    pickle.key.uri, pickle.key.line, f"{said} has no definition: write one, or mend the words"
                )
    for one in found:
        if id(one) not in used:
            yield Problem(one.uri, one.line, f'"{one.pattern}" is used by no scenario: use it, or delete it')
