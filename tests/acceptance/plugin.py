"""pytest's hooks: register the ids, hold the collection and the run against the feature files, report, enforce.

--acceptance=here             fail the run unless every criterion is proven and nothing is wrong; a scenario whose tool
                              is missing is let off, and the matrix says so
--acceptance=everywhere       the same, and nothing is let off
--messages=PATH               write the run as Cucumber Messages
--living-documentation=PATH   write the page for stakeholders, and the Messages beside it
--changes-since=COMMIT        what the page compares the features with: else main, or on main the last release
"""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import changes, coverage, evidence, hooks, messages, page, verdict
from tests.acceptance.catalogue import FILE, Catalogue
from tests.acceptance.changes import Changes
from tests.acceptance.coverage import Covered
from tests.acceptance.definitions import Definition, check, definitions, key_of
from tests.acceptance.evidence import Recorder, ScenarioRun
from tests.acceptance.lint import lint
from tests.acceptance.messages import Commit
from tests.acceptance.redaction import redact
from tests.acceptance.specification import Key, Pickle, Problem, Specification
from tests.acceptance.verdict import FAILED, NOT_HERE, NOT_RUN, PASSED, PROVEN, SKIPPED, XFAILED, Verdict

HERE, EVERYWHERE = "here", "everywhere"
SHOWN_PROBLEMS = 40
WORKER = "acceptance"
"""Under this name a worker of xdist hands over what it found."""
MISSING = pytest.StashKey[list[str]]()
"""The tools that an item needs and that are not here."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the gate's options."""
    group = parser.getgroup("acceptance")
    group.addoption(
        "--acceptance",
        choices=(HERE, EVERYWHERE),
        help="fail unless every acceptance criterion is proven; `everywhere` lets no missing tool off",
    )
    group.addoption("--messages", metavar="PATH", type=Path, help="write Cucumber Messages")
    group.addoption("--living-documentation", metavar="PATH", type=Path, help="write the page for stakeholders")
    group.addoption("--changes-since", metavar="COMMIT", help="what the page compares the features with")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let the project say which endpoints it has."""
    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Start the gate, and register every id, so that --strict-markers refuses any other."""
    features = config.rootpath / (config.getini("bdd_features_base_dir") or "features")
    gate = Gate(config, features)
    if since := config.option.changes_since:
        try:
            changes.revision_of(config.rootpath, since)
        except changes.UnknownRevision as problem:
            raise pytest.UsageError(f"--changes-since: {problem}") from None
    config.addinivalue_line("markers", "needs(tool, …): can't run without these tools from outside Python")
    for name, meaning in gate.catalogue.markers().items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.pluginmanager.register(gate, "acceptance-gate")
    evidence.follow(gate.recorder)
    config.add_cleanup(lambda: evidence.drop(gate.recorder))


class Gate:
    """One run, held against the feature files; with xdist, one in each process."""

    def __init__(self, config: pytest.Config, features: Path) -> None:
        self.config, self.root = config, config.rootpath
        self.catalogue = Catalogue.read(features, self.root)
        self.catalogue_uri = (features / FILE).relative_to(self.root).as_posix()
        self.specification = Specification.read(features, self.root)
        self.specification.documents.sort(key=self.catalogue.place)
        self.pickles: dict[Key, Pickle] = self.specification.pickles
        self.recorder = Recorder()
        self.started = time.time()
        self.runs: dict[Key, ScenarioRun] = {}
        self.collected: set[Key] = set()
        self.found: list[Problem] = []
        """What is wrong with the definitions: known where tests are collected, with xdist in the workers."""
        self.absent: dict[Problem, list[str]] = {}
        """What was not run here, and the tools that it needs."""
        self.failed: dict[str, None] = {}
        """The tests that failed and are no scenarios, and the modules that could not be collected."""
        self.passed = 0
        """How many tests passed that are no scenarios."""
        self.verdict: Verdict | None = None
        self.written: list[str] = []
        self._by_function: dict[Any, list[Definition]] = {}

    @property
    def enforces(self) -> bool:
        """Whether the run is to fail where the gate does not hold."""
        return self.config.option.acceptance is not None

    @property
    def everywhere(self) -> bool:
        """Whether no missing tool is an excuse."""
        return bool(self.config.option.acceptance == EVERYWHERE)

    # While tests are collected

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note, before anything is deselected, what is bound; let off what can't run here."""
        self.collected = {key for item in items if (key := key_of(item, self.root))}
        found = definitions(self.root)
        for one in found:
            self._by_function.setdefault(one.context.step_func, []).append(one)
        # where only a part was collected, definitions in other test modules are not there yet
        if self.enforces or self.pickles.keys() <= self.collected:
            self.found = list(check(found, self.pickles.values()))
        for item in items:
            if missing := [name for name in self._needs(item) if self._missing(name)]:
                item.stash[MISSING] = missing
                item.add_marker(pytest.mark.skip(reason=f"{NOT_HERE}: needs {' and '.join(missing)}"))

    def _needs(self, item: pytest.Item) -> list[str]:
        named = [mark.name.removeprefix("needs-") for mark in item.iter_markers() if mark.name.startswith("needs-")]
        return named + [str(tool) for mark in item.iter_markers("needs") for tool in mark.args]

    def _missing(self, name: str) -> bool:
        if name not in self.catalogue.needs:
            raise pytest.UsageError(f"{self.catalogue_uri} does not say what {name!r} is, which a test needs")
        return self.catalogue.needs[name].missing()

    # While scenarios run

    def pytest_bdd_before_scenario(self, request: pytest.FixtureRequest) -> None:
        """Begin a record."""
        if key := key_of(request.node, self.root):
            self.recorder.begin(key)

    def pytest_bdd_before_step(self, step: Any, step_func: Any) -> None:
        """Begin a step's record, with the definition that pytest-bdd chose."""
        kinds = (None, step.type)
        chosen = [one for one in self._by_function.get(step_func, []) if one.context.type in kinds]
        for one in chosen:
            if one.context.parser.is_matching(step.name):
                self.recorder.begin_step(one.place, one.pattern, one.arguments(step.name))
                return
        self.recorder.begin_step("", "", [])

    def pytest_bdd_after_step(self) -> None:
        """Close a step that passed."""
        self.recorder.end_step("PASSED")

    def pytest_bdd_step_error(self, exception: BaseException) -> None:
        """Close a step that failed."""
        self.recorder.end_step("FAILED", f"{type(exception).__name__}: {exception}")

    def pytest_bdd_step_func_lookup_error(self, exception: BaseException) -> None:
        """Record a step that nothing stands behind."""
        self.recorder.begin_step("", "", [])
        self.recorder.end_step("UNDEFINED", str(exception))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take tokens out of what pytest shows; put the record into the report, which travels with xdist."""
        report = yield
        _redact(report)
        missing = item.stash.get(MISSING, [])
        key = key_of(item, self.root)
        if missing and report.skipped:
            pickle = self.pickles.get(key) if key else None
            if key and pickle:
                uri, line, name = key.uri, pickle.line, f'"{pickle.name}"'
            else:
                uri, line, name = item.location[0], (item.location[1] or 0) + 1, item.name
            # pytest shows where the test function is, which for a scenario is inside pytest-bdd
            report.longrepr = (uri, line, _reason(report))
            vars(report)["acceptance_absent"] = {"uri": uri, "line": line, "name": name, "tools": missing}
        if key is None or (report.when != "call" and report.passed):
            return report
        run = self.recorder.finish(key)
        run["started"], run["ended"] = (run["started"] if run["steps"] else call.start), call.stop
        run["state"] = NOT_HERE if missing and report.skipped else _state(report)
        run["reason"] = "" if report.passed else redact(_reason(report))
        run["before_steps"] = report.when == "setup"
        vars(report)["acceptance"] = run
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record; what breaks in a teardown breaks the scenario."""
        if said := getattr(report, "acceptance_absent", None):
            text = f"{said['name']} needs {' and '.join(said['tools'])}"
            self.absent[Problem(said["uri"], said["line"], text)] = said["tools"]
        run: ScenarioRun | None = getattr(report, "acceptance", None)
        if run is None:
            self._count_other(report)
            return
        key = Key(*run["key"])
        run["worker"] = getattr(getattr(report, "node", None), "workerinput", {}).get("workerid", "")
        before = self.runs.get(key)
        if before is not None and report.when == "teardown":
            run = {**before, "state": FAILED, "reason": run["reason"], "before_steps": False, "ended": run["ended"]}
        elif before is not None and (before["state"], run["state"]) == (FAILED, PASSED):
            # whoever runs it again has not mended it
            first = before["reason"].strip().splitlines()[-1]
            run = {**run, "state": FAILED, "reason": f"it passed when it was run again, after: {first}"}
        self.runs[key] = run

    def _count_other(self, report: pytest.TestReport) -> None:
        """Count a test that is no scenario; a scenario has a record in each report that counts here."""
        if report.failed:
            self.failed[report.nodeid] = None
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected; with xdist the workers say so."""
        if report.failed:
            self.failed[report.nodeid] = None

    # When all have run

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of xdist found while it collected; only workers collect."""
        if said := getattr(node, "workeroutput", {}).get(WORKER):
            self.collected |= {Key(*key) for key in said["collected"]}
            self.found += [Problem(uri, line, text) for uri, line, text in said["found"]]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge; fail the run where the gate is to be held; write what was asked for."""
        if hasattr(self.config, "workeroutput"):
            found = [(one.uri, one.line, one.text) for one in self.found]
            self.config.workeroutput[WORKER] = {"collected": [tuple(key) for key in self.collected], "found": found}
            return
        if self.config.getoption("lies", None) is not None:
            return  # scenarios fail on purpose, which is no verdict on the criteria
        self.verdict = self._judge()
        held = self.verdict.holds or not self.enforces
        self._write(self.verdict, exitstatus)
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and not held:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _judge(self) -> Verdict:
        covered = self._coverage()
        stories, criteria, rulings = verdict.judge(
            self.catalogue, self.pickles, self.runs, covered, everything=self.everywhere
        )
        problems = [*lint(self.specification, self.catalogue), *self.found]
        if self.enforces:
            problems += verdict.problems_of_criteria(criteria, covered, self.catalogue, self.catalogue_uri)
            problems += verdict.problems_of_rulings(rulings, self.catalogue, self.catalogue_uri, self.root)
            problems += verdict.problems_of_runs(self.pickles, self.runs, self.collected, everything=self.everywhere)
        if self.everywhere:
            remedies = {tool: self.catalogue.needs[tool].remedy for tools in self.absent.values() for tool in tools}
            for one, tools in self.absent.items():
                mend = " and ".join(remedies[tool] for tool in tools)
                problems.append(Problem(one.uri, one.line, f"{one.text}, which is missing: {mend}"))
        if self.config.getoption("cucumber_json_path", None):
            text = "drops skipped scenarios, Rules and tables, and with xdist everything: use --messages"
            problems.append(Problem("--cucumberjson", 0, text))
        return Verdict(stories, criteria, rulings, list(dict.fromkeys(problems)), [str(one) for one in self.absent])

    def _coverage(self) -> dict[str, Covered | None]:
        bars = {criterion.id: criterion.bar for criterion in self.catalogue.criteria.values() if criterion.bar}
        said = coverage.measured(self.config) if bars else None
        if said is None:
            return dict.fromkeys(bars)
        endpoints = self.config.hook.pytest_acceptance_endpoints(config=self.config) or []
        passed = [run for run in self.runs.values() if run["state"] == PASSED]
        answered = [
            (one["method"], one["path"], one["status"])
            for run in passed
            for step in run["steps"]
            for one in step["exchanges"]
        ]
        return {id_: coverage.judge(said, bar, endpoints, answered) for id_, bar in bars.items()}

    def _write(self, judged: Verdict, exitstatus: int) -> None:
        """Write what was asked for."""
        target: Path | None = self.config.option.living_documentation
        path: Path | None = self.config.option.messages or (target and target.with_name("messages.ndjson"))
        if path is None:
            return
        commit = Commit.read(self.root)
        success = judged.holds and exitstatus == pytest.ExitCode.OK
        messages.write(path, messages.messages(self.specification, self.runs, commit, self.started, success=success))
        self.written.append(f"Cucumber Messages: {path}")
        if target is None:
            return
        interrupted = exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
        run = page.Run(
            catalogue=self.catalogue,
            specification=self.specification,
            runs=self.runs,
            verdict=judged,
            commit=commit,
            others=page.OtherTests(list(self.failed), self.passed, interrupted),
            changes=self._changes(),
            everything=self.everywhere,
        )
        page.write(target, run)
        self.written.append(f"Living documentation: {target}")

    def _changes(self) -> Changes | None:
        """What is new in the features, where there is something to compare them with."""
        base = self.config.option.changes_since or changes.base_of(self.root)
        return changes.since(self.root, base, self.specification) if base else None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the matrix, and what must be mended."""
        if self.verdict is not None:
            _print(terminalreporter, self.verdict)
            for line in self.written:
                terminalreporter.line(line)


def _redact(report: pytest.TestReport) -> None:
    report.sections = [(name, redact(text)) for name, text in report.sections]
    if report.longrepr is not None and not isinstance(report.longrepr, tuple):
        text = report.longreprtext
        if (clean := redact(text)) != text:
            report.longrepr = clean


def _state(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return XFAILED
    return {"passed": PASSED, "failed": FAILED}.get(report.outcome, SKIPPED)


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext or getattr(report, "wasxfail", "")


def _print(reporter: pytest.TerminalReporter, judged: Verdict) -> None:
    proven = sum(row.status == PROVEN for row in judged.criteria)
    partly = sum(row.partly for row in judged.criteria)
    but = f", {partly} of them but for what was not run here" if partly else ""
    reporter.section(f"acceptance: {proven} of {len(judged.criteria)} criteria proven{but}")
    for row in [*judged.stories, *judged.criteria]:
        kind = NOT_RUN if row.partly else row.status
        mark = {PROVEN: "✔", NOT_RUN: "·"}.get(kind, "✘")
        colour = {PROVEN: "green", NOT_RUN: "yellow"}.get(kind, "red")
        title = row.title.partition(":")[0]
        reporter.line(f"{mark} {row.id:<6} {title[:42]:<42} {row.word:<10}  {row.counts}", **{colour: True})
    if judged.rulings:
        proven_rulings = sum(row.status == PROVEN for row in judged.rulings)
        by_tests = len(judged.by_tests)
        reporter.line(f"rulings: {proven_rulings} of {len(judged.rulings)} proven, {by_tests} of them by tests alone")
    for one in judged.absent:
        reporter.line(f"· not run here: {one}", yellow=True)
    for problem in judged.problems[:SHOWN_PROBLEMS]:
        reporter.line(f"✘ {problem}", red=True)
    if judged.problems[SHOWN_PROBLEMS:]:
        reporter.line(f"✘ and {len(judged.problems) - SHOWN_PROBLEMS} more", red=True)
