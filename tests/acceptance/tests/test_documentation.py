"""The Messages are valid, the page shows what was proven, and neither holds a token."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.acceptance.catalogue import Catalogue
from tests.acceptance.page import Words, slug
from tests.acceptance.tests.suite import FEATURE, ROOT, STEPS, Suite
from tests.support.service import SECRET, Service

NODE = ROOT / "tests" / "node"
SCHEMA = NODE / "node_modules" / "@cucumber" / "messages" / "messages.schema.json"

# one scenario of every kind
KINDS = """
  Rule: All kinds of endings are told

    Background:
      Given a house

    @AC-001
    Scenario: A guest fails
      When a guest comes
      Then the guest fails

    @AC-001
    Scenario: A guest is skipped
      When a guest comes
      Then the guest is skipped
      And the guest is greeted

    @AC-001
    Scenario: A guest meets a broken broom
      When a guest comes
      Then the guest sweeps

    @AC-001
    Scenario: A guest is not expected
      When a guest comes
      Then nobody knows the guest
      And the guest is greeted

    @AC-001 @skip
    Scenario: A guest is left out
      When a guest comes
      Then the guest is greeted

    @AC-001
    Scenario: A guest brings things
      When a guest brings:
        | thing | <script>alert(1)</script> |
      Then the guest is greeted

    @AC-001
    Scenario: A guest says something
      When a guest says:
        \"\"\"
        Hello
        \"\"\"
      Then the guest is greeted
"""
KINDS_STEPS = """
import re as regex

@then("the guest fails")
def _():
    assert {"greeted": False} == {"greeted": True}

@then("the guest is skipped")
def _():
    pytest.skip("no time")

@pytest.fixture
def broom():
    yield
    raise RuntimeError("broken broom")

@then("the guest sweeps")
def _(broom):
    pass

@when(parsers.re("a guest brings(?P<colon>:)"))
def _(datatable):
    assert datatable

@when(parsers.re("a guest says(?P<colon>:)"))
def _(docstring):
    assert docstring == "Hello"
"""


def read(path: Path) -> list[dict[str, Any]]:
    """Read Messages."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def of_kind(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Choose the Messages of one kind."""
    return [one[kind] for one in messages if kind in one]


@pytest.fixture
def all_kinds(suite: Suite) -> Suite:
    """A suite with every kind of ending."""
    suite.feature.write_text(FEATURE + KINDS, "utf-8")
    suite.steps.write_text(STEPS + KINDS_STEPS, "utf-8")
    return suite


@pytest.mark.needs("node")
def test_the_messages_are_valid(all_kinds: Suite) -> None:
    """The schema is the official one."""
    path = all_kinds.pytester.path / "build" / "messages.ndjson"
    result = all_kinds.run(f"--messages={path}")
    result.assert_outcomes(passed=6, failed=2, skipped=2, errors=1)
    validator = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    messages = read(path)
    for message in messages:
        validator.validate(message)
    assert {next(iter(message)) for message in messages} >= {"meta", "source", "gherkinDocument", "pickle", "hook"}
    with pytest.raises(Exception, match="'PASST' is not one of"):
        validator.validate(json.loads(json.dumps(messages[-3]).replace('"PASSED"', '"PASST"')))


def test_the_messages_tell_every_scenario_to_its_end(all_kinds: Suite) -> None:
    """Skipped ones too; every id that is named exists."""
    path = all_kinds.pytester.path / "messages.ndjson"
    all_kinds.run(f"--messages={path}")
    messages = read(path)
    pickles = {one["id"]: one for one in of_kind(messages, "pickle")}
    cases = {one["id"]: one for one in of_kind(messages, "testCase")}
    assert sorted(pickles) == sorted(case["pickleId"] for case in cases.values())
    started = {one["id"]: one["testCaseId"] for one in of_kind(messages, "testCaseStarted")}
    assert [one["testCaseStartedId"] for one in of_kind(messages, "testCaseFinished")] == list(started)
    ended: dict[str, list[str]] = {}
    steps = {step["id"] for case in cases.values() for step in case["testSteps"]}
    said: dict[str, str] = {}
    for one in of_kind(messages, "testStepFinished"):
        assert one["testStepId"] in steps
        name = pickles[cases[started[one["testCaseStartedId"]]]["pickleId"]]["name"]
        ended.setdefault(name, []).append(one["testStepResult"]["status"])
        said[name] = said.get(name, "") + one["testStepResult"].get("message", "")
    assert ended == {
        "A guest is greeted": ["PASSED"] * 3,
        "A guest hears Welcome": ["PASSED"] * 3,
        "A guest hears Bonjour": ["PASSED"] * 3,
        "A guest fails": ["PASSED", "PASSED", "FAILED"],
        "A guest is skipped": ["PASSED", "PASSED", "SKIPPED", "SKIPPED"],
        "A guest meets a broken broom": ["PASSED", "PASSED", "PASSED", "FAILED"],
        "A guest is not expected": ["PASSED", "PASSED", "UNDEFINED", "SKIPPED"],
        "A guest is left out": ["SKIPPED", "SKIPPED", "SKIPPED"],
        "A guest brings things": ["PASSED"] * 3,
        "A guest says something": ["PASSED"] * 3,
    }
    assert "{'greeted': False} == {'greeted': True}" in said["A guest fails"]
    assert "no time" in said["A guest is skipped"]
    assert "broken broom" in said["A guest meets a broken broom"]
    assert [one["success"] for one in of_kind(messages, "testRunFinished")] == [False]


def test_a_step_shows_where_its_words_come_from(suite: Suite) -> None:
    """The definition's place and the arguments in the step's text."""
    path = suite.pytester.path / "messages.ndjson"
    suite.run(f"--messages={path}")
    messages = read(path)
    definitions = {one["pattern"]["source"]: one for one in of_kind(messages, "stepDefinition")}
    hears = definitions["the guest hears {words}"]
    line = STEPS[: STEPS.index("@then(parsers")].count("\n") + 1
    assert hears["sourceReference"] == {"uri": "test_features.py", "location": {"line": line}}
    arguments = [
        step["stepMatchArgumentsLists"][0]["stepMatchArguments"][0]["group"]
        for case in of_kind(messages, "testCase")
        for step in case["testSteps"]
        if step["stepDefinitionIds"] == [hears["id"]]
    ]
    assert [(one["start"], one["value"]) for one in arguments] == [(16, "Welcome"), (16, "Bonjour")]


# The page


def rows(page: str) -> dict[str, str]:
    """Read the matrix: each row's kind, mark and status by its id."""
    pattern = r'<tr data-id="([^"]+)".*?<td class="status (\w+)">(. [^<]+)</td>'
    return {id_: f"{kind} {status}" for id_, kind, status in re.findall(pattern, page, re.DOTALL)}


def words_of(html: str) -> str:
    """The text that a reader sees, in one line."""
    apart = re.sub("</(?:dt|h[1-6]|li|p|summary|td)>", " ", html)
    return " ".join(unescape(re.sub("<[^>]+>", "", apart)).split())


def section(page: str, id_: str) -> str:
    """The part of the page with this id, to its end."""
    start = page.index(f'id="{id_}"')
    return page[start : page.index("</section>", start)]


def article(page: str, anchor: str) -> str:
    """A scenario's part of the page."""
    start = page.index(f'<article class="scenario" id="{anchor}"')
    return page[start : page.index("</article>", start)]


@pytest.fixture
def target(suite: Suite) -> Path:
    """Where the page goes."""
    return suite.pytester.path / "build" / "page.html"


TWO_CRITERIA = '\n[criteria.AC-002]\nname = "Farewell"\npromise = "guests are seen <off>"\n'
FAREWELL = """
  Rule: Whoever leaves is seen off

    @AC-002
    Scenario: A guest is seen off
      When a guest comes
      Then the guest hears Farewell
"""


@pytest.fixture
def two_criteria(suite: Suite) -> Suite:
    """A suite with two criteria, one of which falls."""
    suite.catalogue.write_text(suite.catalogue.read_text() + TWO_CRITERIA)
    suite.feature.write_text(FEATURE + FAREWELL, "utf-8")
    return suite


def test_the_page_shows_exactly_what_fell(two_criteria: Suite, target: Path) -> None:
    """The answer first, then one sentence on each failure; it is one file, and the Messages are beside it."""
    result = two_criteria.run(f"--living-documentation={target}", "--acceptance=here")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    page = target.read_text("utf-8")
    assert rows(page) == {"AC-001": "ok ✔ proven", "AC-002": "ko ✘ not proven", "US-1": "ko ✘ not proven"}
    assert "<strong>1 of 2 acceptance criteria are proven</strong>" in page
    assert "1 of 4 scenarios failed." in page
    assert "guests are seen &lt;off&gt;" in page
    assert 'features/greeting_guests.feature:29 "A guest is seen off": failed' in unescape(page)
    came = "this does not hold: 'Farewell' in ('Welcome', 'Bonjour')"
    sentence = f"Expected: “Then the guest hears Farewell”. What came: {came}."
    assert words_of(section(page, "failures")).endswith(f"What failed A guest is seen off: {sentence}")
    assert '<a href="#scenario-a-guest-is-seen-off">' in section(page, "failures")
    assert page.index('id="failures"') < page.index('id="criteria"') < page.index('id="features"')
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert path_of_messages(target).exists()


def path_of_messages(target: Path) -> Path:
    """Beside the page."""
    return target.with_name("messages.ndjson")


LEGEND = "✔ passed, or proven; ✘ failed, or not proven; · not run, not measured, or only a part of it."
ENDINGS = {
    "A guest fails": "Then the guest fails”. What came: {'greeted': False}, not {'greeted': True}.",
    "A guest meets a broken broom": "everything is as it should be at the end”. What came: RuntimeError: broken broom.",
    "A guest is not expected": "Then nobody knows the guest”. What came: no code stands behind this step.",
}


def test_each_kind_of_failure_is_one_sentence(all_kinds: Suite, target: Path) -> None:
    """What was expected, and what came; what pytest says is folded; nothing is executed."""
    all_kinds.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    listed = words_of(section(page, "failures"))
    for name, sentence in ENDINGS.items():
        assert f"{name}: Expected: “{sentence}" in listed
    assert page.count("<summary>Traceback</summary>") == len(ENDINGS)
    failed = words_of(article(page, "scenario-a-guest-is-not-expected"))
    assert "And the guest is greeted · not reached" in failed
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in article(page, "scenario-a-guest-brings-things")
    assert "Hello" in article(page, "scenario-a-guest-says-something")
    skipped = article(page, "scenario-a-guest-is-skipped")
    assert "skipped: no time" in words_of(skipped)
    assert "ko" not in re.findall(r'class="(\w+)"', skipped)


def test_what_was_not_run_has_not_failed(two_criteria: Suite, target: Path) -> None:
    """It is marked otherwise, and the page says that a part was run."""
    two_criteria.run(f"--living-documentation={target}", "-k", "greeted")
    page = target.read_text("utf-8")
    assert rows(page) == {"AC-001": "open · not run", "AC-002": "open · not run", "US-1": "open · not run"}
    assert "This was a run of a part: of 4 scenarios 3 did not run." in page
    assert "✘" not in words_of(page).replace(LEGEND, "")
    assert 'id="failures"' not in page


def test_what_could_not_run_here_is_not_called_proven(suite: Suite, target: Path) -> None:
    """A criterion is proven but for it, and no mark says that all is well."""
    suite.feature.write_text(FEATURE + FAREWELL.replace("@AC-002", "@AC-001 @needs-a-doorbell"), "utf-8")
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    assert rows(page)["AC-001"] == "open · proven, but for 1 not run here"
    assert words_of(page).count("1 of 1 acceptance criteria are proven (AC-001: but for what was not run here)") == 1
    assert "1 of 4 scenarios could not run here." in page


def test_the_page_says_that_other_tests_failed(suite: Suite, target: Path) -> None:
    """A page with everything proven would hide it."""
    suite.add("test_other.py", "def test_it():\n    assert False\n\ndef test_that():\n    pass\n")
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    assert "<strong>1 of 1 acceptance criteria are proven</strong>" in page
    assert "The run failed: 1 other test." in page
    assert "test_other.py::test_it" in section(page, "failures")
    suite.add("test_other.py", "def test_that():\n    pass\n")
    suite.run(f"--living-documentation={target}")
    assert "All 3 scenarios passed, and so did 1 other tests." in target.read_text("utf-8")
    suite.add("test_broken.py", "import nothing_of_this_name\n")
    suite.run(f"--living-documentation={target}", "--continue-on-collection-errors")
    assert "The run failed: 1 other test." in target.read_text("utf-8")


def test_other_tests_are_counted_with_xdist(suite: Suite, target: Path) -> None:
    """They run, and are collected, in other processes."""
    suite.add("test_other.py", "def test_it():\n    assert False\n")
    suite.add("test_broken.py", "import nothing_of_this_name\n")
    suite.run_apart(f"--living-documentation={target}", "-n2", "--continue-on-collection-errors")
    assert "The run failed: 2 other tests." in target.read_text("utf-8")


def test_an_outline_is_a_table(suite: Suite, target: Path) -> None:
    """With the result and the reason of each row, and what was sent and answered below it."""
    suite.change(suite.steps, '("Welcome", "Bonjour")', '("Welcome",)')
    suite.run(f"--living-documentation={target}")
    outline = article(target.read_text("utf-8"), "scenario-a-guest-hears-words")
    header = re.findall(r'<th scope="col">(\w+)</th>', outline)
    assert header == ["words", "why", "result"]
    read_rows = re.findall(r'<tr id="([^"]+)" data-item data-scenario>(.*?)</tr>', outline, re.DOTALL)
    assert [(anchor, words_of(row)) for anchor, row in read_rows] == [
        ("scenario-a-guest-hears-welcome", "Welcome English ✔ passed"),
        ("scenario-a-guest-hears-bonjour", "Bonjour French ✘ failed"),
    ]
    assert "In any language" in outline
    assert "Then the guest hears &lt;words&gt;" in re.sub("</?b>", "", outline)
    assert "Then the guest hears Bonjour ✘ failed" in words_of(outline)


UNFINISHED = """
  Rule: Everything is written down

    @AC-001
    Scenario: Nothing happens

    @AC-001
    Scenario Outline: A guest hears <nothing>
      Given a house

    @AC-001
    Scenario Outline: A guest hears <no> words
      Given a house

      Examples: None
        | no |

  Rule: Nothing is promised yet
"""


def test_what_is_unfinished_is_shown_all_the_same(suite: Suite, target: Path) -> None:
    """The gate says what is missing; the page is made."""
    suite.feature.write_text(FEATURE + UNFINISHED, "utf-8")
    suite.add("features/empty.feature", "")
    suite.add("features/loose.feature", "Feature: Loose\n  @AC-001\n  Scenario: On its own\n    Given a house\n")
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    for name in ("Nothing happens", "A guest hears <nothing>", "A guest hears <no> words", "On its own"):
        assert f">{escape(name)}</h5>" in page
    assert "must be mended" in section(page, "problems")


RULINGS = """
[rulings]
R-01 = "whoever rings is heard"
[rulings.R-02]
promise = "the bell is <polished>"
proven-by = ["test_bell.py::test_it_shines"]
because = "no guest looks at it"
"""


def test_the_page_shows_how_each_ruling_is_proven(suite: Suite, target: Path) -> None:
    """A link to its scenarios, or the tests and the reason; those that tests alone prove are named first."""
    suite.catalogue.write_text(suite.catalogue.read_text() + RULINGS)
    suite.add("test_bell.py", "def test_it_shines():\n    pass\n")
    suite.change(suite.feature, "      Examples: In", "      @R-01\n      Examples: In")
    assert suite.run(f"--living-documentation={target}", "--acceptance=here").ret == pytest.ExitCode.OK
    page = target.read_text("utf-8")
    assert rows(page) == {
        "AC-001": "ok ✔ proven",
        "US-1": "ok ✔ proven",
        "R-01": "ok ✔ proven",
        "R-02": "ok ✔ proven by tests",
    }
    rulings = section(page, "rulings")
    assert '<a href="#scenario-a-guest-hears-words">A guest hears &lt;words&gt;</a>' in rulings
    assert "the bell is &lt;polished&gt;" in rulings
    assert "test_bell.py::test_it_shines, because no guest looks at it" in rulings
    assert "2 of 2 decisions of the specification are proven; 1 of them by tests alone: R-02." in words_of(rulings)


PROMISE = """Feature: Keeping the door
  Nobody comes in unseen, not even a friend.

  Rule: The door is locked

    @AC-001
    Scenario: A door is locked
      When a guest comes
      Then the guest is greeted
"""
WORDS = """
[subjects]
"Privacy" = "keeping_the_door.feature"
[outside]
"Sweeping" = "The <neighbour> does it."
[glossary]
"Friend" = "whoever has been here \\"before\\""
"""


def test_promises_have_a_table_and_words_are_explained(suite: Suite, target: Path) -> None:
    """What is no story is a promise; the catalogue has its subject, the glossary, and what is not done."""
    suite.add("features/keeping_the_door.feature", PROMISE)
    suite.catalogue.write_text(suite.catalogue.read_text() + WORDS)
    assert suite.run(f"--living-documentation={target}").ret == pytest.ExitCode.OK
    page = target.read_text("utf-8")
    promises = section(page, "promises")
    assert "Privacy: Keeping the door" in words_of(promises)
    assert '<a href="#rule-the-door-is-locked">The door is locked</a></td><td class="status ok">✔ proven' in promises
    assert "Whoever comes" not in promises
    assert words_of(section(page, "outside")).endswith("Sweeping The <neighbour> does it.")
    link = '<a class="word" href="#word-friend" title="whoever has been here &#34;before&#34;">friend</a>'
    assert f"not even a {link}." in page
    assert 'id="word-friend"' in section(page, "glossary")


def test_the_page_says_what_it_is_of(suite: Suite, target: Path) -> None:
    """The product's name and one sentence come first; without them it says what kind of page it is."""
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    assert "<title>Living documentation</title>" in page
    assert "<h1>Living documentation</h1>" in page
    suite.catalogue.write_text('product = "The Inn"\nabout = "a house for <guests>"\n' + suite.catalogue.read_text())
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    assert "<title>The Inn: a house for &lt;guests&gt;</title>" in page
    assert "The Inn: a house for <guests>" in words_of(page[page.index("<h1>") : page.index("</h1>")])


def test_the_contents_list_leads_to_every_section(two_criteria: Suite, target: Path) -> None:
    """In their order; what is not there is not listed."""
    two_criteria.add("features/keeping_the_door.feature", PROMISE)
    two_criteria.catalogue.write_text(two_criteria.catalogue.read_text() + WORDS + RULINGS)
    for options in [("--acceptance=everywhere",), ("-k", "greeted")]:
        two_criteria.run(f"--living-documentation={target}", *options)
        page = target.read_text("utf-8")
        contents = page[page.index("<nav") : page.index("</nav>")]
        assert re.findall('href="#([^"]+)"', contents) == re.findall('<section id="([^"]+)"', page)
        assert ("What failed" in contents) == ("--acceptance=everywhere" in options)


def test_backticks_are_code_and_a_needed_tool_is_no_tag(suite: Suite, target: Path) -> None:
    """What is written for programmers is not shown as they write it."""
    door = PROMISE.replace("not even a friend", "not by `knock` either").replace("@AC-001", "@AC-001 @needs-a-doorbell")
    suite.add("features/keeping_the_door.feature", door)
    words = WORDS.replace("whoever has been here", "who has a `key`").replace("The <neighbour>", "`<neighbour>`")
    rulings = RULINGS.replace("whoever rings", "`ring`").replace("no guest", "no `guest`")
    measured = MEASURED.replace("all is", "`all` is")
    suite.catalogue.write_text(suite.catalogue.read_text() + words + rulings + measured)
    suite.change(suite.catalogue, "buy a doorbell", "run `buy`")
    suite.run(f"--living-documentation={target}", "--acceptance=everywhere")
    page = target.read_text("utf-8")
    body = page[page.index("<body>") : page.index("<script>")]
    shown = ("knock", "key", "&lt;neighbour&gt;", "ring", "guest", "all", "buy")
    assert [word for word in shown if f"<code>{word}</code>" not in body] == []
    assert "`" not in body
    assert "needs-a-doorbell" not in words_of(body)


def test_the_page_says_what_the_marks_mean(suite: Suite, target: Path) -> None:
    """In one line at the criteria."""
    suite.run(f"--living-documentation={target}")
    assert LEGEND in words_of(section(target.read_text("utf-8"), "criteria"))


def test_every_word_of_the_glossary_occurs() -> None:
    """In the project's own features, or its rulings: what nobody reads needs no explanation."""
    catalogue = Catalogue.read(ROOT / "features", ROOT)
    texts = [path.read_text("utf-8") for path in (ROOT / "features").rglob("*.feature")]
    texts += [ruling.promise for ruling in catalogue.rulings.values()]
    linked = str(Words(catalogue.glossary).link("\n".join(texts), set()))
    assert len(catalogue.glossary) == 15
    assert {word for word in catalogue.glossary if f'href="#word-{slug(word)}"' not in linked} == set()
    assert {uri for uri in catalogue.subjects.values() if not (ROOT / uri).is_file()} == set()


def test_the_page_needs_neither_node_nor_git(suite: Suite, target: Path) -> None:
    """Python makes it."""
    suite.pytester._monkeypatch.setenv("PATH", "")
    assert suite.run(f"--living-documentation={target}").ret == pytest.ExitCode.OK
    page = target.read_text("utf-8")
    assert "no commit" in page
    said = "Nothing was compared: no release and no main branch is at hand. To compare: make docs SINCE=COMMIT"
    assert f"What changed {said}" in words_of(section(page, "changes"))


MEASURED = """
[criteria.AC-009]
name = "Coverage"
promise = "all is measured"
[criteria.AC-009.coverage]
least = 90
whole = ["app/auth.py"]
"""


def test_coverage_that_was_not_measured_is_no_failure(suite: Suite, target: Path) -> None:
    """`make docs` runs the scenarios alone."""
    suite.catalogue.write_text(suite.catalogue.read_text() + MEASURED)
    suite.run(f"--living-documentation={target}")
    page = target.read_text("utf-8")
    assert rows(page)["AC-009"] == "open · not measured in this run"
    assert "1 of 2 acceptance criteria are proven (AC-009: not measured in this run)" in words_of(page)


def test_the_page_says_what_coverage_must_reach(suite: Suite, target: Path) -> None:
    """Such a criterion needs no scenario, which is what the line below the criteria says of the others."""
    suite.catalogue.write_text(suite.catalogue.read_text() + MEASURED)
    suite.run(f"--living-documentation={target}")
    criteria = section(target.read_text("utf-8"), "criteria")
    bars = "at least 90 % of the lines and of the branches, and all of app/auth.py"
    assert f"AC-009 is proven by the coverage of the same run instead: the tests must run {bars}." in words_of(criteria)
    suite.catalogue.write_text(suite.catalogue.read_text().replace('whole = ["app/auth.py"]', ""))
    suite.run(f"--living-documentation={target}")
    assert "and of the branches." in words_of(section(target.read_text("utf-8"), "criteria"))


def test_titles_are_addresses() -> None:
    """Of letters and digits in any language."""
    assert slug("Another's task can't be seen: \"über\" <what>!") == "anothers-task-cant-be-seen-über-what"


def test_the_same_title_has_an_address_of_its_own(suite: Suite, target: Path) -> None:
    """Else a link would lead to another scenario."""
    suite.add("features/meeting_guests.feature", FEATURE.replace("Greeting", "Meeting"))
    suite.run(f"--living-documentation={target}")
    ids = re.findall(r'\sid="?([^"\s>]+)', target.read_text("utf-8"))
    assert len(ids) == len(set(ids))
    assert {"feature-meeting-guests", "rule-whoever-comes-is-greeted-2", "scenario-a-guest-is-greeted-2"} <= set(ids)


@pytest.fixture
def in_folders(suite: Suite) -> Suite:
    """Features in folders, whose order is not that of their names."""
    text = suite.catalogue.read_text("utf-8").replace('US-1 = "be greeted"', 'US-1 = "be greeted"\nUS-2 = "be fed"')
    suite.catalogue.write_text('folders = ["stories", "promises"]\n' + text, "utf-8")
    for folder, story, deed in (
        ("stories", "@US-1", "Greeting"),
        ("stories", "@US-2", "Feeding"),
        ("promises", "", "Admitting"),
        ("stories", "", "Keeping"),
    ):
        text = FEATURE.replace("@US-1", story).replace("Greeting", deed).replace("A guest ", f"A guest, {deed}, ")
        suite.add(f"features/{folder}/{deed.lower()}_guests.feature", text)
    suite.change(suite.feature, "@US-1", "")
    suite.change(suite.feature, "Greeting", "Waiting for")
    suite.feature.rename(suite.feature.with_name("waiting_for_guests.feature"))
    return suite


IN_ORDER = [
    "features/stories/greeting_guests.feature",
    "features/stories/feeding_guests.feature",
    "features/stories/keeping_guests.feature",
    "features/promises/admitting_guests.feature",
    "features/waiting_for_guests.feature",
]


def test_features_come_in_the_order_of_the_catalogue(in_folders: Suite) -> None:
    """By folder and by story; what is in no folder of the catalogue comes last."""
    path = in_folders.pytester.path / "messages.ndjson"
    in_folders.run(f"--messages={path}")
    assert [one["uri"] for one in of_kind(read(path), "gherkinDocument")] == IN_ORDER


# a step with a request and its answer
ANSWERED = """
import httpx

from tests.acceptance.evidence import attach

@given("a house")
def _():
    request = httpx.Request("POST", "http://inn/rooms", json={"name": "attic"})
    attach(httpx.Response(201, request=request, json={"number": 7}))
"""


@pytest.mark.needs("node", "chromium")
def test_the_page_works_in_a_browser(two_criteria: Suite, target: Path) -> None:
    """Offline, light and dark, at two widths: the matrix, every link, the search, Back, print, and axe-core."""
    two_criteria.steps.write_text(STEPS.replace('@given("a house")\ndef _():\n    pass\n', ANSWERED), "utf-8")
    two_criteria.add("features/keeping_the_door.feature", PROMISE)
    two_criteria.catalogue.write_text(two_criteria.catalogue.read_text() + WORDS)
    two_criteria.run(f"--living-documentation={target}")
    seen = look(target)
    assert (seen.returncode, seen.stderr) == (0, "")


BREAKS = [
    ("#search=AC-002", "#search=AC-009", "the link AC-009 shows nothing"),
    ('href="#scenario-a-guest-is-seen-off"', 'href="#scenario-gone"', "the link #scenario-gone leads nowhere"),
    ("<h2>User stories</h2>", "<h2>" + "wide" * 200 + "</h2>", "too wide"),
    ("</body>", "<script>console.error('a fly')</script></body>", "the console says: a fly"),
    ("</body>", "<script>nothing.there</script></body>", "the page fails: nothing is not defined"),
    ("</body>", '<img src="https://example.org/fly.png"></body>', "the page asks for https://example.org/fly.png"),
    ("--ok: #0a6b2d", "--ok: #9adbad", "axe: color-contrast"),
    ("details.open = true", "details.title = 1", "is not printed"),
]
POLICY = re.compile(r"<meta http-equiv=.*>\n")


@pytest.mark.needs("node", "chromium")
def test_a_broken_page_is_noticed(two_criteria: Suite, target: Path) -> None:
    """Else the look would say nothing."""
    two_criteria.run(f"--living-documentation={target}")
    page = target.read_text("utf-8").replace("overflow-wrap: anywhere", "")
    page = POLICY.sub("", page)
    for old, new, _ in BREAKS:
        assert old in page
        page = page.replace(old, new)
    target.write_text(page, "utf-8")
    seen = look(target)
    assert seen.returncode == 1
    for *_, complaint in BREAKS:
        assert complaint in seen.stderr


def look(page: Path) -> subprocess.CompletedProcess[str]:
    """Open the page as a stakeholder does."""
    command = ["node", str(NODE / "look-at-page.mjs"), str(page), str(page.parent / "pictures")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603 - our own script


# Tokens

LEAKS = """
import json
import httpx
import jwt
import pytest
from pathlib import Path
from pytest_bdd import given, scenarios, then, when
from tests.acceptance.evidence import attach
from tests.support.people import Person
from tests.support.service import SECRET
from tests.support.tokens import token

scenarios(".")
URL = Path("url").read_text()
ISSUED = Path("issued")

def issue(user):
    bearer = token(user)
    with ISSUED.open("a") as file:
        file.write(bearer + "\\n")
    return bearer

def send(bearer):
    headers = {"authorization": f"Bearer {bearer}", "cookie": bearer, "x-copy": bearer}
    body = {"title": bearer, "parts": bearer.split(".")}
    answer = attach(httpx.post(URL + "/api/alice/tasks?copy=" + bearer, headers=headers, json=body))
    attach(httpx.get(URL + "/api/alice/tasks", headers=headers))
    return answer

@given("a house")
def _():
    print(issue("alice"), SECRET)

@when("a guest comes", target_fixture="bearer")
def _():
    bearer = issue("alice")
    assert send(bearer).status_code == 422
    return bearer

@then("the guest is greeted")
def _(bearer):
    parts = bearer.split(".")
    everything = {"authorization": f"Bearer {bearer}", "parts": parts, "secret": SECRET}
    print(everything, parts[2])
    assert everything == {}, (bearer, parts, SECRET)

@then("the guest hears Welcome")
def _(bearer):
    alice = Person("Alice", None, issue("alice"))
    raise RuntimeError(f"{alice} {alice.token} {bearer[-43:]} {json.dumps(bearer)} {bearer.encode()}")

@then("the guest hears Bonjour")
def _(bearer):
    # nobody declared this one a secret
    stranger = jwt.encode({"sub": "mallory"}, "mallory-" * 8)
    ISSUED.open("a").write(stranger + "\\n")
    attach(httpx.get(URL + "/health", headers={"x-copy": stranger}))
    print(f"{stranger} {[stranger]}")
    assert bearer.split(".")[2] == bearer.split(".")[1]
"""


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["alone", "with xdist"])
def test_a_failing_run_keeps_every_token_to_itself(suite: Suite, service: Service, options: tuple[str, ...]) -> None:
    """In the Messages, in the page, and in what pytest prints."""
    suite.steps.write_text(LEAKS, "utf-8")
    suite.add("url", service.url)
    suite.add("house", "")
    path = suite.pytester.path / "page.html"
    result = suite.run_apart(f"--living-documentation={path}", "--showlocals", "-rA", *options)
    result.assert_outcomes(failed=3)
    messages = read(path.with_name("messages.ndjson"))
    issued = (suite.pytester.path / "issued").read_text().split()
    assert len(issued) == 8
    page = path.read_text("utf-8")
    texts = [*strings(messages), *attachments(messages), page, str(result.stdout), str(result.stderr)]
    secrets = {SECRET, *(part for token in issued for part in (token, *token.split(".")))}
    # pytest shortens a long text in the middle
    for secret in secrets | {secret[:12] for secret in secrets} | {secret[-12:] for secret in secrets}:
        assert not [text for text in texts if secret in text], secret
    # and yet all of it was there to be told
    shown = "\n".join(attachments(messages))
    assert len(attachments(messages)) == 7
    for told in ("POST /api/alice/tasks?copy=[redacted]", "authorization: Bearer [redacted]", "422 Unprocessable"):
        assert told in shown
        assert told in page
    assert "RuntimeError: Person(name='Alice'" in "\n".join(strings(messages))


def strings(said: Any) -> Iterator[str]:
    """Find every string in a JSON value."""
    if isinstance(said, str):
        yield said
    for one in said.values() if isinstance(said, dict) else said if isinstance(said, list) else []:
        yield from strings(one)


def attachments(messages: list[dict[str, Any]]) -> list[str]:
    """Decode every attachment."""
    return [
        base64.b64decode(one["body"]).decode() if one["contentEncoding"] == "BASE64" else one["body"]
        for one in of_kind(messages, "attachment")
    ]
