"""What changed in the features between two commits is told by title."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance import changes
from tests.acceptance.changes import UnknownRevision
from tests.acceptance.specification import Specification
from tests.acceptance.tests.suite import FEATURE, Suite


def git(root: Path, *arguments: str) -> None:
    """Run git as somebody."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)  # noqa: S603, S607 - whichever git there is


LATER = (
    FEATURE.replace("Whoever comes is greeted", "Whoever comes is greeted kindly")
    .replace("A guest is greeted", "A guest is welcome")
    .replace("        | Bonjour  | French  |\n", "")
    + """
    @AC-001
    Scenario: A cat is let in
      When a cat comes
"""
)


@pytest.fixture
def history(suite: Suite) -> Path:
    """Two commits: a release, and one after it."""
    root = suite.pytester.path
    suite.feature.write_text(
        FEATURE + "\n    Scenario: A dog is sent away\n      When a dog comes\n      Then all are quiet\n", "utf-8"
    )
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "features")
    git(root, "commit", "--quiet", "--message=One")
    git(root, "tag", "v1")
    suite.feature.rename(suite.feature.with_name("welcoming.feature"))
    suite.feature.with_name("welcoming.feature").write_text(LATER, "utf-8")
    git(root, "add", "--all", "features")
    git(root, "commit", "--quiet", "--message=Two")
    return root


EXPECTED = """## Promises since v1: 1 added, 3 reworded, 1 removed

**Added**

- Greeting guests · Scenario: A cat is let in

**Reworded**

- Greeting guests · Rule: Whoever comes is greeted kindly (was: Whoever comes is greeted)
- Greeting guests · Scenario: A guest is welcome (was: A guest is greeted)
- Greeting guests · Scenario: A guest hears <words> (its steps or examples)

**Removed**

- Greeting guests · Scenario: A dog is sent away
"""


def told(root: Path, since: str) -> str:
    """What is said of the later commit."""
    return changes.since(root, since, changes.specification_at(root, "HEAD")).markdown()


def test_what_was_added_reworded_and_removed(history: Path) -> None:
    """A file that was renamed is no change."""
    assert told(history, "v1") == EXPECTED
    assert "0 added, 0 reworded, 0 removed" in told(history, "HEAD")


def test_main_compares_with_its_last_release_and_a_branch_with_main(history: Path) -> None:
    """Where there is neither, nothing is compared."""
    assert changes.base_of(history) == "v1"
    git(history, "checkout", "--quiet", "-b", "other")
    git(history, "commit", "--quiet", "--allow-empty", "--message=Three")
    assert changes.base_of(history) == "main"
    git(history, "checkout", "--quiet", "v1")
    assert changes.base_of(history) == ""


def test_what_main_got_meanwhile_is_no_change(history: Path) -> None:
    """The branch is compared with where it left main."""
    git(history, "checkout", "--quiet", "-b", "other", "v1")
    git(history, "commit", "--quiet", "--allow-empty", "--message=Three")
    assert "0 added, 0 reworded, 0 removed" in told(history, "main")


@pytest.mark.parametrize("name", ["nowhere", "--help", ""])
def test_an_unknown_commit_is_named(history: Path, name: str) -> None:
    """It is no traceback, and no option of git's."""
    with pytest.raises(UnknownRevision, match=f"git knows no commit {name} here: fetch it, or name another"):
        changes.since(history, name, Specification())


def test_the_page_says_what_changed(suite: Suite, history: Path) -> None:
    """Since the last release, or a commit that was asked for."""
    target = history / "page.html"
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    assert "What changed since v1</h2> 1 added, 3 reworded, 1 removed" in page
    assert '<a href="#scenario-a-cat-is-let-in">Scenario: A cat is let in</a>' in page
    suite.run(f"--living-documentation={target}", "--changes-since=HEAD")
    assert "<h2>What changed</h2>\n<p>Nothing changed since HEAD." in target.read_text("utf-8")
    refused = suite.run(f"--living-documentation={target}", "--changes-since=nowhere")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["ERROR: --changes-since: git knows no commit nowhere here: *"])
