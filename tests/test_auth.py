"""What a caller is told about a token, and what comes before and after it."""

import json
import time
from collections.abc import Callable, Iterator

import httpx
import jwt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.exceptions import HTTPException

from app.core.auth.gate import CurrentUserId
from app.core.errors import AuthInvalid
from app.core.http.answers import answer_exception
from app.core.settings import Settings
from tests.support import contract
from tests.support.factories import make_task
from tests.support.key_server import Key
from tests.support.log import logged
from tests.support.service import SECRET, Service, running_service
from tests.support.tokens import claims, token

# one for each way in which a token can be bad; tests/test_tokens.py has all of them
BAD_TOKENS: dict[str, Callable[[], str]] = {
    "no token": lambda: "abc",
    "letters beyond ASCII": lambda: token("alice") + "é",
    "white space inside": lambda: token("alice").replace(".", " .", 1),
    "another secret": lambda: token("alice", secret="x" * 40),
    "another algorithm": lambda: jwt.encode(claims("alice"), SECRET * 2, algorithm="HS512"),
    "no signature": lambda: jwt.encode(claims("alice"), "", algorithm="none"),
    "a key of Better Auth's": lambda: Key("unknown").token("https://auth.example.com"),
    "expired": lambda: token("alice", exp=int(time.time()) - 60),
    "no exp": lambda: token("alice", exp=None),
    "nobody": lambda: token("alice", sub=None, user_id=None),
    "over 8 KiB": lambda: token("alice", padding="x" * 8192),
}


def ask(service: Service, *authorization: str | bytes, path: str = "/api/alice/tasks") -> httpx.Response:
    """List Alice's tasks with these Authorization headers."""
    headers = [(b"authorization", one.encode("latin-1") if isinstance(one, str) else one) for one in authorization]
    answer = service.http.get(path, headers=headers)
    contract.hold(answer)
    return answer


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status and the error code."""
    return answer.status_code, answer.json()["error_code"]


def test_a_bad_token_is_invalid_and_says_no_more(service: Service) -> None:
    """Whatever is wrong with it, the answer is the same."""
    for what, make in BAD_TOKENS.items():
        answer = ask(service, f"Bearer {make()}")
        assert code(answer) == (401, "AUTH_INVALID"), what
        assert answer.json()["detail"] == AuthInvalid.default_detail, what


@pytest.mark.parametrize("user", ["ü", "a b", "x" * 255, "買", "a%b", "a+b", "~", "user@example.com", "🥛"])
def test_a_user_may_be_called_anything_reasonable(service: Service, database: Engine, user: str) -> None:
    """The path's user is compared after it is decoded."""
    task = make_task(database, user_id=user)
    path = f"/api/{''.join(f'%{byte:02x}' for byte in user.encode())}/tasks"
    answer = ask(service, f"Bearer {token(user)}", path=path)
    assert [one["id"] for one in answer.json()["tasks"]] == [task["id"]]


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ([], "AUTH_MISSING"),
        ([""], "AUTH_MISSING"),
        (["Bearer"], "AUTH_MISSING"),
        (["Basic YTpi"], "AUTH_MISSING"),
        (["Bearer\tabc"], "AUTH_MISSING"),
        (["BearerX abc"], "AUTH_MISSING"),
        (["Bearer t u"], "AUTH_INVALID"),
        (["Bearer abc", "Bearer abc"], "AUTH_INVALID"),
        (["Basic YTpi", "Bearer abc"], "AUTH_INVALID"),
        ([b"Bearer \xff\xfe"], "AUTH_INVALID"),
    ],
)
def test_the_header_is_read_exactly(service: Service, authorization: list[str], expected: str) -> None:
    """No token is a different thing from a bad one."""
    assert code(ask(service, *authorization)) == (401, expected)


def test_two_good_tokens_are_refused(service: Service) -> None:
    """Which of them counts would be a guess."""
    good = f"Bearer {token('alice')}"
    assert code(ask(service, good, good)) == (401, "AUTH_INVALID")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(service: Service, scheme: str) -> None:
    """RFC 9110, section 11.1."""
    assert ask(service, f"{scheme} {token('alice')}").status_code == 200


def test_more_than_one_space_may_follow_the_scheme(service: Service) -> None:
    """RFC 9110, section 11.4."""
    assert ask(service, f"Bearer   {token('alice')}").status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_another_path_is_forbidden_whatever_is_asked(service: Service, method: str) -> None:
    """403 comes before any question of routes, methods and bodies."""
    headers = {"authorization": f"Bearer {token('alice')}"}
    for path in ("/api/bob", "/api/bob/", "/api/bob/tasks", "/api/bob/tasks/1", "/api/Alice/tasks", "/api//tasks"):
        answer = service.http.request(method, path, headers=headers, content=b"{nonsense")
        contract.hold(answer)
        assert answer.status_code == 403, path


@pytest.mark.parametrize("user", ["%00", "ali%00ce", "%ED%A0%80", "alice%20", "%61lice%0A"])
def test_a_path_that_names_nobody_is_not_the_tokens_user(service: Service, user: str) -> None:
    """Text that PostgreSQL or UTF-8 can't hold is simply someone else's path."""
    assert code(ask(service, f"Bearer {token('alice')}", path=f"/api/{user}/tasks")) == (403, "AUTH_FORBIDDEN")


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "HEAD", "OPTIONS"])
def test_a_stranger_learns_nothing_of_routes(service: Service, method: str) -> None:
    """Under /api, an unknown route or a wrong method is 401 first."""
    for path in ("/api", "/api/", "/api/alice", "/api/alice/tasks/", "/api/x/y/z", "/api/alice/tasks/1/2"):
        answer = service.http.request(method, path)
        contract.hold(answer)
        assert answer.status_code == 401, path


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/alice", "/api/alice/", "/api/alice/tasks/", "/api/alice/tasks%0A", "/api/alice/tasks/1/2"],
)
def test_what_is_not_there_is_404_for_who_may_know(service: Service, path: str) -> None:
    """No redirect for a trailing slash either."""
    assert code(ask(service, f"Bearer {token('alice')}", path=path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("root_path", ["/todo", "/api", "/api/alice"])
def test_under_a_prefix_all_is_as_without_it(settings: Settings, root_path: str) -> None:
    """The server puts the prefix into the path, which is then no part of what is asked for (ASGI, root_path)."""
    good = f"Bearer {token('alice')}"
    with running_service(settings, root_path=root_path) as prefixed:
        assert ask(prefixed, good).status_code == 200
        assert code(ask(prefixed)) == (401, "AUTH_MISSING")
        assert code(ask(prefixed, good, path="/api/bob/tasks")) == (403, "AUTH_FORBIDDEN")
        assert code(ask(prefixed, good, path="/api/alice/nothing")) == (404, "NOT_FOUND")
        assert prefixed.http.get("/health").status_code == 200
        json_type = {"content-type": "application/json"}
        stranger = prefixed.http.post("/api/alice/tasks", headers=json_type, content=b"{nonsense")
        assert code(stranger) == (401, "AUTH_MISSING")


def test_a_route_that_no_layer_guards_is_closed() -> None:
    """An application that forgets the layer, or a route beside /api: nobody is signed in there."""
    app = FastAPI(exception_handlers={HTTPException: answer_exception})

    @app.get("/elsewhere")
    def whoami(user: CurrentUserId) -> str:
        return user

    answer = TestClient(app).get("/elsewhere", headers={"authorization": f"Bearer {token('alice')}"})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_MISSING")


# HTTPS, in production


@pytest.fixture(scope="module")
def production(settings: Settings) -> Iterator[Service]:
    """The service as production runs it, behind a proxy on this machine, which is trusted."""
    with running_service(settings.model_copy(update={"environment": "production"})) as production:
        yield production


def ask_forwarded(service: Service, *forwarded: str) -> httpx.Response:
    """List Alice's tasks, with these lines of X-Forwarded-Proto."""
    headers = [("authorization", f"Bearer {token('alice')}"), *(("x-forwarded-proto", line) for line in forwarded)]
    answer = service.http.get("/api/alice/tasks", headers=httpx.Headers(headers))
    contract.hold(answer)
    return answer


@pytest.mark.parametrize(
    "forwarded",
    [["https"], ["HTTPS"], ["Https"], ["https,http"], ["https , http"], ["https", "http"], [", https"], ["", "https"]],
)
def test_the_first_scheme_that_a_trusted_proxy_forwards_decides(production: Service, forwarded: list[str]) -> None:
    """Lines are one list (RFC 9110, 5.3), and schemes have no case (RFC 3986, 3.1)."""
    assert ask_forwarded(production, *forwarded).status_code == 200


@pytest.mark.parametrize(
    ("forwarded", "reason"),
    [
        ([], "no X-Forwarded-Proto was sent"),
        (["http"], "X-Forwarded-Proto is 'http'"),
        (["HTTP"], "X-Forwarded-Proto is 'http'"),
        (["http,https"], "X-Forwarded-Proto is 'http'"),
        (["http", "https"], "X-Forwarded-Proto is 'http'"),
        (["wss"], "X-Forwarded-Proto is 'wss'"),
        (["https;http"], "X-Forwarded-Proto is 'https;http'"),
        ([""], "X-Forwarded-Proto is ''"),
        ([","], "X-Forwarded-Proto is ''"),
    ],
)
def test_the_log_says_why_a_request_was_not_over_https(
    production: Service, capsys: pytest.CaptureFixture[str], forwarded: list[str], reason: str
) -> None:
    """Whoever sets up the proxy reads there what it has sent."""
    capsys.readouterr()
    answer = ask_forwarded(production, *forwarded)
    assert (code(answer), answer.json()["detail"]) == ((403, "AUTH_FORBIDDEN"), "Use HTTPS.")
    (line,) = logged(capsys).splitlines()
    assert json.loads(line)["reason"] == reason


def test_the_log_says_that_a_forwarding_sender_is_not_trusted(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its address, which FORWARDED_ALLOW_IPS may have to name."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    with running_service(settings.model_copy(update={"environment": "production"})) as distant:
        capsys.readouterr()
        for forwarded in ("https", "HTTPS, http"):
            assert code(ask_forwarded(distant, forwarded)) == (403, "AUTH_FORBIDDEN")
            (line,) = logged(capsys).splitlines()
            reason = "X-Forwarded-Proto is https, but FORWARDED_ALLOW_IPS does not name its sender, 127.0.0.1"
            assert json.loads(line)["reason"] == reason
