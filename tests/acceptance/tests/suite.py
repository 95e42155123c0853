"""A small suite under the gate, sound in itself, for tests that break it."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SETTINGS = f"""
[pytest]
pythonpath = {ROOT}
bdd_features_base_dir = features
addopts = --strict-markers -p no:cacheprovider
"""

CATALOGUE = """
[stories]
US-1 = "be greeted"

[criteria.AC-001]
name = "Greeting"
promise = "guests are greeted"

[needs.a-doorbell]
commands = ["no-such-doorbell"]
remedy = "buy a doorbell"

[language]
technical = ["GET", "JSON", "endpoint"]
switches = ["should", "should not"]
unchanged = ["is as before"]
"""

FEATURE = """@US-1
Feature: Greeting guests
  As a guest
  I want to be greeted
  So that I feel welcome

  Rule: Whoever comes is greeted

    @AC-001
    Scenario: A guest is greeted
      Given a house
      When a guest comes
      Then the guest is greeted

    @AC-001
    Scenario Outline: A guest hears <words>
      Given a house
      When a guest comes
      Then the guest hears <words>

      Examples: In any language
        | words    | why     |
        | Welcome  | English |
        | Bonjour  | French  |
"""

STEPS = """
import pytest
from pytest_bdd import given, parsers, scenarios, then, when

scenarios(".")

@given("a house")
def _():
    pass

@when("a guest comes")
def _():
    pass

@then("the guest is greeted")
def _():
    pass

@then(parsers.parse("the guest hears {words}"))
def _(words):
    assert words in ("Welcome", "Bonjour")
"""


class Suite:
    """Files in a folder of pytester's, and runs of them; lines of the feature file are counted from 1."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makefile(".ini", pytest=SETTINGS)
        pytester.makeconftest('pytest_plugins = ["tests.acceptance.plugin"]')
        self.catalogue = self._file("features/catalogue.toml", CATALOGUE)
        self.feature = self._file("features/greeting_guests.feature", FEATURE)
        self.steps = self._file("test_features.py", STEPS)

    def _file(self, name: str, text: str) -> Path:
        path = self.pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def add(self, name: str, text: str) -> Path:
        """Write another file."""
        return self._file(name, text)

    def change(self, path: Path, old: str, new: str) -> None:
        """Replace some text of a file, everywhere in it."""
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def run(self, *options: str) -> pytest.RunResult:
        """Run it in this process.

        It leaves no bytecode: Python would take that of a file for a changed one's that has the same size and second.
        """
        self.pytester._monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return self.pytester.runpytest_inprocess(*options)

    def run_apart(self, *options: str) -> pytest.RunResult:
        """Run it in a process of its own, as xdist and coverage want it; the coverage of this one stays out of it."""
        for name in [name for name in os.environ if name.startswith("COV")]:
            self.pytester._monkeypatch.delenv(name)
        self.pytester._monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        return self.pytester.runpytest_subprocess(*options)

    def refused(self, *messages: str, options: tuple[str, ...] = ()) -> pytest.RunResult:
        """Expect that the gate fails the run with these messages, and that pytest alone is content."""
        alone = self.run(*options)
        assert alone.ret == pytest.ExitCode.OK, "pytest alone finds it: no false green"
        gated = self.run("--acceptance=here", *options)
        assert gated.ret == pytest.ExitCode.TESTS_FAILED
        for message in messages:
            assert f"✘ {message}" in str(gated.stdout)
        return gated


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """A sound small suite."""
    return Suite(pytester)
