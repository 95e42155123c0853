"""Which rules and scenarios were added, reworded and removed between two commits, by their titles.

    python -m tests.acceptance.changes SINCE [UNTIL]

prints it as Markdown; it reads both commits' feature files from git, and runs nothing.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from tests.acceptance.specification import Document, Specification

FEATURES = "features"
ALIKE = 0.6
"""How much of a title must be the same, in the same feature, where its steps differ: less is another promise."""
ADDED, REWORDED, REMOVED = "added", "reworded", "removed"
PLACES = {"id", "location", "tags"}
"""What of a parsed node says nothing of its meaning."""


class UnknownRevision(Exception):
    """Git knows no such commit; the message names it."""


@dataclass(frozen=True)
class Promise:
    """A rule or a scenario, as it is written."""

    kind: str
    feature: str
    title: str
    content: str
    """Its steps and examples, or a rule's text: what differs where the title stays."""


@dataclass(frozen=True)
class Change:
    """One difference."""

    what: str
    """added, reworded or removed."""
    promise: Promise
    before: str = ""
    """The title before, where it is another."""

    def __str__(self) -> str:
        title = f"{self.promise.kind}: {self.promise.title}"
        if self.what != REWORDED:
            return title
        return f"{title} (was: {self.before})" if self.before else f"{title} (its steps or examples)"


@dataclass(frozen=True)
class Changes:
    """All differences since a commit."""

    since: str
    """As it was asked for, such as v0.1.0."""
    revision: str
    all: list[Change]

    def of(self, what: str) -> list[Change]:
        """Those that were added, reworded or removed."""
        return [change for change in self.all if change.what == what]

    @property
    def counts(self) -> str:
        """How many of each."""
        return ", ".join(f"{len(self.of(what))} {what}" for what in (ADDED, REWORDED, REMOVED))

    def markdown(self) -> str:
        """The differences as lists."""
        lines = [f"## Promises since {self.since}: {self.counts}"]
        for what in (ADDED, REWORDED, REMOVED):
            changes = self.of(what)
            if changes:
                lines += ["", f"**{what.capitalize()}**", ""]
                lines += [f"- {change.promise.feature} · {change}" for change in changes]
        return "\n".join(lines) + "\n"


def promises(specification: Specification) -> list[Promise]:
    """All rules and scenarios, in the order of the files."""
    return [promise for document in specification.documents for promise in _of(document)]


def _of(document: Document) -> Iterator[Promise]:
    feature = document.feature["name"]
    for child in document.feature["children"]:
        if "rule" in child:
            rule = child["rule"]
            yield Promise("Rule", feature, rule["name"], _content(rule["description"].split()))
    for scenario in document.scenarios():
        content = _content([scenario.node["steps"], scenario.node["examples"]])
        yield Promise("Scenario", feature, scenario.name, content)


def _content(node: Any) -> str:
    return json.dumps(_meaning(node), ensure_ascii=False)


def _meaning(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _meaning(value) for name, value in node.items() if name not in PLACES}
    return [_meaning(entry) for entry in node] if isinstance(node, list) else node


def compare(before: list[Promise], after: list[Promise]) -> list[Change]:
    """Pair what has the same title, then the same content, then a similar title; the rest was added or removed."""
    changes = []
    titles = {(promise.kind, promise.title): promise for promise in before}
    known = {(promise.kind, promise.title) for promise in after}
    gone = [promise for promise in before if (promise.kind, promise.title) not in known]
    for promise in after:
        same = titles.get((promise.kind, promise.title))
        if same is None:
            older = _older(promise, gone)
            if older:
                gone.remove(older)
            changes.append(Change(REWORDED, promise, older.title) if older else Change(ADDED, promise))
        elif same.content != promise.content:
            changes.append(Change(REWORDED, promise))
    return [*changes, *(Change(REMOVED, promise) for promise in gone)]


def _older(promise: Promise, gone: list[Promise]) -> Promise | None:
    """What has gone and is most like this one, if any is."""
    candidates = [old for old in gone if old.kind == promise.kind]
    for old in candidates:
        if promise.kind == "Scenario" and old.content == promise.content:
            return old
    in_feature = [old for old in candidates if old.feature == promise.feature]
    best = max(in_feature, key=lambda old: _likeness(old, promise), default=None)
    return best if best and _likeness(best, promise) >= ALIKE else None


def _likeness(one: Promise, other: Promise) -> float:
    return SequenceMatcher(None, one.title.split(), other.title.split()).ratio()


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it refuses, or is not there."""
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)  # noqa: S603, S607 - whichever git there is
    except FileNotFoundError:
        return ""
    return run.stdout.decode("utf-8", "replace").strip() if run.returncode == 0 else ""


def revision_of(root: Path, name: str) -> str:
    """The full hash of a commit's name. Raises UnknownRevision."""
    revision = _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not revision:
        raise UnknownRevision(f"git knows no commit {name} here: fetch it, or name another")
    return revision


def specification_at(root: Path, name: str) -> Specification:
    """Parse the feature files of a commit. Raises UnknownRevision."""
    revision = revision_of(root, name)
    specification = Specification()
    for path in _git(root, "ls-tree", "-r", "--name-only", "-z", revision, "--", FEATURES).split("\0"):
        if path.endswith(".feature"):
            specification.add(path, _git(root, "show", f"{revision}:{path}") + "\n")
    return specification


def base_of(root: Path) -> str:
    """What a reader compares with: on main the last release before this commit, elsewhere main; else nothing."""
    head = _git(root, "rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        revision = _git(root, "rev-parse", "--verify", "--quiet", main)
        if revision and revision != head and _git(root, "merge-base", main, "HEAD") != head:
            return main
    return _git(root, "describe", "--tags", "--abbrev=0", "HEAD^")


def since(root: Path, name: str, specification: Specification, until: str = "HEAD") -> Changes:
    """What is new in these features, which are those of `until`, compared with a commit's. Raises UnknownRevision.

    Compared with main, what main has got meanwhile is no change: the commit is where this branch left it.
    """
    named = revision_of(root, name)
    base = _git(root, "merge-base", named, revision_of(root, until)) or named
    return Changes(name, base, compare(promises(specification_at(root, base)), promises(specification)))


def main() -> None:
    """Print the differences between two commits."""
    parser = argparse.ArgumentParser(prog="make promises", description=__doc__)
    parser.add_argument("since", help="the earlier commit, tag or branch")
    parser.add_argument("until", nargs="?", default="HEAD", help="the later one")
    arguments = parser.parse_args()
    root = Path.cwd()
    try:
        later = specification_at(root, arguments.until)
        changes = since(root, arguments.since, later, arguments.until)
    except UnknownRevision as problem:
        sys.exit(str(problem))
    print(changes.markdown(), end="")


if __name__ == "__main__":
    main()
