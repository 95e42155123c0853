"""A lie must be told and noticed, or the run of lies fails."""

from pathlib import Path

import pytest

from tests.acceptance import boundary
from tests.acceptance.boundary import Receive, Scope, Send, at_boundary
from tests.acceptance.tests.suite import Suite

PASSED = pytest.ExitCode.OK
FAILED = pytest.ExitCode.TESTS_FAILED

CONFTEST = """
import pytest
from sqlalchemy import create_engine

import lies
from tests.acceptance.boundary import lies_in

pytest_plugins = ["tests.acceptance.plugin", "tests.acceptance.lying"]

def pytest_acceptance_lies():
    return lies_in(lies)

@pytest.fixture(scope="session")
def lying_engine():
    engine = create_engine("sqlite:///guests.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS guest (name TEXT)")
    yield engine
    engine.dispose()
"""

HOUSE = """
import json
import sqlite3

async def house(scope, receive, send):
    words = dict(scope["headers"]).get(b"accept-language", b"Welcome").decode()
    with sqlite3.connect("guests.sqlite") as database:
        database.execute("DELETE FROM guest")
        database.execute("INSERT INTO guest VALUES ('Ann')")
    database.close()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps({"words": words}).encode()})
"""

STEPS = """
import sqlite3
from contextlib import closing

import pytest
from pytest_bdd import given, parsers, scenarios, then, when
from starlette.testclient import TestClient

from house import house
from tests.acceptance.boundary import at_boundary, from_log

scenarios(".")

@given("a house", target_fixture="client")
def _(lying_engine):
    return TestClient(at_boundary(house))

@when("a guest comes", target_fixture="answer")
def _(client):
    return client.get("/")

@then("the guest is greeted")
def _(answer):
    assert answer.json() == {"words": "Welcome"}

@then(parsers.parse("the guest hears {words}"))
def _(client, words):
    answer = client.get("/", headers={"accept-language": words})
    assert answer.json() == {"words": words}
"""

GREETED = '\n@then("the guest is greeted")\ndef _(answer):\n'


@pytest.fixture
def lying_suite(suite: Suite) -> Suite:
    """A sound small suite, whose application may lie."""
    (suite.pytester.path / "conftest.py").write_text(CONFTEST, "utf-8")
    suite.add("house.py", HOUSE)
    suite.steps.write_text(STEPS, "utf-8")
    return suite


def tell(suite: Suite, body: str, scenarios: str = '"A guest is greeted"', kind: str = "lie") -> Path:
    """Write a lie with this body."""
    parameter = "exchange" if kind == "lie" else "line"
    text = "from tests.acceptance.boundary import lie, lie_in_log\n\n\n"
    text += f'@{kind}({scenarios})\ndef the_house_lies({parameter}):\n    """The house lies."""\n    {body}\n'
    return suite.add("lies.py", text)


RUDE = 'exchange.response.json = {"words": "Go away"}'


def test_a_lie_that_a_scenario_notices(lying_suite: Suite) -> None:
    """The run passes, and the gate says nothing of criteria."""
    tell(lying_suite, RUDE)
    result = lying_suite.run("--lies=named", "--acceptance=here", "-v")
    assert result.ret == PASSED
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*lies: 1 of 1 caught*",
            '✔ the_house_lies: "A guest is greeted" fails at "Then the guest is greeted": AssertionError*',
        ]
    )
    result.stdout.no_fnmatch_line("*criteria proven*")


def test_a_lie_that_nobody_notices(lying_suite: Suite) -> None:
    """Its scenario passes, so the run fails and names it."""
    tell(lying_suite, RUDE)
    lying_suite.change(
        lying_suite.steps, 'assert answer.json() == {"words": "Welcome"}', 'assert "words" in answer.json()'
    )
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*lies: 0 of 1 caught*", '✘ unnoticed: the_house_lies: The house lies. In "A guest is greeted"']
    )


def test_the_same_with_xdist(lying_suite: Suite) -> None:
    """What a worker saw is in the verdict."""
    tell(lying_suite, RUDE)
    assert lying_suite.run_apart("--lies=named", "-n2").ret == PASSED
    lying_suite.change(lying_suite.steps, '== {"words": "Welcome"}', "")
    result = lying_suite.run_apart("--lies=named", "-n2")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(['✘ unnoticed: the_house_lies: The house lies. In "A guest is greeted"'])


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "if exchange.response.status == 404: exchange.response.status = 200",
        "exchange.response.json = exchange.response.json",
        "exchange.sql(\"UPDATE guest SET name = 'Bob' WHERE name = 'Eve'\")",
        "exchange.sql('SELECT name FROM guest')",
    ],
)
def test_a_lie_that_is_not_told(lying_suite: Suite, body: str) -> None:
    """What changes nothing proves nothing, also where the scenario fails by itself."""
    tell(lying_suite, body)
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(
        ["*lies: 0 of 1 caught*", '✘ not told: the_house_lies: The house lies. In "A guest is greeted"']
    )


def test_a_lie_that_is_not_told_where_the_scenario_fails(lying_suite: Suite) -> None:
    """It fails by itself."""
    tell(lying_suite, "pass")
    lying_suite.change(lying_suite.steps, '"Welcome"', '"Bonjour"')
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["✘ not told: *"])


def test_a_scenario_that_fails_anyway(lying_suite: Suite) -> None:
    """It notices every lie, and proves nothing: it is run without a lie too."""
    tell(lying_suite, RUDE)
    lying_suite.change(lying_suite.steps, '{"words": "Welcome"}', '{"words": "Bonjour"}')
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.assert_outcomes(passed=1, failed=1)


def test_a_scenario_that_does_not_exist(lying_suite: Suite) -> None:
    """A renamed scenario takes no lie along in silence."""
    tell(lying_suite, RUDE, '"A guest is welcome"')
    result = lying_suite.run("--lies=named")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*the_house_lies: no scenario is called "A guest is welcome"'])


def test_a_lie_without_a_scenario(lying_suite: Suite) -> None:
    """Somebody must notice it."""
    tell(lying_suite, RUDE, "")
    result = lying_suite.run("--lies=named")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the_house_lies: no scenario is named that must notice it"])


def test_a_lie_that_is_left_out(lying_suite: Suite) -> None:
    """A selection passes no more than a whole run does, and nor does a scenario that nothing binds."""
    tell(lying_suite, RUDE)
    result = lying_suite.run("--lies=named", "-k", "honestly")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(['✘ not run: the_house_lies in "A guest is greeted"'])
    lying_suite.change(lying_suite.steps, 'scenarios(".")', "def test_nothing(): pass")
    result = lying_suite.run("--lies=named")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(['✘ not run: the_house_lies in "A guest is greeted"'])


@pytest.mark.parametrize("body", ["raise KeyError('lie')", "yield; raise KeyError('lie')", "yield; yield"])
def test_a_lie_that_is_broken(lying_suite: Suite, body: str) -> None:
    """The scenario fails by the lie's own fault, and has noticed nothing."""
    tell(lying_suite, body)
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*lies: 0 of 1 caught*"])


def test_a_lie_that_waits_for_a_frozen_database(lying_suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, as a broken one is, and the run goes on."""
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000000) SELECT count(*) FROM n"
    tell(lying_suite, f'exchange.sql("{count}"); {RUDE}')
    monkeypatch.setattr(boundary, "SQL_SECONDS", 60)
    assert lying_suite.run("--lies=named").ret == PASSED
    monkeypatch.setattr(boundary, "SQL_SECONDS", 0.001)
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["*TimeoutError*", "*lies: 0 of 1 caught*"])


def test_a_row_of_an_outline(lying_suite: Suite) -> None:
    """The row that is named is told the lie, and no other one; an outline's own name stands for all of its rows."""
    tell(lying_suite, RUDE, '"A guest hears Bonjour"')
    result = lying_suite.run("--lies=named", "-v")
    assert result.ret == PASSED
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(['✔ the_house_lies: "A guest hears Bonjour" fails at *'])
    tell(lying_suite, RUDE, '"A guest hears <words>"')
    result = lying_suite.run("--lies=named")
    assert result.ret == PASSED
    result.assert_outcomes(passed=4)


def test_a_lie_about_the_request(lying_suite: Suite) -> None:
    """A generator function is called before the application is."""
    tell(lying_suite, 'exchange.request.headers["accept-language"] = "Hello"; yield')
    assert lying_suite.run("--lies=named").ret == PASSED


def test_a_lie_in_the_database(lying_suite: Suite) -> None:
    """It is told by a row that has changed, and noticed where a step looks there."""
    tell(lying_suite, "exchange.sql(\"UPDATE guest SET name = 'Eve'\")")
    assert lying_suite.run("--lies=named").ret == FAILED
    look = "    with closing(sqlite3.connect('guests.sqlite')) as database:\n"
    look += "        assert database.execute('SELECT name FROM guest').fetchall() == [('Ann',)]\n"
    lying_suite.change(lying_suite.steps, GREETED, GREETED + look)
    assert lying_suite.run("--lies=named").ret == PASSED


def test_a_lie_that_a_fixture_notices(lying_suite: Suite) -> None:
    """What breaks at the scenario's end breaks the scenario."""
    tell(lying_suite, "exchange.sql(\"UPDATE guest SET name = 'Eve'\")")
    book = """
@pytest.fixture
def book():
    yield
    with closing(sqlite3.connect('guests.sqlite')) as database:
        assert database.execute('SELECT name FROM guest').fetchall() == [('Ann',)]
"""
    lying_suite.change(lying_suite.steps, '\n@given("a house"', f'{book}\n@given("a house"')
    lying_suite.change(lying_suite.steps, "def _(lying_engine):", "def _(lying_engine, book):")
    result = lying_suite.run("--lies=named", "-v")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(['✔ the_house_lies: "A guest is greeted" fails at the end: AssertionError*'])


def test_a_lie_about_time(lying_suite: Suite) -> None:
    """An answer is late by the clock of the steps, and nobody waits."""
    tell(lying_suite, "exchange.late(3600)")
    assert lying_suite.run("--lies=named").ret == FAILED
    lying_suite.change(lying_suite.steps, GREETED, GREETED + "    assert answer.elapsed.total_seconds() < 1800\n")
    assert lying_suite.run("--lies=named").ret == PASSED


def test_a_lie_in_the_log(lying_suite: Suite) -> None:
    """What the steps read of the log is another line."""
    tell(lying_suite, 'return [line | {"status": 500}]', kind="lie_in_log")
    result = lying_suite.run("--lies=named")
    assert result.ret == FAILED
    result.stdout.fnmatch_lines(["✘ not told: *"])
    log = """    assert from_log('{"status": 200}\\n') == '{"status": 200}\\n'\n"""
    lying_suite.change(lying_suite.steps, GREETED, GREETED + log)
    assert lying_suite.run("--lies=named").ret == PASSED


def test_every_lie_in_every_scenario(lying_suite: Suite) -> None:
    """It shows who notices what, and judges nothing."""
    tell(lying_suite, RUDE)
    lying_suite.change(lying_suite.steps, '== {"words": "Welcome"}', "")
    result = lying_suite.run("--lies=all")
    assert result.ret == PASSED
    result.stdout.fnmatch_lines(
        [
            "the_house_lies: The house lies. Told in 3 scenarios, caught in 2",
            "  · A guest is greeted",
            "  ✔ A guest hears Welcome",
            "  ✔ A guest hears Bonjour",
        ]
    )


def test_a_run_without_lies_meets_the_application_itself() -> None:
    """There is nothing between them."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        """Never called."""

    assert at_boundary(application) is application
