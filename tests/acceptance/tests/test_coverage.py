"""A criterion with a bar is proven by what the same run covered."""

from typing import Any

import pytest

from tests.acceptance.catalogue import Bar
from tests.acceptance.coverage import judge
from tests.acceptance.tests.suite import Suite

BAR = Bar(least=80, whole=("house/door.py",))
ENDPOINTS = [("GET", "/houses/{house}"), ("GET", "/houses"), ("POST", "/houses")]
ANSWERED = [("GET", "/houses/7", 200), ("GET", "/houses", 200), ("POST", "/houses", 201)]


def report(lines: int = 90, branches: int = 9, door: float = 100.0) -> dict[str, Any]:
    """What coverage says of 100 lines and 10 branches."""
    totals = {"covered_lines": lines, "num_statements": 100, "covered_branches": branches, "num_branches": 10}
    return {"totals": totals, "files": {"house/door.py": {"summary": {"percent_covered": door}, "missing_lines": [3]}}}


def test_a_bar_that_is_reached() -> None:
    """Without this none of the shortcomings below would say anything."""
    covered = judge(report(lines=80, branches=8), BAR, ENDPOINTS, ANSWERED)
    assert covered.shortcomings == []
    assert str(covered) == "lines 80.0 %, branches 80.0 %, house/door.py 100 %, 3 endpoints with scenarios"


@pytest.mark.parametrize(
    ("said", "shortcoming"),
    [
        (report(lines=79), "79.0 % of the lines are covered, and 80 % must be"),
        (report(branches=7), "70.0 % of the branches are covered, and 80 % must be"),
        (report(door=99.9), "house/door.py is covered to 99.9 %, and must be wholly; lines without: [3]"),
        (report() | {"files": {}}, "house/door.py is covered to 0.0 %, and must be wholly; lines without: []"),
    ],
)
def test_a_bar_that_is_missed(said: dict[str, Any], shortcoming: str) -> None:
    """Lines and branches count apart: many lines don't make up for branches."""
    assert judge(said, BAR, ENDPOINTS, ANSWERED).shortcomings == [shortcoming]


def test_branches_must_be_measured() -> None:
    """Lines alone are half of the bar."""
    said = report()
    del said["totals"]["num_branches"]
    assert judge(said, BAR, [], []).shortcomings == ["branches were not measured: run coverage with them"]


@pytest.mark.parametrize(
    ("answered", "missing"),
    [
        ([*ANSWERED[:2], ("POST", "/houses", 422)], "POST /houses"),
        ([*ANSWERED[:2], ("PUT", "/houses", 200)], "POST /houses"),
        ([("GET", "/houses/7/doors", 200), *ANSWERED[1:]], "GET /houses/{house}"),
        ([("GET", "/houses/", 200), *ANSWERED[1:]], "GET /houses/{house}"),
    ],
)
def test_each_endpoint_must_succeed_in_a_scenario(answered: list[tuple[str, str, int]], missing: str) -> None:
    """A refusal is not enough, and neither is another method or a longer path."""
    shortcomings = judge(report(), BAR, ENDPOINTS, answered).shortcomings
    assert shortcomings == [f"no scenario that passed had {missing} succeed"]


CRITERION = """
[criteria.AC-007]
name = "Coverage"
promise = "the house is covered"
coverage = { least = 80, whole = ["house.py"] }
"""
HOUSE = "def open_door(far):\n    if far:\n        return 'wide'\n    return 'a crack'\n"


@pytest.fixture
def house(suite: Suite) -> Suite:
    """A suite that opens a door, near and far."""
    suite.catalogue.write_text(suite.catalogue.read_text() + CRITERION)
    suite.add("house.py", HOUSE)
    suite.add(".coveragerc", "[run]\nbranch = true\nsource = .\nomit = test_features.py, conftest.py\n")
    suite.change(suite.steps, '@given("a house")\ndef _():\n    pass', '@given("a house")\ndef _():\n    ' + OPEN)
    return suite


OPEN = "import house; house.open_door(True); house.open_door(False)"
COVERED = ("--acceptance=here", "--cov", "--cov-report=")


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "with xdist"])
def test_the_same_run_is_measured(house: Suite, options: tuple[str, ...]) -> None:
    """With xdist by all workers together."""
    result = house.run_apart(*COVERED, *options)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["✔ AC-007*proven*lines 100.0 %, branches 100.0 %, house.py 100 %"])


def test_too_little_is_not_enough(house: Suite) -> None:
    """What is missing is named."""
    house.change(house.steps, " house.open_door(False)", "")
    result = house.run_apart(*COVERED)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "✘ AC-007*not proven*lines 75.0 %, branches 50.0 %, house.py 66.67 %",
            "✘ features/catalogue.toml AC-007: 75.0 % of the lines are covered, and 80 % must be",
            "✘ features/catalogue.toml AC-007: 50.0 % of the branches are covered, and 80 % must be",
            "✘ features/catalogue.toml AC-007: house.py is covered to 66.7 %, and must be wholly; lines without: [[]4]",
        ]
    )


def test_a_run_that_measures_nothing_proves_nothing(house: Suite) -> None:
    """The gate does not believe in an older measurement."""
    result = house.run_apart("--acceptance=here")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = "✘ features/catalogue.toml AC-007: the run measured no coverage: run pytest with --cov"
    result.stdout.fnmatch_lines(["· AC-007*not run*coverage was not measured", said])


def test_a_selection_proves_no_coverage(house: Suite) -> None:
    """However much the part covered."""
    result = house.run_apart("--cov", "--cov-report=", "-k", "greeted")
    result.stdout.fnmatch_lines(["· AC-007*not run*lines 100.0 %*"])
