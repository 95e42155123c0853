"""A release: its number is used once, and what is built between two releases has its commit in its version."""

import re
import shutil
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.processes import output_of

ROOT = Path(__file__).parents[2]
SOURCES = ("app", "LICENSE", "Makefile", "README.md", "pyproject.toml")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody."""
    somebody = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    return output_of("/usr/bin/env", "git", *somebody, *arguments, cwd=folder).strip()


def number(folder: Path) -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"])


def is_released_elsewhere(folder: Path) -> bool:
    """Whether the tag of this number is at another commit."""
    tag = f"v{number(folder)}"
    return tag in git(folder, "tag").split() and tag not in git(folder, "tag", "--points-at", "HEAD").split()


def dist(folder: Path) -> set[str]:
    """Make the wheel and the sdist; name what there is now."""
    environment = Path(sys.executable).parent
    output_of("/usr/bin/env", "make", "--old-file=install-run", f"BIN={environment}", "dist", cwd=folder)
    return {path.name for path in (folder / "dist").iterdir()}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of its own with what the wheel is made of."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=Begin")
    return folder


def test_a_number_is_released_once() -> None:
    """CI refuses what has the number of a release and is not that release: two wheels would have one name."""
    assert not is_released_elsewhere(ROOT), f"v{number(ROOT)} is released: raise the number in pyproject.toml"


def test_a_number_that_is_released_is_seen(repository: Path) -> None:
    """From the first commit after the release on, until the number is raised."""
    assert not is_released_elsewhere(repository)
    git(repository, "tag", f"v{number(repository)}")
    assert not is_released_elsewhere(repository)
    git(repository, "commit", "--quiet", "--allow-empty", "--message=Go on")
    assert is_released_elsewhere(repository)


def test_the_changelog_says_what_the_number_brings() -> None:
    """Its newest section is either this number's, with a date, or what comes next."""
    newest = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    if ".dev" in number(ROOT):
        assert newest == "Unreleased"
    else:
        assert re.fullmatch(re.escape(number(ROOT)) + r" \(\d{4}-\d\d-\d\d\)", newest)


def test_each_commit_has_a_version_of_its_own(repository: Path) -> None:
    """Pip takes a wheel of the version that it has for installed, and leaves the older code. There is one wheel."""
    released = number(repository)
    git(repository, "tag", f"v{released}")
    assert dist(repository) == {f"todo_api-{released}-py3-none-any.whl", f"todo_api-{released}.tar.gz"}
    git(repository, "commit", "--quiet", "--allow-empty", "--message=Go on")
    later = f"{released}+g{git(repository, 'rev-parse', '--short', 'HEAD')}"
    assert {f"todo_api-{later}-py3-none-any.whl", f"todo_api-{later}.tar.gz"} == dist(repository)
    with ZipFile(repository / "dist" / f"todo_api-{later}-py3-none-any.whl") as wheel:
        assert f"\nVersion: {later}\n" in wheel.read(f"todo_api-{later}.dist-info/METADATA").decode()
    assert git(repository, "status", "--short", "--untracked-files=no") == ""
