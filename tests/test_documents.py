"""The documents lead where they say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = [".", ".github", "docs", "tests", "tests/acceptance"]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)#?([^)]*)\)")


def prose_of(path: Path) -> str:
    """A document without its examples."""
    return re.sub(r"^ *```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors_of(path: Path) -> set[str]:
    """The address that GitHub gives each heading."""
    headings = re.findall(r"^#+ (.+)$", prose_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_link_is_dead(document: str) -> None:
    """Each names a file that is there, and a heading of it."""
    here = ROOT / document
    dead = []
    for target, anchor in LINK.findall(prose_of(here)):
        there = (here.parent / target).resolve() if target else here
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            dead.append(f"{target}#{anchor}")
    assert dead == []


def test_all_documents_are_looked_at() -> None:
    """A glob that finds nothing would let every link be dead."""
    assert {"README.md", ".github/CONTRIBUTING.md", "docs/operations.md", "tests/acceptance/README.md"} <= {*DOCUMENTS}
