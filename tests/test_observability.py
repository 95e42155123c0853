"""What an operator sees: metrics, hang-ups, and what libraries log."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from app.core.observability.logs import write_line, writer
from app.core.observability.metrics import TEXT_SECONDS
from app.main import create_app
from tests.support.clock import PATIENCE, pause, wait_until
from tests.support.cluster import Cluster
from tests.support.factories import make_task
from tests.support.key_server import Key, key_server
from tests.support.log import logged
from tests.support.processes import Run
from tests.support.service import NO_TLS, SECRET, Service, running_service, settings_for
from tests.support.tokens import token

ALICE = {"authorization": f"Bearer {token('alice')}"}
TASKS, ONE_TASK = "/api/{user_id}/tasks", "/api/{user_id}/tasks/{task_id}"
Labels = tuple[tuple[str, str], ...]


def scrape(service: Service) -> dict[tuple[str, Labels], float]:
    """Every sample by its name and labels, as Prometheus reads them, once they are new."""
    time.sleep(TEXT_SECONDS)
    answer = httpx.get(service.url + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, Labels]:
    """The key of a sample."""
    return name, tuple(sorted(labels.items()))


def raw(service: Service, data: bytes) -> socket.socket:
    """Send bytes and keep the connection."""
    port = httpx.URL(service.url).port
    assert port
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(data)
    return connection


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What has been logged since."""
    return [json.loads(line) for line in logged(capsys).splitlines()]


def requests(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The lines of requests, among what libraries may have logged too."""
    return [line for line in lines(capsys) if "status" in line]


def line_of(request_id: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object] | None:
    """The line of a request, once it has been written."""
    writer.flush()
    logged_lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return next((line for line in logged_lines if line.get("request_id") == request_id), None)


def statements_that_wait(database: Engine) -> int:
    """How many wait for a lock."""
    with database.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


@pytest.mark.usefixtures("database")
def test_each_request_is_counted_by_what_and_how_it_ended(service: Service) -> None:
    """Requests, errors by code, and durations, under the same labels."""
    before = scrape(service)
    for _ in range(3):
        httpx.get(f"{service.url}/api/alice/tasks", headers=ALICE)
    httpx.get(f"{service.url}/api/alice/tasks")
    httpx.post(f"{service.url}/api/alice/tasks", headers=ALICE, json={})
    httpx.get(f"{service.url}/api/alice/tasks/1", headers=ALICE)
    after = scrape(service)
    for endpoint, method, status, count, error_code in [
        (TASKS, "GET", "200", 3, None),
        (TASKS, "GET", "401", 1, "AUTH_MISSING"),
        (TASKS, "POST", "422", 1, "VALIDATION_ERROR"),
        (ONE_TASK, "GET", "404", 1, "NOT_FOUND"),
    ]:
        labels = {"method": method, "endpoint": endpoint, "status": status}
        for name in ("http_requests_total", "http_request_duration_seconds_count"):
            key = labelled(name, **labels)
            assert after[key] - before.get(key, 0) == count, key
        if error_code:
            key = labelled("http_errors_total", **labels, error_code=error_code)
            assert after[key] - before.get(key, 0) == 1


REFUSED = {
    "no HTTP": (b"nonsense\r\n\r\n", "400"),
    "a head that is too large": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
    "a coding": (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"),
    "one request too many": (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 18, "400"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_protocol_refuses_is_counted(service: Service, what: str) -> None:
    """An attack, or a broken proxy, must be seen: as of no endpoint, since the request could not be read."""
    sent, status = REFUSED[what]
    before = scrape(service)
    with raw(service, sent) as connection:
        while connection.recv(10_000):
            pass
    after = scrape(service)
    labels = {"method": "other", "endpoint": "none", "status": status}
    for key in (
        labelled("http_requests_total", **labels),
        labelled("http_request_duration_seconds_count", **labels),
        labelled("http_errors_total", **labels, error_code="VALIDATION_ERROR"),
    ):
        assert after[key] - before.get(key, 0) == 1, key


def test_asking_for_the_metrics_costs_little(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks, and how often: the text is made once a second, and a scrape is right within one."""
    made: list[float] = []

    def generate(registry: CollectorRegistry) -> bytes:
        made.append(time.monotonic())
        return generate_latest(registry)

    monkeypatch.setattr("app.core.observability.metrics.generate_latest", generate)
    time.sleep(TEXT_SECONDS)
    began = time.monotonic()
    texts = {httpx.get(service.url + "/metrics", verify=NO_TLS).text for _ in range(50)}
    assert len(made) <= (time.monotonic() - began) / TEXT_SECONDS + 1
    assert len(texts) == len(made)


def test_a_folder_for_the_metrics_of_others_is_left_alone(
    cluster: Cluster, folder: Path, serve: Callable[..., Run]
) -> None:
    """`PROMETHEUS_MULTIPROC_DIR`, which may be set for another program: a full disk there would end this one."""
    others = folder / "others"
    others.mkdir()
    run = serve(folder, DATABASE_URL=cluster.url, BETTER_AUTH_SECRET=SECRET, PROMETHEUS_MULTIPROC_DIR=str(others))
    run.wait_until_up()
    assert 'http_requests_total{endpoint="/health"' in httpx.get(run.url + "/metrics").text
    assert list(others.iterdir()) == []


def test_unknown_places_and_users_do_not_make_labels(service: Service) -> None:
    """Whatever a scanner asks for is one label."""
    before = len(scrape(service))
    for place in range(30):
        service.http.get(f"/wp-login-{place}")
        service.http.get(f"/api/user-{place}/tasks/{place}")
        service.http.get(f"/api/user-{place}/x{place}")
    after = scrape(service)
    new = {dict(labels).get("endpoint") for name, labels in after if name == "http_requests_total"}
    assert "none" in new
    assert not [key for key in after if re.search("user-|wp-login|x1", str(key))]
    # two endpoints at most, each with a request count and a histogram
    assert len(after) - before < 4 * 25


def test_methods_that_are_not_served_are_one_label(service: Service) -> None:
    """Each label costs memory, and the time of every scrape."""
    methods = ("TRACE", "HEAD", "PROPFIND", "MKCOL", "LOCK", "SEARCH", "M-SEARCH", "PURGE", "QUERY")
    for method in methods:
        assert httpx.request(method, f"{service.url}/health").status_code == 405
    labels = [dict(labels) for name, labels in scrape(service) if name == "http_requests_total"]
    assert not {label["method"] for label in labels} & {*methods}
    assert {"method": "other", "endpoint": "/health", "status": "405"} in labels


@pytest.fixture
def patient(cluster: Cluster) -> Iterator[Service]:
    """A service whose statements may wait for a lock as long as a busy machine needs for what is done meanwhile."""
    with running_service(settings_for(cluster.url, request_timeout=60)) as service:
        yield service


def test_the_pool_can_be_watched(patient: Service, database: Engine) -> None:
    """Its size, and how much of it is in use while a statement waits."""
    task = make_task(database, user_id="alice")
    in_use = labelled("database_connections_in_use")
    assert scrape(patient)[labelled("database_pool_size")] == 16
    with database.connect() as lock, ThreadPoolExecutor(1) as client:
        lock.execute(text("SELECT 1 FROM task FOR UPDATE"))
        url = f"{patient.url}/api/alice/tasks/{task['id']}"
        asked = client.submit(httpx.delete, url, headers=ALICE, timeout=60)
        wait_until(lambda: scrape(patient)[in_use] == 1)
        lock.rollback()
        assert asked.result().status_code == 204
    idle = scrape(patient)
    assert idle[in_use] == 0
    assert idle[labelled("database_connections_idle")] >= 1


@pytest.mark.usefixtures("database")
def test_the_caches_can_be_watched(cluster: Cluster) -> None:
    """How often a token was known to be good, and how often its key was there."""
    key = Key("first")
    with key_server(key) as server, running_service(settings_for(cluster.url, better_auth_url=server.url)) as trusting:
        first, second = key.token(server.url), key.token(server.url, "bob")
        for bearer, user in [(first, "alice"), (first, "alice"), (first, "alice"), (second, "bob")]:
            headers = {"authorization": f"Bearer {bearer}"}
            assert trusting.http.get(f"/api/{user}/tasks", headers=headers).status_code == 200
        now = scrape(trusting)
    told = {
        name: now[labelled(f"{name}_total")]
        for cache in ("verified_token", "key")
        for name in (f"{cache}_cache_hits", f"{cache}_cache_misses")
    }
    assert told == {
        "verified_token_cache_hits": 2,
        "verified_token_cache_misses": 2,
        "key_cache_hits": 1,
        "key_cache_misses": 1,
    }


@pytest.mark.usefixtures("database")
def test_a_token_is_remembered_to_its_last_second(service: Service) -> None:
    """Those of the leeway too, in which each request would else verify it anew."""
    bearer = {"authorization": f"Bearer {token('alice', exp=int(time.time()) - 5)}"}
    before = scrape(service)[labelled("verified_token_cache_hits_total")]
    for _ in range(3):
        assert httpx.get(service.url + "/api/alice/tasks", headers=bearer).status_code == 200
    assert scrape(service)[labelled("verified_token_cache_hits_total")] == before + 2


def test_a_client_that_hung_up_is_499(patient: Service, database: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """The work was done, but nobody waited for the answer."""
    task = make_task(database, user_id="alice")
    with database.connect() as lock:
        lock.execute(text("SELECT 1 FROM task FOR UPDATE"))
        head = f"DELETE /api/alice/tasks/{task['id']} HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['authorization']}"
        connection = raw(patient, f"{head}\r\nX-Request-ID: gone\r\n\r\n".encode())
        wait_until(lambda: statements_that_wait(database))
        connection.close()
        pause(0.1)
        lock.rollback()
    line = wait_until(lambda: line_of("gone", capsys))
    assert (line["status"], line["user_id"], line["endpoint"]) == (499, "alice", ONE_TASK)


def test_a_client_that_hung_up_while_it_sent_is_499(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a body is nobody's request, and nothing of ours has failed."""
    head = f"POST /api/alice/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: {ALICE['authorization']}\r\nX-Request-ID: half"
    connection = raw(service, f"{head}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode())
    time.sleep(0.2)
    connection.close()
    line = wait_until(lambda: line_of("half", capsys))
    assert line["status"] == 499
    assert "exception" not in line


@pytest.mark.usefixtures("database")
def test_a_server_need_not_keep_state(cluster: Cluster) -> None:
    """ASGI leaves `scope["state"]` to the server; httpx's transport, for one, sends none."""

    async def ask() -> tuple[int, int]:
        app = create_app(settings_for(cluster.url))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            listed = await client.get("/api/alice/tasks", headers=ALICE)
            refused = await client.get("/api/alice/tasks")
        return listed.status_code, refused.status_code

    assert asyncio.run(ask()) == (200, 401)


def test_the_api_is_known_behind_a_prefix(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """A server with --root-path puts the prefix into the path, in front of what the routes know."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(settings_for(cluster.url)), root_path="/todo")
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/todo/api/alice/tasks")

    with running_service(settings_for(cluster.url)):  # writes the log
        answer = asyncio.run(ask())
        (line,) = requests(capsys)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert line["endpoint"] == TASKS


def test_what_is_no_http_is_logged_as_a_request(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing of what was sent."""
    with running_service(service.settings) as other, raw(other, b"GET sesame4711\r\nnonsense\r\n\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    (line,) = requests(capsys)
    assert (line["status"], line["reason"]) == (400, "The request is not valid HTTP.")
    assert "sesame4711" not in str(line)


def test_a_librarys_exception_is_traced_without_its_message(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message may hold what a user wrote."""
    with running_service(service.settings):
        try:
            raise RuntimeError("sesame" + str(4711))
        except RuntimeError:
            logging.getLogger("some.library").exception("It failed")
    (line,) = [line for line in lines(capsys) if line.get("logger") == "some.library"]
    assert (line["level"], line["message"]) == ("ERROR", "It failed")
    assert "RuntimeError" in str(line["exception"])
    assert "sesame4711" not in str(line)


@pytest.mark.usefixtures("service")
def test_stdout_may_be_one_that_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a parent process may have set it for its own purposes: a line longer than the pipe's room comes whole."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading) as log, os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        write_line(message="x" * 200_000)
        time.sleep(0.05)
        assert json.loads(log.readline())["message"] == "x" * 200_000
        writer.flush()


class Collector(ThreadingHTTPServer):
    """An OpenTelemetry collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Receive)


class _Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        """Keep the body."""
        self.server.received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def test_traces_are_sent_where_they_are_asked_for_and_hold_no_secret(folder: Path, serve: Callable[..., Run]) -> None:
    """By the standard variables; the route's template is there, what was sent is not."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        run = serve(folder, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}").wait_until_up()
        headers = {"authorization": f"Bearer {run.token('alice')}"}
        tasks = f"{run.url}/api/alice/tasks"
        assert httpx.post(tasks, headers=headers, json={"title": "sesame4711"}).status_code == 201
        assert httpx.get(f"{tasks}?complete=sesame4711", headers=headers).status_code == 422
        assert httpx.get(f"{tasks}/sesame4711", headers=headers).status_code == 422
        assert httpx.get(f"{run.url}/sesame4711?sesame4711=sesame4711").status_code == 404
        assert run.stop(signal.SIGTERM)[0] == 0
        collector.shutdown()
        thread.join()
    assert {path for path, _ in collector.received} == {"/v1/traces"}
    sent = b"".join(body for _, body in collector.received)
    assert sent.count(TASKS.encode()) >= 2
    assert ONE_TASK.encode() in sent
    assert b"sesame4711" not in sent
    assert headers["authorization"].split(".")[2].encode() not in sent


@pytest.mark.parametrize(("variable", "module", "told"), [("OTEL_X", None, 1), ("OTEL_X", "", 0), ("X", None, 0)])
def test_traces_that_can_not_be_made_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, module: str | None, told: int
) -> None:
    """By the name of our extra; the service serves all the same."""
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("app.main.find_spec", lambda _: module)
    with TestClient(create_app(settings_for("postgresql://nowhere"))) as client:
        assert client.get("/health").status_code == 200
    assert logged(capsys).count("the extra `telemetry` is not installed") == told


def test_what_fails_at_the_start_is_told_as_it_is() -> None:
    """The layer that answers exceptions has no request to answer then."""
    app = create_app(settings_for("postgresql://nowhere"))

    @asynccontextmanager
    async def failing(_: FastAPI) -> AsyncIterator[None]:
        raise OSError("no space left")
        yield

    app.router.lifespan_context = failing
    with pytest.raises(OSError, match="no space left"), TestClient(app):
        pass
