"""What every request meets: the order of the checks, headers, CORS, HTTPS, the log."""

import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from app.core.errors import Invalid
from app.core.http.requests import BODY_MAX, BODY_SECONDS, DEPTH_MAX, ETAGS_MAX, PARAMETERS_MAX
from app.core.settings import Settings
from app.main import create_app
from app.store import Tasks
from tests.support import contract
from tests.support.clock import PATIENCE
from tests.support.cluster import Cluster
from tests.support.factories import make_task, rows
from tests.support.log import logged
from tests.support.movable_loop import MovableLoop
from tests.support.service import NO_TLS, ORIGIN, Service, running_service, settings_for
from tests.support.tokens import token

ALICE = {"authorization": f"Bearer {token('alice')}"}
JSON = {"content-type": "application/json"}
NOT_JSON, TOO_DEEP = "The body is not valid JSON.", f"The body is nested more than {DEPTH_MAX} deep."


NAMES = [f"{number:04x}" for number in range(12_000)]
MANY = "&".join(NAMES)


@pytest.fixture
def api(service: Service, database: Engine) -> Iterator[httpx.Client]:  # noqa: ARG001 - each starts without tasks
    """A client whose every answer is held against the contract."""
    hooks = {"response": [_hold]}
    with httpx.Client(base_url=service.url, timeout=30, event_hooks=hooks, verify=NO_TLS) as client:
        yield client


def _hold(response: httpx.Response) -> None:
    response.read()
    contract.hold(response)


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status and the error code."""
    return answer.status_code, answer.json()["error_code"]


# The order of the checks: 401, 403, the request itself, 404


def test_a_stranger_s_body_is_not_read(service: Service) -> None:
    """The answer comes while the body is still on its way."""
    port = httpx.URL(service.url).port
    assert port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw:
        raw.sendall(
            b"POST /api/alice/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 1000\r\n\r\n{"title": '
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/api/alice/tasks/abc", "/api/alice/tasks/1?x=1"])
def test_a_bad_request_is_told_before_a_missing_task(api: httpx.Client, path: str) -> None:
    """Bad input first, then whether there is such a task."""
    assert code(api.patch(path, headers=ALICE | JSON, content="{}"))[0] in (400, 422)


def test_a_bad_body_for_a_missing_task_is_a_bad_body(api: httpx.Client) -> None:
    """The same, by the body."""
    answer = api.put("/api/alice/tasks/1", headers=ALICE, json={"title": "x"})
    assert code(answer) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/alice/tasks", "GET, POST"),
        ("HEAD", "/api/alice/tasks", "GET, POST"),
        ("OPTIONS", "/api/alice/tasks", "GET, POST"),
        ("POST", "/api/alice/tasks/1", "DELETE, GET, PATCH, PUT"),
        ("HEAD", "/api/alice/tasks/1", "DELETE, GET, PATCH, PUT"),
        ("POST", "/health", "GET"),
        ("DELETE", "/health/ready", "GET"),
        ("HEAD", "/health", "GET"),
        ("HEAD", "/docs", "GET"),
        ("HEAD", "/redoc", "GET"),
        ("HEAD", "/openapi.json", "GET"),
        ("HEAD", "/static-offline-docs/swagger-ui.css", "GET"),
        ("POST", "/static-offline-docs/swagger-ui.css", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(api: httpx.Client, method: str, path: str, allowed: str) -> None:
    """All of them, not those of the first route alone."""
    answer = api.request(method, path, headers=ALICE)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/health/",
        "/Api/alice/tasks",
        "/docs/",
        "/metrics%0A",
        "/static-offline-docs/x",
        "/static-offline-docs/x%2F..%2Fswagger-ui.css",
    ],
)
def test_an_unknown_place_is_404_in_the_envelope(api: httpx.Client, path: str) -> None:
    """Outside /api no token is asked for."""
    assert code(api.get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/x/docs", "/x/redoc"])
def test_the_documentation_is_served_under_a_prefix(settings: Settings, path: str) -> None:
    """As uvicorn's --root-path gives it."""
    answer = TestClient(create_app(settings), root_path="/x").get(path)
    assert answer.status_code == 200
    assert '"/x/static-offline-docs/' in answer.text


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=x", "bytes=999999999-", "bytes=0-1,3-4", "lines=1-2"])
def test_the_documentations_files_are_sent_whole(service: Service, asked: str) -> None:
    """Range may be ignored (RFC 9110, 14.2); Starlette refuses a wrong one outside the envelope."""
    answer = httpx.get(service.url + "/static-offline-docs/swagger-ui.css", headers={"range": asked})
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"]) > 1000


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/alice"])
def test_the_apis_headers_are_on_its_root_too(api: httpx.Client, path: str) -> None:
    """Whatever is under /api, and /api itself."""
    answer = api.get(path)
    assert code(answer) == (401, "AUTH_MISSING")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


# Bad input that Gherkin is too coarse for


@pytest.mark.parametrize(
    "query",
    [
        *["limit=0", "limit=501", "limit=1.0", "limit=1_0", "limit=+1", "limit=%201", "limit=", "limit=%00", "limit=٣"],
        *["limit=9" + "9" * 5000, "offset=-1", "offset=9223372036854775808", "after=0", "after=-1", "after=x"],
        *[
            "after=9223372036854775808",
            "complete=True",
            "complete=1",
            "complete=",
            "complete=null",
            "complete=%ED%A0%80",
        ],
        *["x=1", "limit=1&limit=1", "LIMIT=1", "offset=0&after=1", "%00=1", "=1", "limit[]=1", "x"],
        *["user_id=alice", "If-None-Match=x", "offset=1_0", "after=+1"],
    ],
)
def test_a_bad_query_names_its_parameter(api: httpx.Client, query: str) -> None:
    """And is 422."""
    answer = api.get(f"/api/alice/tasks?{query}", headers=ALICE)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert answer.json()["errors"][0]["loc"][0] == "query"


def test_a_repeated_parameter_is_told_as_such(api: httpx.Client) -> None:
    """It is known, so that another sentence would mislead."""
    answer = api.get("/api/alice/tasks?limit=1&limit=1", headers=ALICE)
    assert answer.json()["detail"] == "limit: must appear only once"


def test_the_page_after_an_offset_has_none(api: httpx.Client, database: Engine) -> None:
    """It begins behind the last task of this one; the other parameters stay, and the count is of all that match."""
    ids = [make_task(database, user_id="alice", complete=True)["id"] for _ in range(4)]
    make_task(database, user_id="alice", complete=False)
    answer = api.get("/api/alice/tasks?complete=true&limit=1&offset=1", headers=ALICE)
    assert answer.headers["link"] == f'</api/alice/tasks?complete=true&limit=1&after={ids[2]}>; rel="next"'
    assert answer.json()["count"] == 4
    assert api.get(answer.links["next"]["url"], headers=ALICE).json()["tasks"][0]["id"] == ids[1]
    beyond = api.get("/api/alice/tasks?complete=true&offset=10", headers=ALICE)
    assert (beyond.json(), beyond.links) == ({"tasks": [], "count": 4}, {})


@pytest.mark.parametrize(
    "query", ["limit=001", "offset=9223372036854775807", "after=9223372036854775807", "limit=500", "&&"]
)
def test_an_odd_query_may_be_good(api: httpx.Client, query: str) -> None:
    """Decimal digits are decimal digits."""
    assert api.get(f"/api/alice/tasks?{query}", headers=ALICE).status_code == 200


def test_an_unknown_name_is_told_up_to_its_64th_character(api: httpx.Client) -> None:
    """So that an answer is not as large as what was sent."""
    for name in ("x" * 64, "x" * 65):
        answer = api.post("/api/alice/tasks", headers=ALICE, json={"title": "x", name: 1})
        assert answer.json()["errors"][0]["loc"] == ["body", "x" * 64]


@pytest.mark.parametrize("place", ["body", "query"])
def test_many_errors_are_told_by_their_number(api: httpx.Client, place: str) -> None:
    """The answer stays small, however many fields are unknown."""
    names = NAMES[:7000] if place == "body" else NAMES[:PARAMETERS_MAX]
    if place == "body":
        answer = api.post("/api/alice/tasks", headers=ALICE, json={"title": "x"} | dict.fromkeys(names, 1))
    else:
        answer = api.get("/api/alice/tasks?" + "&".join(names), headers=ALICE)
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert [error["loc"] for error in answer.json()["errors"]] == [[place, name] for name in names[:20]]
    assert answer.json()["detail"].endswith(f"{names[19]}: is not known here; and {len(names) - 20} more")
    assert len(answer.content) < 4000


def test_a_known_field_is_told_too_where_twenty_are_unknown(api: httpx.Client) -> None:
    """Only where more are unknown are they told alone."""
    answer = api.post("/api/alice/tasks", headers=ALICE, json={"title": ""} | dict.fromkeys(NAMES[:20], 1))
    assert answer.json()["errors"][0]["loc"] == ["body", "title"]
    assert answer.json()["detail"].endswith("; and 1 more")
    answer = api.post("/api/alice/tasks", headers=ALICE, json={"title": ""} | dict.fromkeys(NAMES[:21], 1))
    assert answer.json()["errors"][0]["loc"] == ["body", NAMES[0]]
    assert answer.json()["detail"].endswith("; and 1 more")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "title: is required"),
        ({"title": "a\0b"}, "title: must not contain NUL"),
        ({"title": "\ud800"}, "title: must be Unicode text, without lone surrogates"),
        ({"title": "x", "titel": "x"}, "titel: is not known here"),
        ({"title": "x" * 201}, "title: must have at most 200 characters"),
        ([], "body: must be an object"),
    ],
)
def test_what_is_wrong_is_told_in_words_that_follow_the_fields_name(
    api: httpx.Client, body: object, detail: str
) -> None:
    """So that a frontend can show it as it is."""
    answer = api.post("/api/alice/tasks", headers=ALICE | JSON, content=json.dumps(body))
    assert answer.json()["detail"] == detail


def test_a_validators_sentence_is_told_as_it_is() -> None:
    """Without pydantic's "Value error, "."""
    error = {"loc": ("body", "due"), "msg": "Value error, must be a day to come", "type": "value_error"}
    assert Invalid([error]).detail == "due: must be a day to come"


def test_a_pattern_is_told_by_itself() -> None:
    """The core does not know what a field's pattern is for."""
    error = {"loc": ("body", "x"), "msg": "String should match pattern '^a$'", "type": "string_pattern_mismatch"}
    assert Invalid([error]).detail == "x: must match pattern '^a$'"


def test_no_number_is_told_where_all_errors_are_listed() -> None:
    """Twenty are listed; a location may hold the place in a list."""
    error = {"loc": ("body", "x", 0), "msg": "is bad", "type": "bad"}
    assert Invalid([error] * 20).detail == "; ".join(["x.0: is bad"] * 20)


def cost_of(service: Service, head: str, body: str = "") -> float:
    """The seconds of CPU that a request costs this process, in which the service is too, on the average.

    Linux counts a thread that is running on another core no later than at its next tick, every 10 ms or
    less. One request can be over before; so many are sent, until their sum is far more than a tick.
    """
    request = f"{head}\r\nHost: x\r\nConnection: close\r\nAuthorization: {ALICE['authorization']}\r\n"
    if body:
        request += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    port = httpx.URL(service.url).port or 0
    began, count, spent = time.process_time(), 0, 0.0
    while spent < 0.2:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw:
            raw.sendall(f"{request}\r\n{body}".encode())
            while raw.recv(65536):
                pass
        count, spent = count + 1, time.process_time() - began
    return spent / count


def test_looking_for_a_repeated_name_takes_linear_time(service: Service) -> None:
    """The event loop serves nobody else meanwhile; quadratic, the largest body takes half a second."""

    def cost(count: int) -> float:
        body = "{" + ",".join(f'"{name}":1' for name in [*NAMES[:count], "last", "last"]) + "}"
        answer = service.http.post("/api/alice/tasks", headers=ALICE | JSON, content=body)
        assert answer.json()["detail"] == "last: must appear only once"
        return cost_of(service, "POST /api/alice/tasks HTTP/1.1", body)

    assert cost(7000) / cost(1750) < 8  # in quadratic time 16


@pytest.mark.parametrize(
    "place",
    [
        *["/api/alice/tasks", "/api/alice/tasks/1", "/api/alice/nowhere", "/health", "/docs", "/openapi.json"],
        "/static-offline-docs/swagger-ui.css",
    ],
)
def test_many_parameters_cost_no_more_than_one_of_their_length(service: Service, place: str) -> None:
    """FastAPI parses the query for every route, and the event loop serves nobody else meanwhile."""
    many = cost_of(service, f"GET {place}?{MANY} HTTP/1.1")
    assert many / cost_of(service, f"GET {place}?{'x' * len(MANY)} HTTP/1.1") < 3


def test_many_unknown_fields_cost_no_more_than_a_repeated_one(service: Service) -> None:
    """Both are parsed, and an error is made for those alone that are shown."""
    names = NAMES[:7000]
    unknown = "{" + ",".join(f'"{name}":1' for name in names) + "}"
    repeated = "{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}"
    head = "POST /api/alice/tasks HTTP/1.1"
    assert cost_of(service, head, unknown) / cost_of(service, head, repeated) < 3


def test_the_number_of_parameters_is_limited(api: httpx.Client) -> None:
    """Fifty are looked at, as any other; one more is told of all."""
    fifty = "&".join(NAMES[:PARAMETERS_MAX])
    for path in ("/api/alice/tasks", "/api/alice/tasks/1"):
        answer = api.get(f"{path}?{fifty}", headers=ALICE)
        assert answer.json()["errors"][0]["loc"] == ["query", NAMES[0]]
        answer = api.get(f"{path}?{fifty}&x", headers=ALICE)
        assert code(answer) == (422, "VALIDATION_ERROR")
        assert answer.json()["detail"] == f"query: must have at most {PARAMETERS_MAX} parameters"
        assert code(api.get(f"{path}?{fifty}&x")) == (401, "AUTH_MISSING")
    assert api.get(f"/health?{fifty}&x").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "header"), [("PATCH", "If-Match"), ("DELETE", "If-Match"), ("GET", "If-None-Match")]
)
def test_the_number_of_tags_is_limited(api: httpx.Client, database: Engine, method: str, header: str) -> None:
    """Each is compared in the database; one more than the limit is refused, before anything is changed."""
    task = make_task(database, user_id="alice")
    path, body = f"/api/alice/tasks/{task['id']}", {"json": {"title": "y"}} if method == "PATCH" else {}
    tag = api.get(path, headers=ALICE).headers["etag"]
    tags = ['"other"'] * (ETAGS_MAX - 1) + [tag]
    missing = api.request(method, "/api/alice/tasks/1", headers=ALICE | {header: "," * 60_000}, **body)  # type: ignore[arg-type]
    assert missing.status_code == 422
    for many in (", ".join([*tags, tag]), "," * 60_000):
        answer = api.request(method, path, headers=ALICE | {header: many}, **body)  # type: ignore[arg-type]
        assert code(answer) == (422, "VALIDATION_ERROR")
        assert answer.json()["errors"][0]["loc"] == ["header", header]
        assert rows(database, "alice") == [task]
    answer = api.request(method, path, headers=ALICE | {header: ", ".join(tags)}, **body)  # type: ignore[arg-type]
    assert answer.status_code == {"PATCH": 200, "DELETE": 204, "GET": 304}[method]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_only_a_list_can_be_asked_questions(api: httpx.Client, database: Engine, method: str) -> None:
    """An unknown parameter may be a typo, wherever it stands."""
    task = make_task(database, user_id="alice")
    path = "/api/alice/tasks" if method == "POST" else f"/api/alice/tasks/{task['id']}"
    body = {} if method in ("GET", "DELETE") else {"json": {"title": "x", "complete": True}}
    answer = api.request(method, f"{path}?limit=1", headers=ALICE, **body)  # type: ignore[arg-type]
    assert code(answer) == (422, "VALIDATION_ERROR")
    assert rows(database, "alice") == [task]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b" ", 400),
        (b"{", 400),
        (b"{}{}", 400),
        (b"{'title': 'x'}", 400),
        (b'{"title": "x",}', 400),
        (b'{"title": "a\nb"}', 400),
        (b"\xff\xfe", 400),
        (b"\xef\xbb\xbf{}", 400),
        ('{"title": "x"}'.encode("utf-16"), 400),
        (b'{"title": Infinity}', 400),
        (b'{"title": -Infinity}', 400),
        (b'{"x": {"y": NaN}}', 400),
        (b'{"x": ' + b"1" * 5000 + b"}", 400),
        (b'{"title": "x", "title": "x"}', 422),
        (b'{"title": "x", "x": {"a": 1, "a": 2}}', 422),
        (b'{"title": "x", "": 1}', 422),
        (b'{"title": "x", "\\ud800": 1}', 422),
        (b'{"title": "x", "' + b"k" * 60_000 + b'": 1}', 422),
        (b'{"title": 1e999}', 422),
        (b'{"title": {"title": "x"}}', 422),
        (b'[{"title": "x"}]', 422),
        (b"null", 422),
        (b"true", 422),
        (b"0", 422),
        (b'""', 422),
    ],
)
def test_a_bad_body_changes_nothing(api: httpx.Client, database: Engine, body: bytes, status: int) -> None:
    """What is no JSON is 400, what is no task is 422, and neither is said back."""
    task = make_task(database, user_id="alice")
    for method in ("POST", "PUT", "PATCH"):
        path = "/api/alice/tasks" if method == "POST" else f"/api/alice/tasks/{task['id']}"
        answer = api.request(method, path, headers=ALICE | JSON, content=body)
        assert code(answer) == (status, "VALIDATION_ERROR"), method
        assert len(answer.content) < 1000
        if status == 400:
            assert answer.json()["detail"] == (NOT_JSON if body else "The body is empty.")
    assert rows(database, "alice") == [task]


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    """A value within so many arrays or objects."""
    return opening * depth + b"1" + closing * depth


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (nested(b"[", b"]", DEPTH_MAX + 1), TOO_DEEP),
        (nested(b'{"x": ', b"}", DEPTH_MAX + 1), TOO_DEEP),
        (nested(b'[{"x": ', b"}]", DEPTH_MAX // 2 + 1), TOO_DEEP),
        (nested(b"[", b"]", 30_000), TOO_DEEP),
        (nested(b'{"x": ', b"}", 9000), TOO_DEEP),
        (b"[" * BODY_MAX, TOO_DEEP),
        # in a string a bracket closes nothing, nor does a quotation mark behind a backslash end the string
        (b'["]", ' + nested(b"[", b"]", DEPTH_MAX) + b"]", TOO_DEEP),
        (rb'["\"]", ' + nested(b"[", b"]", DEPTH_MAX) + b"]", TOO_DEEP),
        (rb'["\\", ' + nested(b"[", b"]", DEPTH_MAX) + b"]", TOO_DEEP),
        (b'"' + b"[" * (DEPTH_MAX + 1), NOT_JSON),
    ],
)
def test_a_body_that_is_nested_too_deep_is_not_read(api: httpx.Client, body: bytes, detail: str) -> None:
    """Whatever the Python: how deep its own parser comes depends on its version, and on how full its stack is."""
    answer = api.post("/api/alice/tasks", headers=ALICE | JSON, content=body)
    assert (code(answer), answer.json()["detail"]) == ((400, "VALIDATION_ERROR"), detail)


@pytest.mark.parametrize(
    "body",
    [
        nested(b"[", b"]", DEPTH_MAX),
        nested(b'{"x": ', b"}", DEPTH_MAX),
        nested(b'[{"x": ', b"}]", DEPTH_MAX // 2),
        b"[" + b"[{}]," * 1000 + nested(b"[", b"]", DEPTH_MAX - 1) + b"]",
        b'["' + b"[" * 1000 + b'"]',
        rb'["\"' + b"[" * 1000 + b'"]',
    ],
)
def test_a_body_that_is_nested_less_is_judged_by_what_it_says(api: httpx.Client, body: bytes) -> None:
    """It is not a task; what stands beside each other or in a string is not nested."""
    assert code(api.post("/api/alice/tasks", headers=ALICE | JSON, content=body)) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 201),
        ("application/merge-patch+json", 201),
        ("application/vnd.api+json", 201),
        ("text/json", 400),
        ("text/plain", 400),
        ("application/x-json", 400),
        ("application/jsonx", 400),
        ("application/", 400),
        ("json", 400),
        ("", 400),
        ("multipart/form-data", 400),
        ("image/svg+json", 400),
    ],
)
def test_only_json_is_taken_for_json(api: httpx.Client, kind: str, status: int) -> None:
    """A page of another origin can send text/plain without asking; it must not be taken for JSON."""
    answer = api.post("/api/alice/tasks", headers=ALICE | {"content-type": kind}, content='{"title": "x"}')
    assert answer.status_code == status


@pytest.mark.usefixtures("database")
def test_a_slow_body_leaves_the_database_its_time(cluster: Cluster) -> None:
    """What a caller takes to send is not counted against the request's time."""
    seconds = 4

    def slowly() -> Iterator[bytes]:
        for piece in (b'{"title": ', b'"x"', b"}"):
            yield piece
            time.sleep(seconds / 2.5)

    with running_service(settings_for(cluster.url, request_timeout=seconds)) as service:
        url = f"{service.url}/api/alice/tasks"
        assert httpx.post(url, headers=ALICE | JSON, content=slowly(), timeout=60).status_code == 201


@pytest.fixture(scope="module")
def loop_and_service(settings: Settings) -> Iterator[tuple[MovableLoop, Service]]:
    """A service whose clock can be moved."""
    loop = MovableLoop()
    with running_service(settings, lambda: loop) as service:
        yield loop, service


@pytest.mark.parametrize(("seconds", "status"), [(BODY_SECONDS - 1, 201), (BODY_SECONDS, 400)])
@pytest.mark.parametrize("piece", ["", '{"title": '])
def test_a_body_has_a_time_of_its_own(
    loop_and_service: tuple[MovableLoop, Service], database: Engine, piece: str, seconds: int, status: int
) -> None:
    """However much of it has come: its sender's token would else be good for as long as the sender likes."""
    loop, service = loop_and_service
    body = '{"title": "x"}'
    head = (
        f"POST /api/alice/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port or 0), timeout=PATIENCE) as raw:
        raw.sendall(head.encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 100 ")  # the body is being read
        raw.sendall(piece.encode())
        loop.move(seconds)
        if status == 201:
            raw.sendall(body.removeprefix(piece).encode())
        answer = b""
        while not answer.endswith(b"}"):
            answer += raw.recv(65536)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert status == 201 or b'"The body did not arrive within 30 seconds."' in answer
    assert len(rows(database, "alice")) == (status == 201)


def test_the_limit_of_a_body_is_exact(api: httpx.Client) -> None:
    """64 KiB are read, one byte more is not, told beforehand or not."""
    body = b'{"title": "x"}'.ljust(64 * 1024)

    def in_pieces(content: bytes) -> Iterator[bytes]:
        for start in range(0, len(content), 10_000):
            yield content[start : start + 10_000]

    for content, status in [(body, 201), (body + b" ", 413)]:
        assert api.post("/api/alice/tasks", headers=ALICE | JSON, content=content).status_code == status
        assert api.post("/api/alice/tasks", headers=ALICE | JSON, content=in_pieces(content)).status_code == status


def test_bodies_of_what_takes_none_are_ignored(api: httpx.Client, database: Engine) -> None:
    """The connection goes on to serve."""
    task = make_task(database, user_id="alice")
    big = b"x" * 200_000
    assert api.request("GET", "/api/alice/tasks", headers=ALICE, content=big).status_code == 200
    assert api.request("DELETE", f"/api/alice/tasks/{task['id']}", headers=ALICE, content=big).status_code == 204


@pytest.mark.parametrize("query", ["limit=2", "limit=2&offset=1", "limit=2&after=9223372036854775807"])
def test_a_count_is_never_less_than_what_its_list_shows(
    api: httpx.Client, database: Engine, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """A list takes two statements; here another client deletes everything between them."""
    for _ in range(4):
        make_task(database, user_id="alice")
    original = Tasks.count

    async def delete_and_count(self: Tasks, *, complete: bool | None) -> int:
        with database.begin() as connection:
            connection.execute(text("DELETE FROM task"))
        return await original(self, complete=complete)

    monkeypatch.setattr(Tasks, "count", delete_and_count)
    answer = api.get(f"/api/alice/tasks?{query}", headers=ALICE)
    assert len(answer.json()["tasks"]) == 2
    assert answer.links["next"]
    assert answer.json()["count"] == (4 if "offset" in query else 3)


# Headers


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_a_callers_reference_is_kept(api: httpx.Client, given: str) -> None:
    """On errors too."""
    for path in ("/health", "/nowhere", "/api/alice/tasks"):
        assert api.get(path, headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", 'a"', "a\tb", "ü".encode(), "a/b", "a\\u000a"])
def test_a_reference_that_could_do_harm_is_replaced(api: httpx.Client, given: str) -> None:
    """It would end up in a log."""
    answer = api.get("/health", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_preflight_needs_no_token(api: httpx.Client) -> None:
    """A browser sends none with it."""
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization, content-type, x-request-id",
    }
    answer = api.options("/api/alice/tasks/1", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"Authorization", "Content-Type", "X-Request-ID"} <= set(allowed)


def test_every_kind_of_answer_can_be_read_across_origins(api: httpx.Client) -> None:
    """A 401 and a 404 as well as a 200; and nobody else's page may."""
    for path, headers in [("/api/alice/tasks", ALICE), ("/api/alice/tasks", {}), ("/api/bob/tasks", ALICE), ("/x", {})]:
        answer = api.get(path, headers=headers | {"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"Link", "Location", "Retry-After", "X-Request-ID"} <= set(exposed)
        assert "Origin" in answer.headers["vary"]
        other = api.get(path, headers=headers | {"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_an_unexpected_failure_is_generic_readable_and_traced(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 500 has the envelope, the reference, CORS headers; its cause is in the log, its message is not."""
    with running_service(service.settings) as broken:

        async def fail() -> None:
            raise RuntimeError("hunter" + str(1 + 1))

        assert broken.app
        broken.app.add_api_route("/broken", fail)

        answer = httpx.get(broken.url + "/broken", headers={"origin": ORIGIN, "x-request-id": "find-me"})
    contract.hold(answer)
    assert code(answer) == (500, "INTERNAL_ERROR")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["x-request-id"] == "find-me"
    assert "RuntimeError" not in answer.text
    (line,) = [json.loads(line) for line in logged(capsys).splitlines() if "find-me" in line]
    assert (line["status"], line["error_code"], line["endpoint"]) == (500, "INTERNAL_ERROR", "/broken")
    assert line["exception"][-1] == "RuntimeError"
    assert any("in fail" in frame for frame in line["exception"])
    assert "hunter2" not in json.dumps(line)


# HTTPS


@pytest.fixture(scope="module")
def production(service: Service) -> Iterator[Service]:
    """The service as production runs it, behind a proxy on this machine."""
    with running_service(settings_for(service.settings.required_database_url, environment="production")) as production:
        yield production


def test_production_serves_the_api_over_https_alone(production: Service) -> None:
    """By what the trusted proxy says, before the token is looked at, and without a redirect."""
    for headers in (ALICE, {}, *[ALICE | {"x-forwarded-proto": scheme} for scheme in ("http", "ws", "wss")]):
        answer = httpx.get(production.url + "/api/alice/tasks", headers=headers)
        contract.hold(answer)
        assert code(answer) == (403, "AUTH_FORBIDDEN")
        assert answer.json()["detail"] == "Use HTTPS."
    proxied = {"x-forwarded-proto": "https"}
    assert httpx.get(production.url + "/api/alice/tasks", headers=ALICE | proxied).status_code == 200
    assert httpx.get(production.url + "/api/alice/tasks", headers=proxied).status_code == 401


def test_production_tells_browsers_to_stay_with_https(production: Service, service: Service) -> None:
    """On every answer, refusals included; development says nothing of it."""
    for path in ("/health", "/nowhere", "/api/alice/tasks"):
        assert httpx.get(production.url + path).headers["strict-transport-security"].startswith("max-age=")
        assert "strict-transport-security" not in httpx.get(service.url + path).headers


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/health", "/health/ready"])
def test_what_is_open_in_production(production: Service, path: str) -> None:
    """Without a token, and over plain HTTP: a proxy closes what an operator minds."""
    assert httpx.get(production.url + path).status_code == 200


def test_a_refusal_in_development_says_nothing_of_https(service: Service) -> None:
    """Of what is no HTTP; production's are in tests/test_raw_http.py."""
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE) as raw:
        raw.sendall(b"garbage\r\n\r\n")
        refusal = raw.recv(65536)
    assert refusal.startswith(b"HTTP/1.1 400 ")
    assert b"strict-transport-security" not in refusal.lower()


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.usefixtures("database")
def test_health_is_open_to_load_balancers(production: Service, path: str) -> None:
    """Over plain HTTP, without a token."""
    assert httpx.get(production.url + path).json() == {"status": "ok"}


def test_an_untrusted_proxy_is_not_believed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What X-Forwarded-Proto says counts only from the addresses that uvicorn is told to trust."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    with running_service(settings_for(service.settings.required_database_url, environment="production")) as distant:
        answer = httpx.get(distant.url + "/api/alice/tasks", headers=ALICE | {"x-forwarded-proto": "https"})
    assert code(answer) == (403, "AUTH_FORBIDDEN")


# The log


def test_each_request_leaves_one_line(api: httpx.Client, database: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, what, how it ended and how long it took; refusals and unknown places too."""
    task = make_task(database, user_id="alice")
    asked = [
        ("GET", "/api/alice/tasks?limit=5", ALICE, "alice", "/api/{user_id}/tasks", 200),
        ("GET", f"/api/alice/tasks/{task['id']}", ALICE, "alice", "/api/{user_id}/tasks/{task_id}", 200),
        ("GET", f"/api/alice/tasks/{2**60}", ALICE, "alice", "/api/{user_id}/tasks/{task_id}", 404),
        ("GET", "/api/alice/tasks", {}, None, "/api/{user_id}/tasks", 401),
        ("GET", "/api/bob/tasks/1", ALICE, "alice", "/api/{user_id}/tasks/{task_id}", 403),
        ("PUT", "/api/alice/tasks", ALICE, "alice", "/api/{user_id}/tasks", 405),
        ("GET", "/no/where", {}, None, None, 404),
        ("GET", "/health", {}, None, "/health", 200),
    ]
    for place, (method, path, headers, *_) in enumerate(asked):
        api.request(method, path, headers=headers | {"x-request-id": f"line-{place}"})
    lines = [json.loads(line) for line in logged(capsys, len(asked)).splitlines()]
    assert len(lines) == len(asked)
    for place, (line, (method, _, _, user, endpoint, status)) in enumerate(zip(lines, asked, strict=True)):
        told = {name: line[name] for name in ("request_id", "user_id", "method", "endpoint", "status")}
        expected = {"request_id": f"line-{place}", "user_id": user, "method": method}
        assert told == expected | {"endpoint": endpoint, "status": status}
        assert ("error_code" in line, "exception" in line) == (status >= 400, False)
        assert 0 < line["duration_ms"] < 5000


def test_no_secret_is_logged(api: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """No token, no body, no title, no query value, whether it goes well or not."""
    secret, bearer = "sesame4711", ALICE["authorization"].removeprefix("Bearer ")
    api.post("/api/alice/tasks", headers=ALICE, json={"title": secret, "description": secret})
    api.post("/api/alice/tasks", headers=ALICE, json={"title": [secret], secret: 1})
    api.get(f"/api/alice/tasks?complete={secret}&{secret}=1", headers=ALICE)
    api.get(f"/api/alice/tasks/{secret}", headers=ALICE)
    api.get(f"/{secret}")
    api.get("/api/alice/tasks", headers={"authorization": f"Bearer {secret}"})
    api.get("/api/alice/tasks", headers={"x-request-id": f"{secret} x"})
    log = logged(capsys, 7)
    assert len(log.splitlines()) == 7
    assert secret not in log
    assert bearer not in log
    assert bearer.split(".")[2] not in log


def test_a_path_can_not_forge_a_line(api: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor can a user's id."""
    user = '{"a": "b"}'
    api.get("/api/x%0A{%22status%22:200}/tasks", headers={"authorization": f"Bearer {token(user)}"})
    (line,) = logged(capsys).splitlines()
    assert json.loads(line)["user_id"] == user


def test_a_failing_database_is_told_in_the_log_by_its_code(
    api: httpx.Client, database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the database said may hold what a user wrote; its code is enough to find the cause."""
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE task RENAME TO elsewhere"))
    try:
        answer = api.post("/api/alice/tasks", headers=ALICE, json={"title": "sesame4711"})
        assert code(answer) == (500, "DATABASE_ERROR")
        assert code(api.get("/health/ready")) == (503, "DATABASE_ERROR")
    finally:
        with database.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO task"))
    assert api.get("/health/ready").status_code == 200
    log = logged(capsys, 3)
    request, readiness, _ = [json.loads(line) for line in log.splitlines()]
    assert "SQLSTATE 42P01" in request["exception"]
    assert readiness["reason"].startswith("the database lacks: task ")
    assert "sesame4711" not in log
