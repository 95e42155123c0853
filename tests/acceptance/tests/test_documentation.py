"""The Messages are valid, the page shows what was proven, and neither holds a token."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

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
    """Read the matrix: each row's status and its mark by its id."""
    found = re.findall(r'<tr data-id="([^"]+)">.*?<td class="status (\w+)">(. [\w ]+)</td>', page)
    return {id_: f"{kind} {status}" for id_, kind, status in found}


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


@pytest.mark.needs("node")
def test_the_page_shows_exactly_what_fell(two_criteria: Suite) -> None:
    """The matrix first, the official report after it."""
    path = two_criteria.pytester.path / "build" / "page.html"
    result = two_criteria.run(f"--living-documentation={path}", "--acceptance=here")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    page = path.read_text("utf-8")
    assert rows(page) == {"AC-001": "ok ✔ proven", "AC-002": "ko ✘ not proven", "US-1": "ko ✘ not proven"}
    assert "<strong>1 of 2 acceptance criteria are proven</strong>" in page
    assert "guests are seen &lt;off&gt;" in page
    assert 'features/greeting_guests.feature:29 "A guest is seen off": failed' in unescape(page)
    assert page.index('<section id="acceptance">') < page.index('<div id="content">') < page.index("CUCUMBER_MESSAGES")
    assert not re.search(r'(?:src|href)="https?:', page[: page.index("CUCUMBER_MESSAGES")])
    assert path.with_name("messages.ndjson").exists()


@pytest.mark.needs("node")
def test_the_page_shows_how_each_ruling_is_proven(suite: Suite) -> None:
    """A link to its scenarios, or the tests and the reason."""
    rulings = """
[rulings]
R-01 = "whoever rings is heard"
[rulings.R-02]
promise = "the bell is <polished>"
proven-by = ["test_bell.py::test_it_shines"]
because = "no guest looks at it"
"""
    suite.catalogue.write_text(suite.catalogue.read_text() + rulings)
    suite.add("test_bell.py", "def test_it_shines():\n    pass\n")
    suite.change(suite.feature, "  Rule: Whoever", "  @R-01\n  Rule: Whoever")
    path = suite.pytester.path / "build" / "page.html"
    assert suite.run(f"--living-documentation={path}", "--acceptance=here").ret == pytest.ExitCode.OK
    page = path.read_text("utf-8")
    assert rows(page) == {"AC-001": "ok ✔ proven", "US-1": "ok ✔ proven", "R-01": "ok ✔ proven", "R-02": "ok ✔ proven"}
    assert '<a href="?query=%40R-01#content">R-01</a>' in page
    assert "the bell is &lt;polished&gt;" in page
    assert "test_bell.py::test_it_shines, because no guest looks at it" in page


def test_without_node_one_sentence_says_what_to_install(suite: Suite) -> None:
    """The Messages are written all the same, and the run does not pretend to have made the page."""
    suite.pytester._monkeypatch.setenv("PATH", "")
    path = suite.pytester.path / "build" / "page.html"
    result = suite.run(f"--living-documentation={path}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["No living documentation: Node.js is missing: install Node.js 20 or newer with npm *"])
    assert not path.exists()
    assert read(path.with_name("messages.ndjson"))


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


@pytest.mark.needs("node", "chromium")
def test_the_page_keeps_that_order(in_folders: Suite) -> None:
    """The formatter sorts by path; a reader sees numbers before the names instead."""
    path = in_folders.pytester.path / "page.html"
    in_folders.run(f"--living-documentation={path}")
    seen = look(path)
    assert (seen.returncode, seen.stderr) == (0, "")
    numbered = ["01 stories/02 feeding_guests.feature", "02 promises/01 admitting_guests.feature"]
    assert all(f'"features/{name}"' in path.read_text("utf-8") for name in numbered)


@pytest.mark.needs("node", "chromium")
def test_the_page_works_in_a_browser(two_criteria: Suite) -> None:
    """Offline, at two widths: the matrix, every link, the search, no error on the console."""
    # the report folds up what passed
    passing = FEATURE.replace("@US-1\n", "").replace("Greeting", "Meeting").replace("A guest ", "A friend ")
    two_criteria.add("features/meeting_guests.feature", passing)
    path = two_criteria.pytester.path / "page.html"
    two_criteria.run(f"--living-documentation={path}")
    seen = look(path)
    assert (seen.returncode, seen.stderr) == (0, "")


BREAKS = [
    ("?query=%40AC-002#content", "?query=%40AC-009#content", "the link @AC-009 shows 0 scenarios, and should show 0"),
    ("<h2>User stories</h2>", "<h2>" + "wide" * 200 + "</h2>", "the matrix is cut off: widewide"),
    ("</body>", "<script>console.error('a fly')</script></body>", "the console says: a fly"),
    ("</body>", "<script>nothing.there</script></body>", "the page fails: nothing is not defined"),
    ("</body>", '<img src="https://example.org/fly.png"></body>', "the page asks for https://example.org/fly.png"),
]


@pytest.mark.needs("node", "chromium")
def test_a_broken_page_is_noticed(two_criteria: Suite) -> None:
    """Else the look would say nothing."""
    path = two_criteria.pytester.path / "page.html"
    two_criteria.run(f"--living-documentation={path}")
    page = path.read_text("utf-8").replace("#acceptance li { overflow-wrap: anywhere; }", "h2 { white-space: nowrap }")
    for old, new, _ in BREAKS:
        before, found, after = page.rpartition(old)
        assert found
        page = before + new + after
    path.write_text(page, "utf-8")
    seen = look(path)
    assert seen.returncode == 1
    for *_, complaint in BREAKS:
        assert complaint in seen.stderr


def look(page: Path) -> subprocess.CompletedProcess[str]:
    """Open the page as a stakeholder does."""
    command = ["node", str(NODE / "look-at-page.mjs"), str(page), str(page.parent / "pictures")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - our own script


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
    """In the Messages, in the page where it can be made, and in what pytest prints."""
    suite.steps.write_text(LEAKS, "utf-8")
    suite.add("url", service.url)
    suite.add("house", "")
    path = suite.pytester.path / "page.html"
    result = suite.run_apart(f"--living-documentation={path}", "--showlocals", "-rA", *options)
    result.assert_outcomes(failed=3)
    messages = read(path.with_name("messages.ndjson"))
    issued = (suite.pytester.path / "issued").read_text().split()
    assert len(issued) == 8
    texts = [*strings(messages), *attachments(messages), str(result.stdout), str(result.stderr)]
    if path.exists():
        texts.append(path.read_text("utf-8"))
    secrets = {SECRET, *(part for token in issued for part in (token, *token.split(".")))}
    # pytest shortens a long text in the middle
    for secret in secrets | {secret[:12] for secret in secrets} | {secret[-12:] for secret in secrets}:
        assert not [text for text in texts if secret in text], secret
    # and yet all of it was there to be told
    shown = "\n".join(attachments(messages))
    assert len(attachments(messages)) == 7
    for told in ("POST /api/alice/tasks?copy=[redacted]", "authorization: Bearer [redacted]", "422 Unprocessable"):
        assert told in shown
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
