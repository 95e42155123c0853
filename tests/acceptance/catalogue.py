"""The one list of stories, criteria and rulings, beside the features."""

import re
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.specification import Document

FILE = "catalogue.toml"


@dataclass(frozen=True)
class Bar:
    """How much of the code the run must cover."""

    least: float
    """Per cent of the lines, and of the branches."""
    whole: tuple[str, ...] = ()
    """Files that must be covered wholly, as coverage names them."""


@dataclass(frozen=True)
class Criterion:
    """An acceptance criterion; one with a bar is proven by coverage."""

    id: str
    name: str
    promise: str
    bar: Bar | None = None


@dataclass(frozen=True)
class Ruling:
    """A numbered decision of the specification: some scenario carries it, or tests prove it."""

    id: str
    promise: str
    tests: tuple[str, ...] = ()
    """Where no scenario carries it: `tests/test_module.py::test_name`, from the root."""
    reason: str = ""
    """Why no scenario can carry it."""


@dataclass(frozen=True)
class Need:
    """A tool from outside Python that some tests can't do without."""

    name: str
    commands: tuple[str, ...]
    remedy: str
    path: Path | None = None

    def missing(self) -> bool:
        """Whether none of its commands is there, or its path isn't."""
        return not any(map(shutil.which, self.commands)) or (self.path is not None and not self.path.exists())


@dataclass(frozen=True)
class Language:
    """What the features' people don't say."""

    technical: tuple[str, ...] = ()
    """Words; one in capitals is meant as written, any other in each case and number."""
    switches: tuple[str, ...] = ()
    """Cells that turn a rule on and off, where two scenarios belong."""
    unchanged: tuple[str, ...] = ()
    """Of these words a step has some that checks that a refusal changed nothing."""
    allowed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By a feature file's path from the root: the words and paths that it may use all the same."""


@dataclass(frozen=True)
class Catalogue:
    """Stories, criteria and rulings by id, needs by name; the features' folders in the order in which they are read."""

    stories: dict[str, str]
    criteria: dict[str, Criterion]
    rulings: dict[str, Ruling]
    needs: dict[str, Need]
    language: Language
    folders: tuple[str, ...] = ()
    subjects: dict[str, str] = field(default_factory=dict)
    """By what a stakeholder calls its promises, such as privacy: a feature file's path from the root."""
    outside: dict[str, str] = field(default_factory=dict)
    """What the product does not do, and whose it is."""
    glossary: dict[str, str] = field(default_factory=dict)
    """Words of the features, and what they mean."""
    product: str = ""
    """The name of what the features specify."""
    about: str = ""
    """What it is, in one sentence that goes on after the name."""

    @classmethod
    def read(cls, features: Path, root: Path) -> "Catalogue":
        """Read the catalogue in a folder of features; paths in it start at the root."""
        said = tomllib.loads((features / FILE).read_text("utf-8"))
        words = said.get("language", {})
        home = features.relative_to(root).as_posix()
        return cls(
            stories=said.get("stories", {}),
            criteria={id_: _criterion(id_, one) for id_, one in said.get("criteria", {}).items()},
            rulings={id_: _ruling(id_, entry) for id_, entry in sorted(said.get("rulings", {}).items())},
            needs={name: _need(name, one, root) for name, one in said.get("needs", {}).items()},
            language=Language(
                technical=tuple(words.get("technical", ())),
                switches=tuple(words.get("switches", ())),
                unchanged=tuple(words.get("unchanged", ())),
                allowed={f"{home}/{path}": tuple(ones) for path, ones in words.get("allowed", {}).items()},
            ),
            folders=tuple(f"{home}/{name}/" for name in said.get("folders", ())),
            subjects={subject: f"{home}/{path}" for subject, path in said.get("subjects", {}).items()},
            outside=said.get("outside", {}),
            glossary=said.get("glossary", {}),
            product=said.get("product", ""),
            about=said.get("about", ""),
        )

    def place(self, document: Document) -> tuple[int, int, str]:
        """Where a document comes when all are sorted: by its folder, then by its story, then by its name."""
        folders = (place for place, folder in enumerate(self.folders) if document.uri.startswith(folder))
        stories = (place for place, story in enumerate(self.stories) if story in document.tags)
        return next(folders, len(self.folders)), next(stories, len(self.stories)), document.uri

    def markers(self) -> dict[str, str]:
        """Every tag that a scenario may carry, and what it means."""
        return {
            **self.stories,
            **{criterion.id: criterion.promise for criterion in self.criteria.values()},
            **{ruling.id: ruling.promise for ruling in self.rulings.values()},
            **{f"needs-{need.name}": f"can't run without: {need.remedy}" for need in self.needs.values()},
        }


def _criterion(id_: str, said: dict[str, Any]) -> Criterion:
    bar = said.get("coverage")
    return Criterion(id_, said["name"], said["promise"], bar and Bar(bar["least"], tuple(bar.get("whole", ()))))


def _ruling(id_: str, entry: str | dict[str, Any]) -> Ruling:
    """Read a ruling: its promise alone, or a table that names the tests which prove it and why no scenario does."""
    if isinstance(entry, str):
        return Ruling(id_, entry)
    return Ruling(id_, entry["promise"], tuple(entry["proven-by"]), entry["because"])


def _need(name: str, said: dict[str, Any], root: Path) -> Need:
    path = root / said["path"] if "path" in said else None
    return Need(name, tuple(said["commands"]), said["remedy"], path)


def words_as_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Match any of the words whole; one in capitals as written, any other in each case and number."""
    exact = [re.escape(word) for word in words if word.isupper()]
    loose = [re.escape(word) for word in words if not word.isupper()]
    parts = [rf"\b(?:{'|'.join(exact)})\b"] * bool(exact) + [rf"(?i:\b(?:{'|'.join(loose)})s?\b)"] * bool(loose)
    return re.compile("|".join(parts) or r"(?!)")
