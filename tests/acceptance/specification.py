"""Every feature file, parsed and compiled by Cucumber's own parser: the truth that a run is held against."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gherkin.ast_builder import AstBuilder
from gherkin.errors import CompositeParserException, ParserException
from gherkin.parser import Parser
from gherkin.pickles.compiler import Compiler
from gherkin.stream.id_generator import IdGenerator

Node = dict[str, Any]

BYTE_ORDER_MARK = "\ufeff"


class Key(NamedTuple):
    """Which pickle: a scenario by file and line, and its row among all its examples, from 0."""

    uri: str
    line: int
    row: int


@dataclass(frozen=True, order=True)
class Problem:
    """Something that must be mended: where, and what it is and how to mend it."""

    uri: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.uri}:{self.line} {self.text}" if self.line else f"{self.uri} {self.text}"


@dataclass(frozen=True)
class Scenario:
    """A scenario or an outline, as it is written."""

    uri: str
    node: Node
    rule: Node | None

    @property
    def name(self) -> str:
        """Its name, an outline's with placeholders."""
        return str(self.node["name"])

    @property
    def line(self) -> int:
        """The line of its keyword."""
        return int(self.node["location"]["line"])


@dataclass(frozen=True)
class Pickle:
    """A scenario, or one row of an outline, ready to run."""

    key: Key
    node: Node
    """As the Messages have it."""
    written: str
    """Its name as it is written, an outline's with placeholders."""

    @property
    def name(self) -> str:
        """Its name, with the row's values."""
        return str(self.node["name"])

    @property
    def tags(self) -> set[str]:
        """Its tags and those that it inherits, without the @."""
        return {tag["name"].removeprefix("@") for tag in self.node["tags"]}

    @property
    def line(self) -> int:
        """The line of the scenario, or of the row."""
        return int(self.node["location"]["line"])


@dataclass
class Document:
    """A feature file."""

    uri: str
    text: str
    node: Node
    """As the Messages have it: a GherkinDocument."""
    pickles: list[Pickle] = field(default_factory=list)

    @property
    def feature(self) -> Node:
        """What it says; an empty one says nothing."""
        feature: Node = self.node.get("feature") or {"name": "", "children": [], "tags": [], "location": {"line": 1}}
        return feature

    @property
    def tags(self) -> set[str]:
        """The feature's own tags, without the @."""
        return {tag["name"].removeprefix("@") for tag in self.feature["tags"]}

    def scenarios(self) -> Iterator[Scenario]:
        """All that is written in it, inside Rules and outside."""
        for child in self.feature["children"]:
            if "scenario" in child:
                yield Scenario(self.uri, child["scenario"], None)
            for inner in child.get("rule", {}).get("children", []):
                if "scenario" in inner:
                    yield Scenario(self.uri, inner["scenario"], child["rule"])

    def backgrounds(self) -> Iterator[Node]:
        """The feature's and each Rule's."""
        for child in self.feature["children"]:
            for one in [child, *child.get("rule", {}).get("children", [])]:
                if "background" in one:
                    yield one["background"]


@dataclass
class Specification:
    """All feature files under a folder."""

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """What can't be parsed."""
    ids: IdGenerator = field(default_factory=IdGenerator)

    @classmethod
    def read(cls, features: Path, root: Path) -> "Specification":
        """Parse and compile every feature file; its URI is its path from the root."""
        specification = cls()
        for path in sorted(features.rglob("*.feature")):
            uri = path.relative_to(root).as_posix()
            try:
                text = path.read_text("utf-8")
            except UnicodeDecodeError:
                specification.problems.append(Problem(uri, 0, "is not UTF-8: save it as UTF-8"))
                continue
            if text.startswith(BYTE_ORDER_MARK):
                mend = "begins with a byte order mark, which pytest-bdd takes for text: save it without one"
                specification.problems.append(Problem(uri, 0, mend))
            specification.add(uri, text.removeprefix(BYTE_ORDER_MARK))
        return specification

    def add(self, uri: str, text: str) -> None:
        """Parse and compile the text of one feature file."""
        try:
            parsed = Parser(AstBuilder(self.ids)).parse(text)
        except (CompositeParserException, ParserException) as wrong:
            for error in getattr(wrong, "errors", [wrong]):
                line = error.location["line"]
                self.problems.append(Problem(uri, line, f"is no Gherkin: {error.args[0].split(': ', 1)[1]}"))
            return
        document = Document(uri, text, {**parsed, "uri": uri})
        written = {scenario.node["id"]: scenario for scenario in document.scenarios()}
        rows: Counter[int] = Counter()
        for node in Compiler(self.ids).compile(document.node):  # type: ignore[arg-type]  # a GherkinDocument
            scenario = written[node["astNodeIds"][0]]
            key = Key(uri, scenario.line, rows[scenario.line])
            document.pickles.append(Pickle(key, dict(node), scenario.name))
            rows[scenario.line] += 1
        self.documents.append(document)

    @property
    def pickles(self) -> dict[Key, Pickle]:
        """All pickles, in the order of the files."""
        return {pickle.key: pickle for document in self.documents for pickle in document.pickles}
