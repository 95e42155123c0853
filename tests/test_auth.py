"""What a caller is told about a token, and what comes before and after it."""

import time
from collections.abc import Callable

import httpx
import jwt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.exceptions import HTTPException

from app.core.auth.gate import CurrentUser
from app.core.errors import AuthInvalid
from app.core.http.answers import handle
from tests.support import contract
from tests.support.factories import make_task
from tests.support.key_server import Key
from tests.support.service import SECRET, Service
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
    for path in ("/api/bob/tasks", "/api/bob/tasks/1", "/api/Alice/tasks", "/api//tasks", "/api/bob/x"):
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
    ["/api", "/api/", "/api/alice", "/api/bob", "/api/alice/tasks/", "/api/alice/tasks%0A", "/api/alice/tasks/1/2"],
)
def test_what_is_not_there_is_404_for_who_may_know(service: Service, path: str) -> None:
    """No redirect for a trailing slash either."""
    assert code(ask(service, f"Bearer {token('alice')}", path=path)) == (404, "NOT_FOUND")


def test_a_route_that_no_layer_guards_is_closed() -> None:
    """An application that forgets the layer, or a route beside /api: nobody is signed in there."""
    app = FastAPI(exception_handlers={HTTPException: handle})

    @app.get("/elsewhere")
    def whoami(user: CurrentUser) -> str:
        return user

    answer = TestClient(app).get("/elsewhere", headers={"authorization": f"Bearer {token('alice')}"})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_MISSING")
