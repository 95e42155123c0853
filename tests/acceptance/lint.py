"""The rules for feature files that a program can check; each finding says how to mend it."""

import re
from collections.abc import Iterator

from gherkin.dialect import Dialect

from tests.acceptance.catalogue import Catalogue, words_as_pattern
from tests.acceptance.specification import Document, Node, Pickle, Problem, Scenario, Specification

STEPS_MAX = 6
BACKGROUND_MAX = 3
NARRATIVE = ("As a", "I want", "So that")

_PATH = re.compile(r"(?<![\w.<])/\w[\w/{}.-]*")
_STATUS = re.compile(
    r"\b(?:(?:status|code|answer|error)s?\b\W{0,3}(?:\w+\W+)?[1-5]\d\d|[1-5]\d\d\W{1,3}(?:status|code|answer|error))\b",
    re.IGNORECASE,
)


def lint(specification: Specification, catalogue: Catalogue) -> list[Problem]:
    """Find all that breaks a rule, in the order of files and lines."""
    problems = list(specification.problems)
    for document in specification.documents:
        problems += _feature(document, catalogue)
        problems += _language(document, catalogue)
        for background in document.backgrounds():
            problems += _background(document.uri, background)
        for scenario in document.scenarios():
            problems += _scenario(scenario, document.feature.get("language", "en"), catalogue)
        for pickle in document.pickles:
            problems += _tags(pickle, catalogue)
            problems += _kinds(pickle)
            problems += _refusal(pickle, catalogue)
    problems += _names(specification)
    problems += _stories(specification, catalogue)
    return sorted(set(problems))


def _line(node: Node) -> int:
    return int(node["location"]["line"])


def _tag_names(node: Node) -> list[str]:
    return [tag["name"].removeprefix("@") for tag in node["tags"]]


# One file for each story or promise, one Rule for each promise in it


def _feature(document: Document, catalogue: Catalogue) -> Iterator[Problem]:
    feature, uri = document.feature, document.uri
    if not feature["name"]:
        yield Problem(uri, 1, "has no Feature: say what behaviour it is about, or delete the file")
        return
    file = uri.rsplit("/", 1)[-1]
    expected = re.sub(r"\W+", "_", feature["name"].lower()).strip("_") + ".feature"
    if file != expected:
        yield Problem(uri, _line(feature), f"is not named as its behaviour: rename the file to {expected}")
    stories = [tag for tag in _tag_names(feature) if tag in catalogue.stories]
    lines = [line.strip() for line in feature["description"].splitlines()]
    if len(stories) > 1:
        yield Problem(uri, _line(feature), f"tells {len(stories)} stories: give each a file of its own")
    if stories and not all(any(line.startswith(words) for line in lines) for words in NARRATIVE):
        yield Problem(uri, _line(feature), 'tells a story without its narrative: write "As a", "I want" and "So that"')
    if not any(lines):
        yield Problem(uri, _line(feature), "has no description: say below its name what it promises")
    for child in feature["children"]:
        if "rule" in child and not child["rule"]["name"]:
            yield Problem(uri, _line(child["rule"]), "is a Rule without a title: its title is the promise")
        for tag in _tag_names(child["rule"]) if "rule" in child else []:
            if tag in catalogue.rulings:
                continue
            yield Problem(uri, _line(child["rule"]), f"is a Rule with the tag @{tag}: tag its scenarios")


def _stories(specification: Specification, catalogue: Catalogue) -> Iterator[Problem]:
    places: dict[str, list[str]] = {story: [] for story in catalogue.stories}
    for document in specification.documents:
        for tag in _tag_names(document.feature):
            places.get(tag, []).append(document.uri)
    for story, uris in places.items():
        if len(uris) > 1:
            yield Problem(uris[-1], 1, f"tells @{story}, as {uris[0]} does: a story has one file")


# A scenario: where it stands, how long it is, what it is made of


def _background(uri: str, background: Node) -> Iterator[Problem]:
    steps, line = background["steps"], _line(background)
    if len(steps) > BACKGROUND_MAX:
        yield Problem(uri, line, f"is a Background of {len(steps)} steps: at most {BACKGROUND_MAX} fit into a head")
    if any(step["keywordType"] not in {"Context", "Conjunction"} for step in steps):
        yield Problem(uri, line, "is a Background that does more than Given: move the rest into the scenarios")


def _scenario(scenario: Scenario, language: str, catalogue: Catalogue) -> Iterator[Problem]:
    uri, line, node, said = scenario.uri, scenario.line, scenario.node, f'"{scenario.name}"'
    if not scenario.name:
        yield Problem(uri, line, "is a scenario without a name: say what comes out")
    if scenario.rule is None:
        yield Problem(uri, line, f"{said} stands outside every Rule: put it under the promise that it keeps")
    for tag in set(_tag_names(node)) & catalogue.stories.keys():
        yield Problem(uri, line, f"{said} carries @{tag}: a story's tag belongs to the Feature")
    if not node["steps"]:
        yield Problem(uri, line, f"{said} has no steps, and passes whatever happens: write them, or delete it")
    if len(node["steps"]) > STEPS_MAX:
        yield Problem(uri, line, f"{said} has {len(node['steps'])} steps: say it in at most {STEPS_MAX}")
    dialect = Dialect.for_name(language)
    if dialect and node["keyword"] in dialect.scenario_outline_keywords and not node["examples"]:
        text = f"{said} is an outline without Examples, and runs as it stands: add them, or call it a Scenario"
        yield Problem(uri, line, text)
    for examples in node["examples"]:
        yield from _examples(scenario, examples, catalogue)


def _examples(scenario: Scenario, examples: Node, catalogue: Catalogue) -> Iterator[Problem]:
    uri, line = scenario.uri, _line(examples)
    if not examples["name"]:
        yield Problem(uri, line, "are Examples without a title: say what they have in common")
    if not examples.get("tableBody"):
        yield Problem(uri, line, f'are Examples without rows, so "{scenario.name}" shows nothing: add a row')
        return
    columns = [cell["value"] for cell in examples["tableHeader"]["cells"]]
    used = set(re.findall(r"<([^<>]+)>", _outline_text(scenario.node)))
    for name in sorted(used - set(columns)):
        yield Problem(uri, line, f"are Examples without the column <{name}>, which a step names: add it")
    for name in sorted(set(columns) - used - {"why"}):
        yield Problem(uri, line, f'are Examples with the column "{name}", which no step names: use it or drop it')
    for row in examples["tableBody"]:
        for value in {cell["value"] for cell in row["cells"]} & set(catalogue.language.switches):
            yield Problem(uri, _line(row), f'turns the rule on or off by "{value}": write two scenarios')
    why = columns.index("why") if "why" in columns else None
    if why is not None and not any(row["cells"][why]["value"] for row in examples["tableBody"]):
        yield Problem(uri, line, 'are Examples with a column "why" and no reason in it: drop the column')


def _outline_text(node: Node) -> str:
    cells = [c["value"] for s in node["steps"] for row in s.get("dataTable", {}).get("rows", []) for c in row["cells"]]
    docs = [step["docString"]["content"] for step in node["steps"] if "docString" in step]
    return "\n".join([node["name"], *(step["text"] for step in node["steps"]), *cells, *docs])


# A pickle: what it proves, what it does


def _tags(pickle: Pickle, catalogue: Catalogue) -> Iterator[Problem]:
    uri, line, said = pickle.key.uri, pickle.key.line, f'"{pickle.written}"'
    proven = sorted(pickle.tags & catalogue.criteria.keys())
    for tag in sorted(pickle.tags - catalogue.markers().keys()):
        yield Problem(uri, line, f"{said} carries @{tag}, which the catalogue does not have: mend the tag, or add it")
    if not proven:
        yield Problem(uri, line, f"{said} proves no criterion: give it the tag of the one that it proves")
    if len(proven) > 1:
        yield Problem(uri, line, f"{said} proves {' and '.join(proven)}: choose one, or write a scenario for each")


def _kinds(pickle: Pickle) -> Iterator[Problem]:
    kinds = [step["type"] for step in pickle.node["steps"]]
    uri, line, said = pickle.key.uri, pickle.key.line, f'"{pickle.written}"'
    if kinds and kinds.count("Action") != 1:
        yield Problem(uri, line, f"{said} has {kinds.count('Action')} When: it is about one thing that happens")
    if kinds and "Outcome" not in kinds:
        yield Problem(uri, line, f"{said} has no Then, and proves nothing: say what must come out")
    order = [kind for kind in kinds if kind != "Unknown"]
    if order != sorted(order, key=["Context", "Action", "Outcome"].index):
        yield Problem(uri, line, f"{said} goes back and forth: Given, then When, then Then")


def _refusal(pickle: Pickle, catalogue: Catalogue) -> Iterator[Problem]:
    phrases = catalogue.language.unchanged
    texts = {
        kind: [step["text"] for step in pickle.node["steps"] if step["type"] == kind] for kind in ("Action", "Outcome")
    }
    refused = any("tries to" in text for text in texts["Action"])
    if refused and phrases and not any(phrase in text for text in texts["Outcome"] for phrase in phrases):
        text = (
            f'"{pickle.written}" tries something and does not check that nothing changed: end it by a step with one of '
        )
        yield Problem(pickle.key.uri, pickle.key.line, text + ", ".join(f'"{phrase}"' for phrase in phrases))


def _names(specification: Specification) -> Iterator[Problem]:
    """Within a feature pytest-bdd runs only the last of two with one name, failing or not."""
    written: dict[tuple[str, str], Scenario] = {}
    for document in specification.documents:
        for scenario in document.scenarios():
            first = written.setdefault((scenario.uri, scenario.name), scenario)
            if first is not scenario:
                text = f"is the name of the scenario at line {first.line} too, which pytest-bdd drops: rename one"
                yield Problem(scenario.uri, scenario.line, f'"{scenario.name}" {text}')
    named: dict[str, Pickle] = {}
    for pickle in specification.pickles.values():
        first_named = named.setdefault(pickle.name, pickle)
        if first_named is not pickle:
            place = f"{first_named.key.uri}:{first_named.line}"
            text = f"is the name of {place} too: make it unique in the suite (an outline's by naming a column)"
            yield Problem(pickle.key.uri, pickle.line, f'"{pickle.name}" {text}')


# The words


def _language(document: Document, catalogue: Catalogue) -> Iterator[Problem]:
    """Look at all that a reader sees, line by line; tags and comments are not read aloud."""
    allowed = catalogue.language.allowed.get(document.uri, ())
    technical = words_as_pattern(catalogue.language.technical)
    for line, text in _readable(document):
        found = [match[0] for pattern in (technical, _PATH) for match in pattern.finditer(text)]
        for word in found:
            if not any(word.lower() in (one.lower(), f"{one.lower()}s") for one in allowed):
                yield Problem(
                    document.uri, line, f'says "{word}": say what it means to a person, and let the step know'
                )
        if "status code" not in allowed and (match := _STATUS.search(text)):
            yield Problem(document.uri, line, f'says "{match[0]}", a status number: say what it means to a person')


def _readable(document: Document) -> Iterator[tuple[int, str]]:
    feature = document.feature
    yield from _titled(feature)
    for child in feature["children"]:
        if "rule" in child:
            yield from _titled(child["rule"])
    for background in document.backgrounds():
        for step in background["steps"]:
            yield from _step(step)
    for scenario in document.scenarios():
        yield from _titled(scenario.node)
        for step in scenario.node["steps"]:
            yield from _step(step)
        for examples in scenario.node["examples"]:
            yield from _titled(examples)
            header = [examples["tableHeader"]] if "tableHeader" in examples else []
            for row in [*header, *examples.get("tableBody", [])]:
                yield from _row(row)


def _titled(node: Node) -> Iterator[tuple[int, str]]:
    yield _line(node), node["name"]
    yield _line(node), node.get("description", "")


def _step(step: Node) -> Iterator[tuple[int, str]]:
    yield _line(step), step["text"]
    for row in step.get("dataTable", {}).get("rows", []):
        yield from _row(row)
    if "docString" in step:
        yield _line(step["docString"]), step["docString"]["content"]


def _row(row: Node) -> Iterator[tuple[int, str]]:
    yield _line(row), " | ".join(cell["value"] for cell in row["cells"])
