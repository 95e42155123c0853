"""The living documentation: one page for stakeholders, made from the features and what came of each scenario.

`page.mako` is the page, and `page.css` and `page.js` are put into it: it opens offline, from one file.
"""

import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from mako.lookup import TemplateLookup
from markupsafe import Markup, escape

from tests.acceptance.catalogue import Bar, Catalogue
from tests.acceptance.changes import Changes
from tests.acceptance.evidence import ScenarioRun, StepRun, shown_exchanges
from tests.acceptance.messages import Commit
from tests.acceptance.redaction import redact
from tests.acceptance.specification import Document, Key, Node, Pickle, Specification
from tests.acceptance.specification import Scenario as Source
from tests.acceptance.verdict import (
    FAILED,
    NOT_HERE,
    NOT_RUN,
    PASSED,
    PROVEN,
    Row,
    Verdict,
    but_for,
    count,
    state_of,
    status,
)

HERE = Path(__file__).parent
TEMPLATES = TemplateLookup([str(HERE)], default_filters=["h"], strict_undefined=True)
NO_MEASUREMENT = "not measured in this run"
SENTENCE_MAX = 240  # characters of a value in the sentence on a failure
MARKS = {"ok": "✔", "ko": "✘", "open": "·"}


@dataclass(frozen=True)
class OtherTests:
    """What came of the tests that are no scenarios, and how the run ended."""

    failed: list[str] = field(default_factory=list)
    """The names of those that failed, or could not be collected."""
    passed: int = 0
    interrupted: bool = False


@dataclass(frozen=True)
class Run:
    """All that the page is made from."""

    catalogue: Catalogue
    specification: Specification
    runs: Mapping[Key, ScenarioRun]
    verdict: Verdict
    commit: Commit
    others: OtherTests
    changes: Changes | None
    """What changed since the last release, or main, where one is at hand."""
    everything: bool
    """Whether no missing tool is an excuse."""


@dataclass(frozen=True)
class Step:
    """A line of a scenario, and what was sent and answered while it ran."""

    keyword: str
    text: Markup
    state: str
    """Empty where it passed; else what came of it."""
    rows: list[list[str]]
    document: str
    exchanges: list[tuple[str, str]]
    """Titles and texts."""


@dataclass(frozen=True)
class Failure:
    """One sentence on a scenario that failed, and pytest's own account."""

    expected: str
    came: str
    answer: str
    """The last request and its status, or nothing."""
    traceback: str


@dataclass(frozen=True)
class Example:
    """A scenario, or one row of an outline, that runs."""

    anchor: str
    name: str
    cells: list[Markup]
    state: str
    kind: str
    """ok, ko or open."""
    reason: str
    """Why it was skipped."""
    steps: list[Step]
    failure: Failure | None


@dataclass(frozen=True)
class Table:
    """The examples of an outline under one title."""

    title: str
    tags: list[str]
    header: list[str]
    rows: list[Example]


@dataclass(frozen=True)
class Scenario:
    """A scenario, which is one example, or an outline with tables of them."""

    anchor: str
    name: str
    tags: list[str]
    steps: list[Step]
    """An outline's own, with placeholders."""
    examples: list[Example]
    tables: list[Table]

    @property
    def states(self) -> Counter[str]:
        """How many examples passed, failed and so on."""
        return count(example.state for example in self.examples)


@dataclass(frozen=True)
class Rule:
    """A promise; where scenarios stand outside of Rules, its title is empty."""

    anchor: str
    title: str
    tags: list[str]
    text: Markup
    scenarios: list[Scenario]

    @property
    def states(self) -> Counter[str]:
        """How many examples passed, failed and so on."""
        return sum((scenario.states for scenario in self.scenarios), Counter())


@dataclass(frozen=True)
class Feature:
    """A feature file."""

    anchor: str
    title: str
    subject: str
    """What the catalogue calls its promises, such as privacy."""
    tags: list[str]
    story: bool
    text: Markup
    rules: list[Rule]

    @property
    def states(self) -> Counter[str]:
        """How many examples passed, failed and so on."""
        return sum((rule.states for rule in self.rules), Counter())

    @property
    def scenarios(self) -> list[Scenario]:
        """All of them."""
        return [scenario for rule in self.rules for scenario in rule.scenarios]


def write(path: Path, run: Run) -> None:
    """Write the page; nothing in it looks like a token."""
    script = (HERE / "page.js").read_text("utf-8")
    features = list(_Features(run).all())
    html = TEMPLATES.get_template("page.mako").render_unicode(
        run=run,
        features=features,
        at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        css=Markup((HERE / "page.css").read_text("utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        kind=kind_of,
        mark=MARKS.__getitem__,
        word=lambda row: _word(row, run.catalogue),
        search=lambda words: f"#search={quote(words)}",
        slug=slug,
        link=lambda text: Words(run.catalogue.glossary).link(text, set()),
        code=with_code,
        heading=": ".join(filter(None, [run.catalogue.product, run.catalogue.about])) or "Living documentation",
        bars={one.id: _bar_in_words(one.bar) for one in run.catalogue.criteria.values() if one.bar},
        carriers=lambda id_: _carriers(features, id_),
        state=state_in_words(run),
        commit_address=_commit_address(run.commit),
        status=lambda states: but_for(status(states, everything=run.everything), states),
        PROVEN=PROVEN,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(redact(html), "utf-8")


def slug(title: str) -> str:
    """Give the part of an address that a title has: its words, in lower case, with hyphens."""
    return "-".join(re.findall(r"\w+", re.sub("['\u2019]", "", title.lower())))


def kind_of(states: Counter[str]) -> str:
    """Whether something failed (ko), all of it passed (ok), or neither (open); what was not run has not failed."""
    if states[FAILED]:
        return "ko"
    return "ok" if set(states) == {PASSED} else "open"


def _word(row: Row, catalogue: Catalogue) -> tuple[str, str]:
    """Give the kind and the word for a row of the matrix."""
    criterion = catalogue.criteria.get(row.id)
    if row.status == PROVEN and row.id in catalogue.rulings and not row.states:
        return "ok", "proven by tests"
    if row.status == PROVEN:
        return ("open" if row.partly else "ok"), row.word
    if criterion and criterion.bar and row.status == NOT_RUN:
        return "open", NO_MEASUREMENT
    measured_short = criterion is not None and criterion.bar is not None
    return ("ko" if row.states[FAILED] or measured_short else "open"), row.status


def _bar_in_words(bar: Bar) -> str:
    least = f"at least {bar.least:g} % of the lines and of the branches"
    return f"{least}, and all of {' and '.join(bar.whole)}" if bar.whole else least


def with_code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    return Words({}).link(text, set())


def state_in_words(run: Run) -> list[tuple[str, str]]:
    """Say how the run went: a kind (ok, ko, open) and a sentence each, the worst first."""
    states = count(state_of(run.runs.get(key)) for key in run.specification.pickles)
    total, failed = states.total(), states[FAILED]
    sentences = []
    others = run.others
    if others.failed:
        tests = "1 other test" if len(others.failed) == 1 else f"{len(others.failed)} other tests"
        sentences.append(("ko", f"The run failed: {tests}."))
    if failed:
        sentences.append(("ko", f"{failed} of {_scenarios(total)} failed."))
    if run.verdict.problems:
        sentences.append(("ko", f"What must be mended is listed below ({len(run.verdict.problems)})."))
    if others.interrupted:
        sentences.append(("open", "The run was interrupted."))
    if states[NOT_RUN]:
        text = f"This was a run of a part: of {_scenarios(total)} {states[NOT_RUN]} did not run."
        sentences.append(("open", text))
    if states[NOT_HERE]:
        sentences.append(("open", f"{states[NOT_HERE]} of {_scenarios(total)} could not run here."))
    rest = total - failed - states[PASSED] - states[NOT_RUN] - states[NOT_HERE]
    if rest:
        sentences.append(("open", f"{rest} of {_scenarios(total)} skipped, or expected to fail."))
    if states[PASSED] == total:
        beside = f", and so did {others.passed} other tests" if others.passed and not others.failed else ""
        sentences.append(("ok", f"All {_scenarios(total)} passed{beside}."))
    return sentences


def _scenarios(number: int) -> str:
    return "1 scenario" if number == 1 else f"{number} scenarios"


def _commit_address(commit: Commit) -> str:
    if commit.remote.startswith("https://github.com/"):
        return f"{commit.remote.removesuffix('.git')}/commit/{commit.revision}"
    return ""


class _Anchors:
    """Addresses within the page, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, kind: str, title: str) -> str:
        """Give the title's address; another title with the same words gets a number."""
        name = wanted = f"{kind}-{slug(title)}"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(name)
        return name


class Words:
    """The glossary, as links at the first place where a word occurs; what is between backticks is code."""

    def __init__(self, glossary: Mapping[str, str]) -> None:
        self._glossary = {word.lower(): (word, meaning) for word, meaning in glossary.items()}
        longest_first = sorted(self._glossary, key=len, reverse=True)
        words = "|".join(re.escape(word) for word in longest_first) or "(?!)"
        self._pattern = re.compile(rf"(?i)`(?P<code>[^`\n]+)`|(?<![\w\"-])(?P<word>{words})s?(?![\w-])")

    def link(self, text: str, seen: set[str]) -> Markup:
        """Link each word that is not in `seen` yet, and add it there; no word in code."""
        parts = []
        end = 0
        for match in self._pattern.finditer(text):
            if match["code"]:
                shown = Markup("<code>{}</code>").format(match["code"])
            else:
                word, meaning = self._glossary[match["word"].lower()]
                if word in seen:
                    continue
                seen.add(word)
                address, plain = slug(word), meaning.replace("`", "")
                shown = Markup('<a class="word" href="#word-{}" title="{}">{}</a>').format(address, plain, match[0])
            parts += [escape(text[end : match.start()]), shown]
            end = match.end()
        return Markup("").join([*parts, escape(text[end:])])


def _carriers(features: list[Feature], id_: str) -> list[tuple[Scenario, int]]:
    """Which scenarios carry a tag, and how many of their examples do."""
    carriers = []
    for feature in features:
        for rule in feature.rules:
            for scenario in rule.scenarios:
                whole = id_ in [*feature.tags, *rule.tags, *scenario.tags]
                part = sum(len(table.rows) for table in scenario.tables if id_ in table.tags)
                if number := len(scenario.examples) if whole else part:
                    carriers.append((scenario, number))
    return carriers


class _Features:
    """The features as the page shows them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._anchors = _Anchors()
        self._words = Words(run.catalogue.glossary)

    def all(self) -> Iterator[Feature]:
        """Give each document's feature."""
        subjects = {uri: subject for subject, uri in self._run.catalogue.subjects.items()}
        for document in self._run.specification.documents:
            feature = document.feature
            if not feature["children"]:
                continue
            yield Feature(
                anchor=self._anchors.take("feature", feature["name"]),
                title=feature["name"],
                subject=subjects.get(document.uri, ""),
                tags=_tags(feature),
                story=bool(document.tags & set(self._run.catalogue.stories)),
                text=self._words.link(_text(feature), set()),
                rules=list(self._rules(document)),
            )

    def _rules(self, document: Document) -> Iterator[Rule]:
        sources = list(document.scenarios())
        loose = [self._scenario(document, source) for source in sources if source.rule is None]
        if loose:
            yield Rule("", "", [], Markup(""), loose)
        for child in document.feature["children"]:
            if "rule" in child:
                rule = child["rule"]
                anchor = self._anchors.take("rule", rule["name"])
                own = [source for source in sources if source.rule and source.rule["id"] == rule["id"]]
                scenarios = [self._scenario(document, source) for source in own]
                yield Rule(anchor, rule["name"], _tags(rule), self._words.link(_text(rule), set()), scenarios)

    def _scenario(self, document: Document, source: Source) -> Scenario:
        pickles = [pickle for pickle in document.pickles if pickle.key.line == source.line]
        keywords = _keywords(document)
        anchor = self._anchors.take("scenario", source.name)
        groups = source.node["examples"]
        if pickles and not groups:
            examples = [self._example(pickle, [], anchor, keywords) for pickle in pickles]
            return Scenario(anchor, source.name, _tags(source.node), [], examples, [])
        rest = iter(pickles)
        tables = []
        for group in groups:
            rows = []
            for row in group["tableBody"]:
                pickle = next(rest)
                seen: set[str] = set()
                cells = [self._words.link(cell["value"], seen) for cell in row["cells"]]
                row_anchor = self._anchors.take("scenario", pickle.name)
                rows.append(self._example(pickle, cells, row_anchor, keywords))
            header = [cell["value"] for cell in group.get("tableHeader", {"cells": []})["cells"]]
            tables.append(Table(group["name"], _tags(group), header, rows))
        examples = [example for table in tables for example in table.rows]
        steps = self._written_steps(document, source)
        return Scenario(anchor, source.name, _tags(source.node), steps, examples, tables)

    def _written_steps(self, document: Document, source: Source) -> list[Step]:
        """Give an outline's steps with their placeholders, the Background's before them."""
        nodes = [*_background_steps(document, source.rule), *source.node["steps"]]
        seen: set[str] = set()
        steps = []
        for node in nodes:
            table = node.get("dataTable", {"rows": []})
            rows = [[cell["value"] for cell in row["cells"]] for row in table["rows"]]
            text = self._words.link(node["text"], seen)
            steps.append(
                Step(node["keyword"].strip(), text, "", rows, node.get("docString", {}).get("content", ""), [])
            )
        return steps

    def _example(self, pickle: Pickle, cells: list[Markup], anchor: str, keywords: Mapping[str, str]) -> Example:
        record = self._run.runs.get(pickle.key)
        state = state_of(record)
        seen: set[str] = set()
        steps = []
        for place, node in enumerate(pickle.node["steps"]):
            step = record["steps"][place] if record and place < len(record["steps"]) else None
            steps.append(self._step(node, keywords[node["astNodeIds"][0]], step, state, seen))
        return Example(
            anchor=anchor,
            name=pickle.name,
            cells=cells,
            state=state,
            kind=kind_of(Counter([state])),
            reason=record["reason"] if record and state not in (PASSED, FAILED) else "",
            steps=steps,
            failure=_failure(pickle, record, keywords) if record and state == FAILED else None,
        )

    def _step(self, node: Node, keyword: str, step: StepRun | None, state: str, seen: set[str]) -> Step:
        argument = node.get("argument", {})
        rows = [[cell["value"] for cell in row["cells"]] for row in argument.get("dataTable", {"rows": []})["rows"]]
        came = ""
        if step and step["status"] in ("FAILED", "UNDEFINED"):
            came = "failed"
        elif state == FAILED and step is None:
            came = "not reached"
        document = argument.get("docString", {}).get("content", "")
        exchanges = shown_exchanges(step) if step else []
        return Step(keyword, self._words.link(node["text"], seen), came, rows, document, exchanges)


def _tags(node: Node) -> list[str]:
    """Give the tags that a stakeholder knows: which tool a scenario needs is said where it could not run."""
    names = [tag["name"].removeprefix("@") for tag in node["tags"]]
    return [name for name in names if not name.startswith("needs-")]


def _text(node: Node) -> str:
    return "\n".join(line.strip() for line in node.get("description", "").splitlines())


def _background_steps(document: Document, rule: Node | None) -> list[Node]:
    """The steps before those of each scenario: the feature's, then the Rule's."""
    children = [*document.feature["children"], *(rule["children"] if rule else [])]
    return [step for child in children if "background" in child for step in child["background"]["steps"]]


def _keywords(document: Document) -> dict[str, str]:
    """Each written step's keyword, by its id."""
    written = [step for source in document.scenarios() for step in source.node["steps"]]
    before = [step for background in document.backgrounds() for step in background["steps"]]
    return {step["id"]: step["keyword"].strip() for step in [*written, *before]}


def _failure(pickle: Pickle, record: ScenarioRun, keywords: Mapping[str, str]) -> Failure:
    """Say in one sentence what was expected and what came: of the step that failed, else of a fixture."""
    exchanges = [exchange for step in record["steps"] for exchange in step["exchanges"]]
    answer = exchanges[-1]["title"] if exchanges else ""
    for node, step in zip(pickle.node["steps"], record["steps"], strict=False):
        if step["status"] == "UNDEFINED":
            expected, came = f"{keywords[node['astNodeIds'][0]]} {node['text']}", "no code stands behind this step"
            return Failure(expected, came, answer, record["reason"])
        if step["status"] == "FAILED":
            expected = f"{keywords[node['astNodeIds'][0]]} {node['text']}"
            return Failure(expected, came_of(step["message"]), answer, record["reason"])
    wanted = "the scenario can begin" if record["before_steps"] else "everything is as it should be at the end"
    errors = [line.removeprefix("E").strip() for line in record["reason"].splitlines() if line.startswith("E ")]
    came = came_of(errors[0]) if errors else _shortened(record["reason"])
    return Failure(wanted, came, answer, record["reason"])


def came_of(message: str) -> str:
    """Give the one line on what came that an exception's message has: `a, not b` of a comparison that failed."""
    kind, _, said = message.partition(": ")
    lines = said.splitlines() if kind.endswith("AssertionError") else [message.partition("\n")[0]]
    compared = next((line.removeprefix("assert ") for line in lines if line.startswith("assert ")), "")
    own = lines[0] if lines and not lines[0].startswith("assert ") else ""
    actual, equals, expected = compared.partition(" == ")
    if equals:
        compared = f"{_shortened(actual)}, not {_shortened(expected)}"
    elif compared:
        compared = f"this does not hold: {_shortened(compared)}"
    return "; ".join(filter(None, [_shortened(own), compared])) or "the check did not hold"


def _shortened(text: str) -> str:
    return text if len(text) <= SENTENCE_MAX else f"{text[:SENTENCE_MAX]}…"
