"""A test of the steps: the application under the scenarios lies in one way at a time, and a scenario must notice.

--lies=named   tell each lie in the scenarios that must notice it; the run fails where one does not, and where a lie
               could not be told because its scenario never gave it an occasion
--lies=all     tell each lie in every scenario, and print which notice it; this judges nothing
"""

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

import pytest
from sqlalchemy import Engine

from tests.acceptance import boundary
from tests.acceptance.boundary import Lie
from tests.acceptance.definitions import key_of, template_of
from tests.acceptance.redaction import redact
from tests.acceptance.specification import Key, Pickle, Specification

NAMED, ALL = "named", "all"
HONESTLY = "honestly"
"""The id of a scenario that is run without a lie: one that fails anyway would prove nothing."""
FAILURES = (Exception, pytest.fail.Exception)
"""What a step or a fixture fails with."""
CAUGHT, UNNOTICED, UNTOLD = "caught", "unnoticed", "not told"
PROPERTY = "lie"
"""Under this name a report has its Outcome, also from a worker of xdist."""


OUTCOME = pytest.StashKey["Outcome"]()
"""What became of an item's lie so far."""


class Outcome(TypedDict):
    """What became of a lie in a scenario."""

    lie: str
    scenario: str
    outcome: str
    noticed: str
    """The step that failed, and how; empty where none did."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("acceptance")
    group.addoption(
        "--lies",
        choices=(NAMED, ALL),
        help="let the application lie: in the scenarios that must notice each lie, or in every scenario",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start, where it is asked for."""
    if config.option.lies is None:
        return
    boundary.expect_lies(expected=True)
    config.add_cleanup(lambda: boundary.expect_lies(expected=False))
    features = config.rootpath / (config.getini("bdd_features_base_dir") or "features")
    lies = config.hook.pytest_acceptance_lies(config=config) or []
    plan = Plan(lies, Specification.read(features, config.rootpath).pickles)
    config.pluginmanager.register(Lies(config, plan), "acceptance-lies")


@pytest.fixture(scope="session")
def lying_engine() -> Engine | None:
    """The tests' own connection to the service's database; a project that has one overrides this."""
    return None


class Plan:
    """Which lies are told in which scenarios."""

    def __init__(self, lies: Iterable[Lie], pickles: Mapping[Key, Pickle]) -> None:
        self.lies = {lie.name: lie for lie in lies}
        self.pickles = pickles
        by_name: dict[str, list[Key]] = {}
        for key, pickle in pickles.items():
            for name in {pickle.name, pickle.written}:
                by_name.setdefault(name, []).append(key)
        self.keys: dict[str, list[Key]] = {}
        """By a lie's name, of the scenarios that must notice it."""
        problems = []
        for lie in self.lies.values():
            self.keys[lie.name] = [key for name in lie.scenarios for key in by_name.get(name, [])]
            problems += [f'{lie.name}: no scenario is called "{name}"' for name in lie.scenarios if name not in by_name]
            if not lie.scenarios:
                problems.append(f"{lie.name}: no scenario is named that must notice it")
        if problems:
            raise pytest.UsageError("\n".join(problems))

    def lies_at(self, uri: str, line: int) -> list[str]:
        """The names of the lies that must be told in a scenario, or in some row of an outline."""
        return [name for name, keys in self.keys.items() if any((key.uri, key.line) == (uri, line) for key in keys)]

    def has(self, lie: str, key: Key) -> bool:
        """Whether a lie must be told in a scenario; every scenario in the plan is run honestly too."""
        if lie == HONESTLY:
            return any(key in keys for keys in self.keys.values())
        return key in self.keys[lie]


class Lies:
    """One run of lies; with xdist, one in each process."""

    def __init__(self, config: pytest.Config, plan: Plan) -> None:
        self.config = config
        self.root = config.rootpath
        self.plan = plan
        self.is_all = config.option.lies == ALL
        self.outcomes: list[Outcome] = []
        self._step = ""
        """The step that is running."""

    # While tests are collected: a scenario becomes one test for each lie that is told in it, and one without a lie

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make the tests."""
        template = template_of(metafunc.function)
        if template is None:
            return
        uri = Path(template.feature.filename).relative_to(self.root).as_posix()
        names = list(self.plan.lies) if self.is_all else self.plan.lies_at(uri, template.line_number)
        if names:
            metafunc.parametrize("acceptance_lie", [HONESTLY, *names], indirect=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop what is not in the plan: other tests, and rows of an outline that a lie does not name."""
        planned = []
        dropped = []
        for item in items:
            key = key_of(item, self.root)
            lie = _lie_of(item)
            if key and lie and (self.is_all or self.plan.has(lie, key)):
                planned.append(item)
            else:
                dropped.append(item)
        self.config.hook.pytest_deselected(items=dropped)
        items[:] = planned

    @pytest.fixture(autouse=True)
    def acceptance_lie(self, request: pytest.FixtureRequest) -> str:
        """The name of the lie that is told in this test."""
        return str(getattr(request, "param", HONESTLY))

    # While scenarios run

    def pytest_bdd_before_step(self, step: Any) -> None:
        """Note the step, so that an outcome can name it."""
        self._step = f"{step.keyword} {step.name}"

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Run a scenario under a lie; that it fails is what is wanted."""
        name = _lie_of(pyfuncitem)
        key = key_of(pyfuncitem, self.root)
        if name is None or name == HONESTLY or key is None:
            return (yield)
        outcome: Outcome = {"lie": name, "scenario": self.plan.pickles[key].name, "outcome": UNTOLD, "noticed": ""}
        engine: Engine | None = pyfuncitem._request.getfixturevalue("lying_engine")
        with boundary.telling(self.plan.lies[name], engine) as telling:
            try:
                yield
            except FAILURES as failure:
                outcome["noticed"] = f'"{self._step}": {_reason(failure)}'
        if telling.error and not self.is_all:
            raise telling.error
        # a lie that does not fit into a scenario, for which it was not made, is not told there
        if telling.is_told and not telling.error:
            outcome["outcome"] = CAUGHT if outcome["noticed"] else UNNOTICED
        pyfuncitem.stash[OUTCOME] = outcome
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Judge: what a fixture notices at the scenario's end counts too."""
        outcome = item.stash.get(OUTCOME, None)
        if outcome is None:
            return (yield)
        try:
            yield
        except FAILURES as failure:
            if outcome["outcome"] == UNNOTICED:
                outcome["outcome"] = CAUGHT
                outcome["noticed"] = f"the end: {_reason(failure)}"
        item.user_properties.append((PROPERTY, outcome))
        if outcome["outcome"] != CAUGHT and not self.is_all:
            pytest.fail(f"{outcome['outcome']}: {self.plan.lies[outcome['lie']].sentence}", pytrace=False)
        return None

    # When all have run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what became of a lie."""
        if report.when == "teardown":
            self.outcomes += [cast("Outcome", value) for name, value in report.user_properties if name == PROPERTY]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the run where a lie was not told at all; one that nobody noticed has failed its test."""
        if not self._is_worker and exitstatus == pytest.ExitCode.OK and self._not_run():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def _is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    def _not_run(self) -> list[tuple[str, str]]:
        """The lies and scenarios of the plan that did not run: left out, skipped or bound by no scenarios()."""
        if self.is_all:
            return []
        run = {(outcome["lie"], outcome["scenario"]) for outcome in self.outcomes}
        planned = [(lie, self.plan.pickles[key].name) for lie, keys in self.plan.keys.items() for key in keys]
        return [pair for pair in planned if pair not in run]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the lies that nobody noticed; with -v, or where all are told everywhere, who noticed each."""
        if self._is_worker:
            return
        if self.is_all:
            self._print_all(terminalreporter)
            return
        not_run = self._not_run()
        bad = {outcome["lie"] for outcome in self.outcomes if outcome["outcome"] != CAUGHT}
        bad |= {lie for lie, _ in not_run}
        count = len(self.plan.lies)
        terminalreporter.section(f"lies: {count - len(bad)} of {count} caught")
        for outcome in self.outcomes:
            if outcome["outcome"] != CAUGHT:
                sentence = self.plan.lies[outcome["lie"]].sentence
                line = f'✘ {outcome["outcome"]}: {outcome["lie"]}: {sentence} In "{outcome["scenario"]}"'
                terminalreporter.line(line, red=True)
            elif terminalreporter.verbosity > 0:
                terminalreporter.line(f'✔ {outcome["lie"]}: "{outcome["scenario"]}" fails at {outcome["noticed"]}')
        if not_run:
            (lie, scenario), *others = not_run
            line = f'✘ not run: {lie} in "{scenario}"' + (f", and {len(others)} more" if others else "")
            terminalreporter.line(line, red=True)

    def _print_all(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("lies: each in every scenario")
        for name, lie in self.plan.lies.items():
            told = [outcome for outcome in self.outcomes if outcome["lie"] == name and outcome["outcome"] != UNTOLD]
            caught = [outcome for outcome in told if outcome["outcome"] == CAUGHT]
            terminalreporter.line(f"{name}: {lie.sentence} Told in {len(told)} scenarios, caught in {len(caught)}")
            for outcome in told:
                mark = "✔" if outcome["outcome"] == CAUGHT else "·"
                terminalreporter.line(f"  {mark} {outcome['scenario']}")


def _reason(failure: BaseException) -> str:
    """The first line of what a failure says, without tokens."""
    text = redact(f"{type(failure).__name__}: {failure}")
    return text.splitlines()[0]


def _lie_of(item: pytest.Item) -> str | None:
    """The name of the lie that an item tells, if it was made for one."""
    callspec = getattr(item, "callspec", None)
    name: str | None = callspec.params.get("acceptance_lie") if callspec else None
    return name
