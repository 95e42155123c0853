"""What the service is built from: the largest lock, no dependency too many, no rule of security let off."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.locks import HERE, ROOT, assert_complete

DEPTRY = [str(Path(sys.executable).parent / "deptry"), "--no-ansi"]


def test_the_lock_of_all_tools_is_hashed_complete_and_minimal() -> None:
    """As those of tests/test_installs.py, which runs where these tools are not installed."""
    assert_complete("requirements-check.txt", HERE)


@pytest.mark.parametrize("scope", [["."], ["app", "--optional-dependencies-dev-groups", "dev,check"]])
def test_no_dependency_is_unused_missing_or_out_of_place(scope: list[str]) -> None:
    """All that is declared is imported somewhere, what the app imports is no tool of development's: deptry decides."""
    ended = subprocess.run([*DEPTRY, *scope], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 0, ended.stderr


def test_compose_builds_its_image_once_and_demands_one_secret_alone() -> None:
    """Two services that build one tag collide. Whether somebody can sign in, the service says."""
    compose = (ROOT / "compose.yaml").read_text()
    shared, services = compose.split("\nservices:\n")
    assert ("build:" in shared, len(re.findall(r"^    build:", services, re.MULTILINE))) == (False, 1)
    assert "pull_policy: never" in shared
    assert set(re.findall(r"\$\{(\w+):?\?", compose)) == {"POSTGRES_PASSWORD"}


def test_no_rule_of_security_is_let_off_without_a_reason() -> None:
    """Each `noqa` of one of ruff's S rules says why."""
    files = [file for folder in ("app", "steps", "tests") for file in (ROOT / folder).rglob("*.py")]
    for file in [ROOT / "conftest.py", *[file for file in files if "node_modules" not in file.parts]]:
        for line in file.read_text().splitlines():
            assert not re.search(r"noqa: (?:[A-Z]+\d+, )*S\d+(?!\d*(?:, [A-Z]+\d+)* - \w)", line), f"{file}: {line}"
