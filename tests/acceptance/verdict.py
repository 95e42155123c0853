"""Criterion by criterion, story by story and ruling by ruling, what is proven."""

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.catalogue import Catalogue, Criterion, Ruling
from tests.acceptance.coverage import Covered
from tests.acceptance.evidence import ScenarioRun
from tests.acceptance.specification import Key, Pickle, Problem

PASSED, FAILED, SKIPPED, XFAILED = "passed", "failed", "skipped", "expected to fail"
NOT_RUN, NOT_HERE = "not run", "not run here"
PROVEN, NOT_PROVEN = "proven", "not proven"

MENDS = {
    FAILED: "mend the service, or the scenario if it is wrong",
    SKIPPED: "a skipped scenario proves nothing: let it run",
    XFAILED: "a scenario that may fail proves nothing: let it pass, or take it out",
    NOT_RUN: "bind it, and run the whole suite without -k or -m",
    NOT_HERE: "install what it needs",
}


@dataclass(frozen=True)
class Row:
    """A line of the matrix: a story, a criterion or a ruling."""

    id: str
    title: str
    states: Counter[str]
    """How many scenarios passed, failed, …"""
    status: str
    """Proven, not proven or not run."""
    proof: str = ""
    """The measurement, where coverage proves it, or the tests, where no scenario does."""
    cells: dict[str, Counter[str]] = field(default_factory=dict)
    """In a story's row: the states by criterion."""

    @property
    def partly(self) -> bool:
        """Whether it is proven by those of its scenarios that could run here."""
        return self.status == PROVEN and self.states[NOT_HERE] > 0

    @property
    def word(self) -> str:
        """The status, and what it leaves out."""
        return but_for(self.status, self.states)

    @property
    def counts(self) -> str:
        """The states in words, but for those in `word`."""
        told = {state: count for state, count in self.states.items() if not (self.partly and state == NOT_HERE)}
        words = ", ".join(f"{count} {state}" for state, count in told.items())
        return "; ".join(filter(None, [words, self.proof])) or "no scenario"


@dataclass(frozen=True)
class Verdict:
    """The matrix, and all that must be mended before the gate opens."""

    stories: list[Row]
    criteria: list[Row]
    rulings: list[Row]
    problems: list[Problem]
    absent: list[str]
    """What was not run here for want of a tool."""

    @property
    def by_tests(self) -> list[Row]:
        """The rulings that no scenario carries, and tests prove."""
        return [row for row in self.rulings if not row.states and row.status == PROVEN]

    @property
    def holds(self) -> bool:
        """Whether every criterion is proven and nothing is wrong."""
        return not self.problems and all(row.status == PROVEN for row in self.criteria)


def state_of(run: ScenarioRun | None) -> str:
    """Give the state of a scenario by its record, if there is one."""
    return NOT_RUN if run is None else run["state"]


def judge(
    catalogue: Catalogue,
    pickles: Mapping[Key, Pickle],
    runs: Mapping[Key, ScenarioRun],
    covered: Mapping[str, Covered | None],
    *,
    everything: bool,
) -> tuple[list[Row], list[Row], list[Row]]:
    """Make the rows of stories, criteria and rulings; with `everything` a missing tool is no excuse."""
    all_ran = all(state_of(runs.get(key)) != NOT_RUN for key in pickles)
    tagged = [(pickle.tags, state_of(runs.get(key))) for key, pickle in pickles.items()]

    def row(id_: str, title: str) -> Row:
        states = count(state for tags, state in tagged if id_ in tags)
        return Row(id_, title, states, status(states, everything=everything))

    criteria = []
    for criterion in catalogue.criteria.values():
        scenarios = row(criterion.id, f"{criterion.name}: {criterion.promise}")
        criteria.append(
            _with_coverage(scenarios, covered.get(criterion.id), all_ran=all_ran) if criterion.bar else scenarios
        )
    stories = []
    for story, title in catalogue.stories.items():
        plain = row(story, title)
        cells = {id_: count(state for tags, state in tagged if {story, id_} <= tags) for id_ in catalogue.criteria}
        stories.append(Row(**{**vars(plain), "cells": {id_: states for id_, states in cells.items() if states}}))
    rulings = []
    for ruling in catalogue.rulings.values():
        carried = row(ruling.id, ruling.promise)
        rulings.append(_with_tests(carried, ruling) if ruling.tests else carried)
    return stories, criteria, rulings


def count(states: Iterable[str]) -> Counter[str]:
    """How many scenarios passed, failed and so on, in this order."""
    order = [PASSED, FAILED, SKIPPED, XFAILED, NOT_HERE, NOT_RUN]
    counted = Counter(states)
    return Counter({state: counted[state] for state in order if counted[state]})


def status(states: Counter[str], *, everything: bool) -> str:
    """Whether scenarios in these states prove what they carry; with `everything` a missing tool is no excuse."""
    if states[FAILED] or states[SKIPPED] or states[XFAILED] or not states:
        return NOT_PROVEN
    if states[NOT_RUN]:
        return NOT_RUN
    if not states[PASSED] or (everything and states[NOT_HERE]):
        return NOT_PROVEN
    return PROVEN


def but_for(status: str, states: Counter[str]) -> str:
    """Give a status in words: what has not been run is not proven."""
    partly = status == PROVEN and states[NOT_HERE]
    return f"{status}, but for {states[NOT_HERE]} {NOT_HERE}" if partly else status


def _with_coverage(row: Row, covered: Covered | None, *, all_ran: bool) -> Row:
    by_scenarios = row.status if row.states else PROVEN
    if covered is None:
        status, proof = NOT_RUN, "coverage was not measured"
    else:
        short = NOT_PROVEN if all_ran else NOT_RUN
        status, proof = (short if covered.shortcomings or not all_ran else PROVEN), str(covered)
    worst = next(one for one in (NOT_PROVEN, NOT_RUN, PROVEN) if one in (status, by_scenarios))
    return Row(row.id, row.title, row.states, worst, proof)


def _with_tests(row: Row, ruling: Ruling) -> Row:
    """Add the tests that prove a ruling, in the place of scenarios or beside them."""
    proof = f"{', '.join(ruling.tests)}, because {ruling.reason}"
    return Row(row.id, row.title, row.states, row.status if row.states else PROVEN, proof)


def problems_of_runs(
    pickles: Mapping[Key, Pickle], runs: Mapping[Key, ScenarioRun], collected: set[Key], *, everything: bool
) -> Iterable[Problem]:
    """Name each scenario that did not pass, and why."""
    bound = {key.uri for key in collected}
    unbound = {key.uri for key in pickles} - bound
    for uri in sorted(unbound):
        yield Problem(uri, 1, "is bound by no scenarios(), and never runs: bind it in a test module")
    for key, pickle in pickles.items():
        run = runs.get(key)
        state = state_of(run)
        if state == PASSED or key.uri in unbound or (state == NOT_HERE and not everything):
            continue
        reason = run["reason"].strip() if run else ""
        why = f" ({reason.splitlines()[-1][:200]})" if reason else ""
        if state == NOT_RUN and key not in collected:
            why = " (it was not collected: another has its name, or no scenarios() binds it)"
        elif state == NOT_RUN:
            why = " (it was deselected, or the run ended before)"
        yield Problem(key.uri, pickle.line, f'"{pickle.name}": {state}{why}; {MENDS[state]}')
    for key in sorted(collected - pickles.keys()):
        text = "runs with its <placeholders>, for its Examples have no rows: add a row"
        yield Problem(key.uri, key.line, text)


def problems_of_criteria(
    criteria: Iterable[Row], covered: Mapping[str, Covered | None], catalogue: Catalogue, uri: str
) -> Iterable[Problem]:
    """Name each criterion that nothing proves, in the catalogue where it is promised."""
    for row in criteria:
        criterion: Criterion = catalogue.criteria[row.id]
        if not row.states and criterion.bar is None:
            yield Problem(uri, 0, f"{row.id} has no scenario: write one with the tag @{row.id}")
        elif row.status == NOT_PROVEN and set(row.states) == {NOT_HERE}:
            yield Problem(uri, 0, f"{row.id} has only scenarios that can't run here: {MENDS[NOT_HERE]}")
        if criterion.bar is not None:
            result = covered.get(row.id)
            short = ["the run measured no coverage: run pytest with --cov"] if result is None else result.shortcomings
            for text in short:
                yield Problem(uri, 0, f"{row.id}: {text}")


def problems_of_rulings(rulings: Iterable[Row], catalogue: Catalogue, uri: str, root: Path) -> Iterable[Problem]:
    """Name each ruling that no scenario carries and no test proves, in the catalogue where it is listed."""
    for row in rulings:
        ruling = catalogue.rulings[row.id]
        if not row.states and not ruling.tests:
            text = f"{row.id} is carried by no scenario: tag one with @{row.id}, or name the tests that prove it"
            yield Problem(uri, 0, text)
        if ruling.tests and not ruling.reason:
            yield Problem(uri, 0, f"{row.id} is proven by tests without a reason: say why no scenario can carry it")
        for test in ruling.tests:
            if not _is_test(root, test):
                yield Problem(uri, 0, f"{row.id} is proven by {test}, which does not exist: mend its name")


def _is_test(root: Path, test: str) -> bool:
    """Whether there is a function of this name in this file: `tests/test_module.py::test_name`."""
    file, _, name = test.partition("::")
    path = root / file
    if not path.is_file():
        return False
    functions = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
    return name.startswith("test_") and name in [function.name for function in functions]
