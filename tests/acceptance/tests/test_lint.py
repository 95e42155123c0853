"""The rules for feature files are checked, inside Rules too, and each finding says how to mend it."""

from pathlib import Path

import pytest

from tests.acceptance.catalogue import Catalogue
from tests.acceptance.lint import lint
from tests.acceptance.specification import Specification
from tests.acceptance.tests.suite import FEATURE, ROOT, Suite

FILE = "features/greeting_guests.feature"
SCENARIO = FEATURE[FEATURE.index("    Scenario: A guest") : FEATURE.index("\n    @AC-001\n    Scenario Outline")]


def findings(root: Path) -> list[str]:
    """Lint the features of a project."""
    return [
        str(one) for one in lint(Specification.read(root / "features", root), Catalogue.read(root / "features", root))
    ]


def test_the_features_of_this_project_keep_the_rules() -> None:
    """They are the specification."""
    assert findings(ROOT) == []


def test_a_sound_feature_has_no_findings(suite: Suite) -> None:
    """Without this none of the findings below would say anything."""
    assert findings(suite.pytester.path) == []


BROKEN = {
    "no Gherkin": (FEATURE, "Hello\n", ["1 is no Gherkin: expected: "]),
    "no feature": (FEATURE, "", ["1 has no Feature: say what behaviour it is about, or delete the file"]),
    "a file with another name": (
        "Feature: Greeting guests",
        "Feature: Greeting friends",
        ["2 is not named as its behaviour: rename the file to greeting_friends.feature"],
    ),
    "a story without a narrative": (
        "  So that I feel welcome\n",
        "",
        ['2 tells a story without its narrative: write "As a", "I want" and "So that"'],
    ),
    "a rule without a title": (
        "Rule: Whoever comes is greeted",
        "Rule:",
        ["7 is a Rule without a title: its title is"],
    ),
    "a rule with a tag": ("  Rule: Who", "  @AC-001\n  Rule: Who", ["8 is a Rule with the tag @AC-001: tag its"]),
    "a ruling that the catalogue does not have": (
        "  Rule: Who",
        "  @R-02\n  Rule: Who",
        [
            "8 is a Rule with the tag @R-02: tag its",
            '11 "A guest is greeted" carries @R-02, which the catalogue does not have: mend the tag',
            '17 "A guest hears <words>" carries @R-02, which the catalogue does not have',
        ],
    ),
    "no rule": (
        "  Rule: Whoever comes is greeted\n",
        "",
        ['9 "A guest is greeted" stands outside every Rule: put it', '15 "A guest hears <words>" stands outside'],
    ),
    "a scenario without a name": (
        "Scenario: A guest is greeted",
        "Scenario:",
        ["10 is a scenario without a name: say"],
    ),
    "a story's tag at a scenario": (
        "    @AC-001\n    Scenario: A",
        "    @AC-001 @US-1\n    Scenario: A",
        ['10 "A guest is greeted" carries @US-1: a story\'s tag belongs to the Feature'],
    ),
    "no criterion": (
        "    @AC-001\n    Scenario: A",
        "    Scenario: A",
        ['9 "A guest is greeted" proves no criterion: give it the tag of the one that it proves'],
    ),
    "two criteria": (
        "    @AC-001\n    Scenario: A",
        "    @AC-001 @AC-002\n    Scenario: A",
        ['10 "A guest is greeted" proves AC-001 and AC-002: choose one, or write a scenario for each'],
    ),
    "seven steps": (
        "      Given a house\n      When a guest comes\n      Then the guest is",
        "      Given a house\n" + "      And a house\n" * 4 + "      When a guest comes\n      Then the guest is",
        ['10 "A guest is greeted" has 7 steps: say it in at most 6'],
    ),
    "two When": (
        "      When a guest comes\n      Then the guest is",
        "      When a guest comes\n      And a guest comes\n      Then the guest is",
        ['10 "A guest is greeted" has 2 When: it is about one thing that happens'],
    ),
    "no When": (
        "      When a guest comes\n      Then the guest is",
        "      Then the guest is",
        ['10 "A guest is greeted" has 0 When: it is about one thing that happens'],
    ),
    "no Then": (
        "      Then the guest is greeted\n",
        "",
        ['10 "A guest is greeted" has no Then, and proves nothing: say what must come out'],
    ),
    "back and forth": (
        SCENARIO,
        SCENARIO.replace("      Given a house\n", "") + "      Given a house\n",
        ['10 "A guest is greeted" goes back and forth: Given, then When, then Then'],
    ),
    "a long background": (
        "    @AC-001\n    Scenario: A",
        "    Background:\n      Given a house\n" + "      And a house\n" * 3 + "\n    @AC-001\n    Scenario: A",
        ["9 is a Background of 4 steps: at most 3 fit into a head"],
    ),
    "a background that acts": (
        "    @AC-001\n    Scenario: A",
        "    Background:\n      When a guest comes\n\n    @AC-001\n    Scenario: A",
        [
            "9 is a Background that does more than Given: move the rest into the scenarios",
            '13 "A guest is greeted" goes back and forth: Given, then When, then Then',
            '13 "A guest is greeted" has 2 When: it is about one thing that happens',
            '19 "A guest hears <words>" goes back and forth: Given, then When, then Then',
            '19 "A guest hears <words>" has 2 When: it is about one thing that happens',
        ],
    ),
    "a name that every row has": (
        "Outline: A guest hears <words>",
        "Outline: A guest hears words",
        ['24 "A guest hears words" is the name of features/greeting_guests.feature:23 too: make it unique'],
    ),
    "examples without a title": (
        "Examples: In any language",
        "Examples:",
        ["21 are Examples without a title: say what"],
    ),
    "examples without a why": (
        "| words    | why     |\n        | Welcome  | English |\n        | Bonjour  | French  |",
        "| words   |\n        | Welcome |",
        [],
    ),
    "one example without a why": ("| French  |", "|         |", []),
    "a why that says nothing": (
        "| Welcome  | English |\n        | Bonjour  | French  |",
        "| Welcome  |         |\n        | Bonjour  |         |",
        ['21 are Examples with a column "why" and no reason in it: drop the column'],
    ),
    "a column that is missing": (
        "Then the guest hears <words>",
        "Then the guest hears <word>",
        ["21 are Examples without the column <word>, which a step names: add it"],
    ),
    "a column that nothing names": (
        "| words    | why     |\n        | Welcome  | English |\n        | Bonjour  | French  |",
        "| words | tone | why     |\n        | Hello | low  | English |",
        ['21 are Examples with the column "tone", which no step names: use it or drop it'],
    ),
    "a cell that is a switch": (
        "| Bonjour  |",
        "| should   |",
        ['24 turns the rule on or off by "should": write two scenarios'],
    ),
    "a refusal that checks nothing more": (
        "      When a guest comes\n      Then the guest is greeted",
        "      When a guest tries to come\n      Then the guest is greeted",
        ['10 "A guest is greeted" tries something and does not check that nothing changed: end it by a step'],
    ),
    "a verb": ("When a guest comes\n      Then the guest is", "When a guest GETs\n      Then the guest is", []),
    "a verb of HTTP": (
        "Scenario: A guest is greeted",
        "Scenario: A GET is greeted",
        ['10 says "GET": say what it means to a person, and let the step know'],
    ),
    "the plural of a word": (
        "In any language",
        "All Endpoints",
        ['21 says "Endpoints": say what it means to a person'],
    ),
    "a path": ("As a guest", "As a guest of /api/{user}", ['2 says "/api/{user}": say what it means to a person']),
    "a word in a cell": ("| Bonjour  |", "| json     |", []),
    "a word in capitals in a cell": ("| Bonjour  |", "| JSON     |", ['24 says "JSON": say what it means to a person']),
    "a status number": ("In any language", "Each has status 201", ['21 says "status 201", a status number: say what']),
    "a number before its code": ("In any language", "Each has the 404 error", ['21 says "404 error", a status number']),
    "a number after an answer": ("In any language", "The answer is 500", ['21 says "answer is 500", a status number']),
    "another number": ("In any language", "A title of 200 characters, 12 errors, error 4711, room 404", []),
    "a fraction": ("In any language", "Half and/or 1/2", []),
}


@pytest.mark.parametrize(("old", "new", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_found(suite: Suite, old: str, new: str, expected: list[str]) -> None:
    """Just what is expected is found, at its line."""
    if "AC-002" in new:
        text = suite.catalogue.read_text() + '[criteria.AC-002]\nname = "Farewell"\npromise = "guests are seen off"\n'
        suite.catalogue.write_text(text)
    text = FEATURE.replace(old, new, 1)
    assert text != FEATURE
    suite.feature.write_text(text, "utf-8")
    found = findings(suite.pytester.path)
    assert len(found) == len(expected), found
    for said, start in zip(found, expected, strict=True):
        assert said.startswith(f"{FILE}:{start}")


def test_a_story_has_one_file(suite: Suite) -> None:
    """Two files would tell two halves."""
    again = FEATURE.replace("Greeting guests", "Meeting guests").replace("A guest ", "Another guest ")
    suite.add("features/meeting_guests.feature", again)
    assert findings(suite.pytester.path) == [
        "features/meeting_guests.feature:1 tells @US-1, as features/greeting_guests.feature does: a story has one file"
    ]


def test_a_file_tells_one_story(suite: Suite) -> None:
    """Else nobody finds the other."""
    suite.change(suite.catalogue, 'US-1 = "be greeted"', 'US-1 = "be greeted"\nUS-2 = "be seen off"')
    suite.change(suite.feature, "@US-1", "@US-1 @US-2")
    assert findings(suite.pytester.path) == [f"{FILE}:2 tells 2 stories: give each a file of its own"]


def test_a_promise_without_a_story_needs_its_sentence(suite: Suite) -> None:
    """A file that tells no story says what it promises."""
    text = FEATURE.replace("@US-1\n", "").replace(
        "  As a guest\n  I want to be greeted\n  So that I feel welcome\n", ""
    )
    suite.feature.write_text(text, "utf-8")
    assert findings(suite.pytester.path) == [f"{FILE}:1 has no description: say below its name what it promises"]


def test_a_name_is_unique_in_all_files(suite: Suite) -> None:
    """Whoever speaks of a scenario means one."""
    again = (
        FEATURE.replace("@US-1\n", "")
        .replace("Greeting guests", "Meeting guests")
        .replace("A guest hears", "One hears")
    )
    suite.add("features/meeting_guests.feature", again)
    (found,) = findings(suite.pytester.path)
    assert found.startswith(f'features/meeting_guests.feature:9 "A guest is greeted" is the name of {FILE}:10 too')


def test_a_file_may_use_a_word_that_is_its_subject(suite: Suite) -> None:
    """The documentation's feature may name the documentation's page."""
    allow(suite, "greeting_guests.feature")
    suite.change(suite.feature, "In any language", "Endpoints behind the /door")
    assert findings(suite.pytester.path) == []
    suite.change(suite.feature, "behind the /door", "behind the /window")
    assert findings(suite.pytester.path) == [
        f'{FILE}:21 says "/window": say what it means to a person, and let the step know'
    ]


def test_a_file_may_name_status_codes_where_they_are_its_subject(suite: Suite) -> None:
    """As what an operator reads in a log."""
    suite.change(suite.feature, "In any language", "In any language, with status 200")
    assert len(findings(suite.pytester.path)) == 1
    suite.catalogue.write_text(
        suite.catalogue.read_text() + '[language.allowed]\n"greeting_guests.feature" = ["status code"]\n'
    )
    assert findings(suite.pytester.path) == []


def test_a_word_is_allowed_to_the_file_at_that_path_alone(suite: Suite) -> None:
    """A file of the same name in another folder has other readers."""
    allow(suite, "indoors/greeting_guests.feature")
    suite.change(suite.feature, "In any language", "Endpoints")
    assert findings(suite.pytester.path) == [
        f'{FILE}:21 says "Endpoints": say what it means to a person, and let the step know'
    ]
    suite.add("features/indoors/greeting_guests.feature", suite.feature.read_text("utf-8"))
    suite.feature.unlink()
    assert findings(suite.pytester.path) == []


def allow(suite: Suite, path: str) -> None:
    """Let the feature file at this path use a word and name a path."""
    text = suite.catalogue.read_text() + f'[language.allowed]\n"{path}" = ["endpoint", "/door"]\n'
    suite.catalogue.write_text(text)
