"""The gate catches every false green of pytest-bdd, and says where it is and how to mend it."""

import pytest

from tests.acceptance.definitions import definitions, key_of
from tests.acceptance.tests.suite import FEATURE, STEPS, Suite

PASSED = pytest.ExitCode.OK
FAILED = pytest.ExitCode.TESTS_FAILED
FILE = "features/greeting_guests.feature"


def test_a_sound_suite_passes(suite: Suite) -> None:
    """Without this none of the refusals below would say anything."""
    result = suite.run("--acceptance=everywhere")
    assert result.ret == PASSED
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*1 of 1 criteria proven*", "✔ US-1*proven*3 passed", "✔ AC-001*proven*3 passed"])


def test_a_failing_scenario_takes_its_criterion_along(suite: Suite) -> None:
    """One row of an outline is enough, and its line is named."""
    suite.change(suite.steps, '("Welcome", "Bonjour")', '("Welcome",)')
    result = suite.run("--acceptance=here")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(
        [
            "✘ AC-001*not proven*2 passed, 1 failed",
            f'✘ {FILE}:24 "A guest hears Bonjour": failed (*); mend the service, or the scenario if it is wrong',
        ]
    )


# Rulings


def rule(suite: Suite, entry: str = 'R-01 = "whoever rings is heard"') -> None:
    """Put a ruling into the catalogue."""
    suite.change(suite.catalogue, "[needs.a-doorbell]", f"[rulings]\n{entry}\n[needs.a-doorbell]")


@pytest.mark.parametrize("place", ["@US-1", "  Rule: Whoever", "    @AC-001\n    Scenario: A"])
def test_a_feature_a_rule_or_a_scenario_carries_a_ruling(suite: Suite, place: str) -> None:
    """pytest-bdd makes markers of the tags, and --strict-markers knows these."""
    rule(suite)
    suite.change(suite.feature, place, f"@R-01\n{place}")
    result = suite.run("--acceptance=everywhere")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(["rulings: 1 of 1 proven, 0 of them by tests alone"])


def test_a_ruling_that_no_scenario_carries(suite: Suite) -> None:
    """It is decided, and nobody would notice that it does not hold."""
    rule(suite)
    suite.refused("features/catalogue.toml R-01 is carried by no scenario: tag one with @R-01, or name the tests")


BY_TESTS = """
[rulings.R-01]
promise = "whoever rings is heard"
proven-by = ["test_bell.py::test_it_rings"]
because = "no guest hears it"
"""


def test_a_ruling_that_a_test_proves(suite: Suite) -> None:
    """The catalogue names the test, and says why no scenario can."""
    rule(suite, BY_TESTS)
    bell = suite.add("test_bell.py", "def test_it_rings():\n    pass\n")
    result = suite.run("--acceptance=everywhere")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(["rulings: 1 of 1 proven, 1 of them by tests alone"])
    suite.change(bell, "test_it_rings", "test_it_hums")
    missing = "features/catalogue.toml R-01 is proven by test_bell.py::test_it_rings, which does not exist: mend"
    suite.refused(missing)
    bell.unlink()
    suite.refused(missing)


def test_a_ruling_that_a_test_proves_for_no_reason(suite: Suite) -> None:
    """A scenario is what people can read, so its absence needs a reason."""
    rule(suite, BY_TESTS.replace("no guest hears it", ""))
    suite.add("test_bell.py", "def test_it_rings():\n    pass\n")
    suite.refused("features/catalogue.toml R-01 is proven by tests without a reason: say why no scenario can carry it")


RERUN = """
pytest_plugins = ["tests.acceptance.plugin"]

from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = any(report.failed for report in reports)
    for report in reports:
        if failed:
            report.outcome = "rerun"
        item.ihook.pytest_runtest_logreport(report=report)
    if failed:
        item._initrequest()
        runtestprotocol(item, nextitem=nextitem)
    return True
"""


@pytest.mark.parametrize("where", ["a guest comes", "the guest is greeted"])
def test_a_scenario_that_passes_when_it_is_run_again(suite: Suite, where: str) -> None:
    """As by pytest-rerunfailures: it proves nothing, and the first failure is told."""
    suite.add("conftest.py", RERUN)
    step = f'("{where}")\ndef _():\n'
    fail_once = "    runs.append(1)\n    assert len(runs) > 1, 'the door was shut'\n"
    suite.change(suite.steps, f"{step}    pass\n", step + fail_once)
    suite.change(suite.steps, "import pytest\n", "import pytest\nruns = []\n")
    suite.refused(f'{FILE}:10 "A guest is greeted": failed (it passed when it was run again, after: ')


# What pytest-bdd lets pass


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        ("utf-8-sig", "begins with a byte order mark, which pytest-bdd takes for text: save it without one"),
        ("utf-16", "is not UTF-8: save it as UTF-8"),
        ("latin-1", "is not UTF-8: save it as UTF-8"),
    ],
)
def test_a_file_of_another_encoding(suite: Suite, encoding: str, problem: str) -> None:
    """It is named."""
    suite.feature.write_bytes(FEATURE.replace("Bonjour", "Enchanté").encode(encoding))
    result = suite.run("--acceptance=here")
    assert result.ret != PASSED
    result.stdout.fnmatch_lines([f"✘ {FILE} {problem}"])


def test_two_scenarios_with_one_name(suite: Suite) -> None:
    """The first vanishes, even if it fails."""
    twin = FEATURE[FEATURE.index("    @AC-001") : FEATURE.index("    @AC-001\n    Scenario Outline")]
    first = twin.replace("the guest is greeted", "the guest hears nothing")
    suite.feature.write_text(FEATURE.replace(twin, first + twin), "utf-8")
    suite.refused(
        f'{FILE}:16 "A guest is greeted" is the name of the scenario at line 10 too, which pytest-bdd drops: rename',
        f'{FILE}:10 "A guest is greeted": not run (it was not collected',
    )


@pytest.mark.filterwarnings("ignore:coroutine")
def test_an_async_step(suite: Suite) -> None:
    """It is never awaited, so it can't fail."""
    suite.change(suite.steps, "def _(words):", "async def _(words):")
    suite.change(suite.steps, "assert words in", "assert words not in")
    line = STEPS[: STEPS.index("@then(parsers")].count("\n") + 1
    suite.refused(
        f'test_features.py:{line} "the guest hears {{words}}" is async, and pytest-bdd never awaits it: write'
    )


def test_a_scenario_without_steps(suite: Suite) -> None:
    """Nothing in it can fail."""
    suite.feature.write_text(FEATURE + "\n    @AC-001\n    Scenario: A guest leaves\n", "utf-8")
    suite.refused(f'{FILE}:27 "A guest leaves" has no steps, and passes whatever happens: write them, or delete it')


def test_two_definitions_that_match_one_step(suite: Suite) -> None:
    """The last wins."""
    suite.steps.write_text(STEPS + '\n@then(parsers.parse("the guest {does}"))\ndef _(does):\n    pass\n', "utf-8")
    result = suite.refused(f'{FILE}:10 "the guest is greeted" has two meanings, and pytest-bdd takes the last: make ')
    result.stdout.fnmatch_lines(["*make test_features.py:15 and test_features.py:23 differ"])


def test_a_feature_that_nothing_binds(suite: Suite) -> None:
    """It never runs, and nothing says so."""
    other = FEATURE.replace("@US-1\n", "").replace("Greeting guests", "Seeing guests off")
    suite.add("features/seeing_guests_off.feature", other.replace("A guest ", "A friend "))
    suite.change(suite.steps, 'scenarios(".")', 'scenarios("greeting_guests.feature")')
    text = "features/seeing_guests_off.feature:1 is bound by no scenarios(), and never runs: bind it in a test module"
    suite.refused(text)


def test_examples_without_rows(suite: Suite) -> None:
    """They run once, with the placeholders."""
    suite.change(suite.feature, "        | Welcome  | English |\n        | Bonjour  | French  |\n", "")
    suite.change(suite.steps, "assert words in", "assert words not in")
    suite.refused(
        f'{FILE}:21 are Examples without rows, so "A guest hears <words>" shows nothing: add a row',
        f"{FILE}:16 runs with its <placeholders>, for its Examples have no rows: add a row",
    )


def test_an_outline_without_examples(suite: Suite) -> None:
    """It runs as a plain scenario, with the placeholders."""
    suite.feature.write_text(FEATURE[: FEATURE.index("      Examples")], "utf-8")
    suite.change(suite.steps, "assert words in", "assert words not in")
    text = "is an outline without Examples, and runs as it stands: add them, or call it a Scenario"
    suite.refused(f'{FILE}:16 "A guest hears <words>" {text}')


def test_a_definition_that_no_scenario_uses(suite: Suite) -> None:
    """It is dead, and nothing says so."""
    suite.steps.write_text(STEPS + '\n@given("a garden")\ndef _():\n    pass\n', "utf-8")
    suite.refused('test_features.py:23 "a garden" is used by no scenario: use it, or delete it')


def test_a_skip_inside_a_step(suite: Suite) -> None:
    """No count says that something is missing."""
    suite.change(suite.steps, "assert words in", 'pytest.skip("no time"); assert words in')
    result = suite.refused(f'{FILE}:23 "A guest hears Welcome": skipped (no time); a skipped scenario proves nothing')
    result.stdout.fnmatch_lines(["✘ AC-001*not proven*1 passed, 2 skipped"])


def test_a_skip_that_pretends_to_want_a_tool(suite: Suite) -> None:
    """Only a mark lets a scenario off, not what a skip says."""
    suite.change(suite.steps, "assert words in", 'pytest.skip("not run here: needs a-doorbell"); assert words in')
    suite.refused(f'{FILE}:23 "A guest hears Welcome": skipped')


def test_the_cucumber_json_report(suite: Suite) -> None:
    """It drops what was skipped, and with xdist everything."""
    suite.refused("--cucumberjson drops skipped scenarios", options=("--cucumberjson=report.json",))


# What takes a scenario out of the run


def test_a_scenario_that_is_expected_to_fail(suite: Suite) -> None:
    """It may not count as proof."""
    suite.add(
        "conftest.py",
        """
import pytest
pytest_plugins = ["tests.acceptance.plugin"]
def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.xfail(reason="later"))
""",
    )
    suite.change(
        suite.steps,
        '@then("the guest is greeted")\ndef _():\n    pass',
        '@then("the guest is greeted")\ndef _():\n    assert 0',
    )
    result = suite.refused(f'{FILE}:10 "A guest is greeted": expected to fail')
    result.stdout.fnmatch_lines(["✘ AC-001*not proven*2 passed, 1 expected to fail"])


def test_a_scenario_that_passes_where_it_is_expected_to_fail(suite: Suite) -> None:
    """It may fail tomorrow, and nobody would know."""
    suite.add(
        "conftest.py",
        """
import pytest
pytest_plugins = ["tests.acceptance.plugin"]
def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.xfail(reason="later", strict=False))
""",
    )
    suite.refused(f'{FILE}:10 "A guest is greeted": expected to fail')


def test_a_tag_that_skips(suite: Suite) -> None:
    """A tag becomes a mark, this one too."""
    suite.change(suite.feature, "    @AC-001\n    Scenario: A guest", "    @AC-001 @skip\n    Scenario: A guest")
    suite.refused(
        f'{FILE}:10 "A guest is greeted": skipped', f'{FILE}:10 "A guest is greeted" carries @skip, which the'
    )


@pytest.mark.parametrize(
    "options", [("-k", "hears"), ("-m", "not AC-001"), ("--deselect", "test_features.py::test_a_guest_is_greeted")]
)
def test_a_selection_can_not_pass_the_gate(suite: Suite, options: tuple[str, ...]) -> None:
    """What was not run is not proven."""
    result = suite.run("--acceptance=here", *options)
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(
        [
            "· AC-001*not run*",
            f'✘ {FILE}:10 "A guest is greeted": not run (it was deselected, or the run ended before)*',
        ]
    )


def test_a_selection_prints_the_matrix_as_not_run(suite: Suite) -> None:
    """Who runs a part is told so, and not scolded."""
    result = suite.run("-k", "greeted")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(["*0 of 1 criteria proven*", "· AC-001*not run*1 passed, 2 not run"])
    result.stdout.no_fnmatch_line("✘*")


def test_a_run_of_another_file_can_not_pass_the_gate(suite: Suite) -> None:
    """The features are the truth, not what was collected."""
    suite.add("test_other.py", "def test_other(): pass")
    result = suite.run("--acceptance=here", "test_other.py")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines([f"✘ {FILE}:1 is bound by no scenarios(), *"])


def test_no_tests_at_all_can_not_pass_the_gate(suite: Suite) -> None:
    """An empty run proves nothing."""
    suite.steps.unlink()
    assert suite.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert suite.run("--acceptance=here").ret == FAILED


def test_a_scenario_that_breaks_after_its_steps_has_not_passed(suite: Suite) -> None:
    """A fixture that breaks in its teardown breaks the scenario."""
    suite.steps.write_text(STEPS.replace("def _(words):", "def _(words, broom):") + BROOM, "utf-8")
    result = suite.run("--acceptance=here")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["✘ AC-001*not proven*1 passed, 2 failed"])


BROOM = """
@pytest.fixture
def broom():
    yield
    raise RuntimeError("broken broom")
"""


# The catalogue


def test_a_tag_that_the_catalogue_does_not_have(suite: Suite) -> None:
    """With --strict-markers pytest refuses it too."""
    suite.change(suite.feature, "@AC-001\n    Scenario: A guest", "@AC-001 @AC-008\n    Scenario: A guest")
    result = suite.run("--acceptance=here")
    assert result.ret != PASSED
    said = f'{FILE}:10 "A guest is greeted" carries @AC-008, which the catalogue does not have: mend the tag, or add it'
    assert said in str(result.stdout)
    result.stdout.fnmatch_lines(["*'AC-008' not found in `markers` configuration option*"])


def test_a_tag_that_the_catalogue_does_not_have_where_markers_are_not_strict(suite: Suite) -> None:
    """The gate does not lean on an option of pytest."""
    suite.change(suite.pytester.path / "pytest.ini", "--strict-markers", "-W ignore")
    suite.change(suite.feature, "@AC-001\n    Scenario: A guest", "@AC-001 @AC-008\n    Scenario: A guest")
    suite.refused(f'{FILE}:10 "A guest is greeted" carries @AC-008, which the catalogue does not have')


def test_a_criterion_without_a_scenario(suite: Suite) -> None:
    """A promise that nobody wrote down as a scenario is not kept."""
    suite.catalogue.write_text(
        suite.catalogue.read_text() + '\n[criteria.AC-002]\nname = "Farewell"\npromise = "guests are seen off"\n'
    )
    result = suite.refused("features/catalogue.toml AC-002 has no scenario: write one with the tag @AC-002")
    result.stdout.fnmatch_lines(["✘ AC-002*not proven*no scenario"])


# Tools from outside Python

RING = """
    @AC-001 @needs-a-doorbell
    Scenario: A guest rings
      Given a house
      When a guest comes
      Then the guest is greeted
"""


def test_a_missing_tool_is_let_off_here(suite: Suite) -> None:
    """On a developer's machine the matrix says what is missing, and what is not run is never called proven."""
    suite.feature.write_text(FEATURE + RING, "utf-8")
    result = suite.run("--acceptance=here", "-rs")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(
        [
            "*1 of 1 criteria proven, 1 of them but for what was not run here*",
            "· AC-001*proven, but for 1 not run here*3 passed",
            f'· not run here: {FILE}:27 "A guest rings" needs a-doorbell',
            f"SKIPPED*{FILE}:27: not run here: needs a-doorbell",
        ]
    )


def test_a_missing_tool_is_let_off_nowhere_else(suite: Suite) -> None:
    """In CI it is not."""
    suite.feature.write_text(FEATURE + RING, "utf-8")
    result = suite.run("--acceptance=everywhere")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(
        [
            "✘ AC-001*not proven*3 passed, 1 not run here",
            f'✘ {FILE}:27 "A guest rings": not run here (*needs a-doorbell); install what it needs',
        ]
    )


def test_a_tool_that_is_there_is_used(suite: Suite) -> None:
    """The tag alone skips nothing."""
    suite.feature.write_text(FEATURE + RING, "utf-8")
    suite.change(suite.catalogue, "no-such-doorbell", "sh")
    result = suite.run("--acceptance=everywhere")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(["✔ AC-001*proven*4 passed"])


def test_a_criterion_that_can_not_be_shown_here_is_not_proven_here(suite: Suite) -> None:
    """At least one scenario must have passed."""
    suite.change(suite.feature, "    @AC-001", "    @AC-001 @needs-a-doorbell")
    result = suite.run("--acceptance=here")
    assert result.ret == FAILED
    text = "AC-001 has only scenarios that can't run here: install what it needs"
    result.stdout.fnmatch_lines([f"✘ features/catalogue.toml {text}"])


@pytest.mark.parametrize(("where", "status"), [("here", PASSED), ("everywhere", FAILED)])
def test_a_plain_test_can_need_a_tool_too(suite: Suite, where: str, status: int) -> None:
    """It is listed, and fails in CI."""
    suite.add("test_bell.py", 'import pytest\n@pytest.mark.needs("a-doorbell")\ndef test_bell(): pass')
    result = suite.run(f"--acceptance={where}")
    assert result.ret == status
    result.stdout.fnmatch_lines(["· not run here: test_bell.py:2 test_bell needs a-doorbell"])
    missing = "✘ test_bell.py:2 test_bell needs a-doorbell, which is missing: buy a doorbell"
    assert (missing in str(result.stdout)) == (status == FAILED)


def test_a_tool_that_the_catalogue_does_not_have_is_a_mistake(suite: Suite) -> None:
    """Else a misspelt need would run a test without it."""
    suite.add("test_bell.py", 'import pytest\n@pytest.mark.needs("a-gong")\ndef test_bell(): pass')
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*features/catalogue.toml does not say what 'a-gong' is*"])


# Several processes


@pytest.mark.parametrize("broken", [False, True])
def test_the_verdict_is_the_same_with_xdist(suite: Suite, broken: bool) -> None:
    """Whether all is well or not."""
    if broken:
        suite.change(suite.steps, '("Welcome", "Bonjour")', '("Welcome",)')
        suite.steps.write_text(suite.steps.read_text() + '\n@given("a garden")\ndef _():\n    pass\n', "utf-8")
        suite.change(suite.feature, "A guest is greeted", "A guest hears Welcome")
    alone = suite.run("--acceptance=everywhere")
    together = suite.run_apart("--acceptance=everywhere", "-n2")

    def verdict(result: pytest.RunResult) -> list[str]:
        return [line for line in result.outlines if line.startswith(("✔", "✘", "·"))]

    assert alone.ret == together.ret == (FAILED if broken else PASSED)
    assert verdict(alone) == verdict(together)
    assert len(verdict(alone)) == (5 if broken else 2)


# What pytest-bdd calls internal


def test_the_registries_of_pytest_bdd_are_there(request: pytest.FixtureRequest) -> None:
    """Breaks first when pytest-bdd changes them: all else in the gate stands on them."""
    root = request.config.rootpath
    found = definitions(root)
    assert any(one.place.startswith("steps/looking.py:") and one.matches(STEP) for one in found)
    keys = {key for item in request.session.items if (key := key_of(item, root))}
    outlined = {key.row for key in keys if key.uri == "features/stories/deleting_tasks.feature"}
    assert not keys or outlined == {0}


STEP = {"type": "Action", "text": 'Alice opens the task "Buy milk"'}
