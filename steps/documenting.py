"""The steps of reading the documentation."""

import json
import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from typing import Any

import httpx
import pytest
from pytest_bdd import then, when

from steps.vocabulary import ACTIONS, said
from tests.acceptance.evidence import attach
from tests.support import contract
from tests.support.better_auth import NODE
from tests.support.people import Cast
from tests.support.service import Service

OPERATIONS = [one for operations in contract.DOCUMENT["paths"].values() for one in operations.values()]


@pytest.fixture
def pages() -> dict[str, httpx.Response]:
    """What a developer has open."""
    return {}


@pytest.fixture
def reading() -> dict[str, Any]:
    """What a developer saw in a browser, on each page."""
    return {}


@when("a developer reads the documentation")
def reads_documentation(scenario_service: Service, pages: dict[str, httpx.Response]) -> None:
    pages["contract"] = attach(scenario_service.http.get("/openapi.json"))
    # what each answer in each scenario is held against is what the developer reads
    assert pages["contract"].json() == contract.DOCUMENT


def operation(pages: dict[str, httpx.Response], action: str) -> Any:
    """What the documentation says of one action."""
    method, _, one = ACTIONS[action].partition(" ")
    path = "/api/{user_id}/tasks" + ("/{task_id}" if one else "")
    return pages["contract"].json()["paths"][path][method.lower()]


@then("it has the six endpoints for tasks, and each asks for a token")
def has_six_endpoints(pages: dict[str, httpx.Response]) -> None:
    document = pages["contract"].json()
    operations = [one for path, ones in document["paths"].items() if path.startswith("/api") for one in ones.values()]
    assert len(operations) == 6
    (scheme,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    assert all(operation["security"] == [{scheme: []}] for operation in operations)


@then("it has all the schemas, with titles of 1 to 200 characters and descriptions of at most 1,000")
def has_schemas(pages: dict[str, httpx.Response]) -> None:
    schemas = pages["contract"].json()["components"]["schemas"]
    inputs = {"TaskCreate", "TaskUpdate", "TaskPatch"}
    outputs = {"TaskResponse", "TaskListResponse", "Problem", "Health"}
    assert schemas.keys() - {"FieldError", "ErrorCode"} == inputs | outputs
    for name in inputs:
        properties = schemas[name]["properties"]
        assert (properties["title"]["minLength"], properties["title"]["maxLength"]) == (1, 200)
        assert properties["description"]["anyOf"][0]["maxLength"] == 1000
        assert schemas[name]["additionalProperties"] is False
    assert [schemas[name].get("required") for name in ("TaskCreate", "TaskUpdate", "TaskPatch")] == [
        ["title"],
        ["title", "complete"],
        None,
    ]


@then(said("a request to {action:Action} can end exactly with {statuses}"))
def can_end_with(pages: dict[str, httpx.Response], action: str, statuses: str) -> None:
    answers = operation(pages, action)["responses"]
    assert sorted(answers) == sorted(statuses.split(", "))
    for status in answers.keys() & {"200", "201", "304"} if action != "list the tasks" else ():
        assert "ETag" in answers[status]["headers"]
    assert "content" not in answers.get("304", {})
    for status in [status for status in answers if status >= "400"]:
        content = answers[status]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert content["examples"]


@when(said("a developer opens {page}"))
def opens_page(scenario_service: Service, pages: dict[str, httpx.Response], page: str) -> None:
    pages["opened"] = attach(scenario_service.http.get(page))


@then("the page shows, and every part that it needs comes from the service itself")
def page_shows_its_own_parts(scenario_service: Service, pages: dict[str, httpx.Response]) -> None:
    opened = pages["opened"]
    assert opened.status_code == 200
    parts = re.findall(r'(?:src|href)="([^"]+)"', opened.text)
    assert len(parts) >= 2
    for part in parts:
        place = opened.url.join(part)
        assert place.host == opened.url.host
        assert attach(scenario_service.http.get(place)).status_code == 200
    assert "/openapi.json" in opened.text
    policy = dict(one.split(maxsplit=1) for one in opened.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    inline = re.findall(r"<script>(.*?)</script>", opened.text, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in inline]
    assert policy["script-src"].split() == ["'self'", *hashes]


@when("a developer uses both pages without internet access, and there creates a task and lists the tasks as Alice")
def uses_pages_in_browser(cast: Cast, service: Service, reading: dict[str, Any]) -> None:
    alice = cast("Alice")
    assert alice.token
    script, folder = NODE / "read-documentation.mjs", NODE.parents[1] / "build" / "pictures"
    command = ["node", str(script), service.url, alice.user_id, str(folder)]
    run = subprocess.run(command, input=alice.token, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - our own
    assert (run.returncode, run.stderr) == (0, "")
    reading.update(json.loads(run.stdout))
    alice.ledger.learn(alice.user_id)  # the browser has created it


@then("both pages show the six endpoints for tasks, and every schema")
def pages_show_everything(reading: dict[str, Any]) -> None:
    operations = [one for one in OPERATIONS if one.get("security")]
    schemas = sorted(contract.DOCUMENT["components"]["schemas"])
    assert len(operations) == 6
    for page in ("docs", "redoc"):
        assert reading[page]["operations"] == [operation["summary"] for operation in operations]
        assert reading[page]["schemas"] == schemas


@then("what was tried out has worked")
def trial_has_worked(cast: Cast, reading: dict[str, Any]) -> None:
    created, listed = reading["docs"]["created"], reading["docs"]["listed"]
    assert (created["status"], listed["status"]) == (201, 200)
    assert listed["body"] == {"tasks": [created["body"]], "count": 1}
    assert cast("Alice").ledger.tasks_of("alice") == listed["body"]["tasks"]


@then("the pages asked other sites for nothing but a logo, which they don't need and did not get")
def asked_other_sites_for_logo(reading: dict[str, Any]) -> None:
    # ReDoc asks for it under every page
    logo = "https://cdn.redoc.ly/redoc/logo-mini.svg"
    assert (reading["docs"]["elsewhere"], reading["docs"]["console"]) == ([], [])
    assert reading["redoc"]["elsewhere"] == [f"{logo} csp"]
    refused = f"Loading the image '{logo}' violates the following Content Security Policy directive: "
    assert reading["redoc"]["console"] == [f"{refused}\"img-src 'self' data:\". The action has been blocked."]
