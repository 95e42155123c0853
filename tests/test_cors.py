"""Pages on other origins: what they may send and read, and what the log says where they may not."""

import json

import httpx
import pytest

from app.core.errors import REASON_MAX
from tests.support import contract
from tests.support.log import logged
from tests.support.service import ORIGIN, Service, running_service, settings_for
from tests.support.tokens import token

TASKS = "/api/alice/tasks"
EVIL = "https://evil.example"


def preflight(service: Service, origin: str, method: str = "GET", headers: str | None = None) -> httpx.Response:
    """Ask as a browser does before it sends the request itself."""
    asked = {"origin": origin, "access-control-request-method": method}
    if headers is not None:
        asked["access-control-request-headers"] = headers
    answer = httpx.options(service.url + TASKS, headers=[(n.encode(), v.encode("latin-1")) for n, v in asked.items()])
    contract.hold(answer)
    return answer


def test_a_named_origin_may_send_credentials(service: Service) -> None:
    """Every sixth frontend of this kind sends them; a browser refuses the answer without this header."""
    answers = [preflight(service, ORIGIN), httpx.get(service.url + TASKS, headers={"origin": ORIGIN})]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"


def test_another_origin_may_read_nothing(service: Service) -> None:
    """A browser keeps the answer from its page, and sends what needs a preflight not at all."""
    for answer in [preflight(service, EVIL), httpx.get(service.url + TASKS, headers={"origin": EVIL})]:
        assert "access-control-allow-origin" not in answer.headers


def test_any_origin_may_call_where_all_are_allowed_but_without_credentials(service: Service) -> None:
    """With them, every page on the web could use what the browser keeps for this service."""
    with running_service(settings_for(service.settings.required_database_url, cors_origins=("*",))) as to_all:
        for answer in [preflight(to_all, EVIL), httpx.get(to_all.url + TASKS, headers={"origin": EVIL})]:
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers


def test_a_cookie_is_not_a_token(service: Service) -> None:
    """Credentials are allowed, and none is read: a page that relies on a cookie has to sign in."""
    cookie = f"better-auth.session_token={token('alice')}; token={token('alice')}"
    answer = httpx.get(service.url + TASKS, headers={"origin": ORIGIN, "cookie": cookie})
    contract.hold(answer)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_MISSING")


@pytest.mark.parametrize(
    ("method", "headers", "reason"),
    [
        ("GET", "authorization,x-requested-with", "Disallowed CORS headers"),
        ("TRACE", "authorization", "Disallowed CORS method"),
        ("GET", "x-\x9b" + "y" * 500, "Disallowed CORS headers"),
    ],
)
def test_a_preflight_from_an_allowed_origin_is_told_what_is_allowed(
    service: Service, capsys: pytest.CaptureFixture[str], method: str, headers: str, reason: str
) -> None:
    """So the browser can name the header or the method that is not, and so does the log."""
    capsys.readouterr()
    answer = preflight(service, ORIGIN, method, headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-requested-with" not in answer.headers["access-control-allow-headers"].lower()
    assert "TRACE" not in answer.headers["access-control-allow-methods"]
    (line,) = [json.loads(line) for line in logged(capsys).splitlines()]
    assert line["reason"].startswith(f"{reason}: '{ORIGIN}' asked for ")
    assert ascii(headers)[1:50] in line["reason"]
    assert len(line["reason"]) <= 300


def test_a_preflight_from_another_origin_is_refused(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """In one plain word for whoever tries it by hand; the log names the origin, and the setting that lacks it."""
    capsys.readouterr()
    answer = preflight(service, EVIL)
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]  # a cache must not give this answer to another page
    (line,) = [json.loads(line) for line in logged(capsys).splitlines()]
    assert line["reason"] == f"Disallowed CORS origin: CORS_ORIGINS does not name '{EVIL}'"


def test_the_reason_for_a_refused_origin_is_bounded(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Anybody can send an origin of any length."""
    capsys.readouterr()
    assert preflight(service, f"{EVIL}/{'x' * 5000}").status_code == 400
    (line,) = [json.loads(line) for line in logged(capsys).splitlines()]
    assert len(line["reason"]) == REASON_MAX
