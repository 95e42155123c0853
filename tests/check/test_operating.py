"""What docs/deploying.md and docs/operations.md give an operator to copy: it does what they say."""

import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from alembic import command
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from sqlalchemy import text

from app.core.errors import ErrorCode
from app.migrations import upgrade
from tests.support.clock import PATIENCE, allowed, pause, wait_until
from tests.support.cluster import Cluster
from tests.support.databases import MakeDatabase, alembic, engine
from tests.support.factories import rows
from tests.support.people import Cast
from tests.support.processes import free_port
from tests.support.service import SECRET, running_service, service_in_process, settings_for
from tests.support.tokens import token

ROOT = Path(__file__).parents[2]


def samples(text: str) -> list[Sample]:
    """The lines of Prometheus's text format."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def example(document: str, first_line: str) -> str:
    """The block of a document that begins with this line."""
    (found,) = re.findall(
        rf"^```\w+\n({re.escape(first_line)}\n.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL
    )
    return str(found)


# Backup and restore


def in_shell(cluster: Cluster, folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as an operator does, where PostgreSQL's own programs and `todo-api` are on the PATH."""
    path = os.pathsep.join([str(cluster.bin), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(  # noqa: S603 - our own
        ["/bin/sh", "-eu", "-c", script],
        cwd=folder,
        env={"PATH": path, "BETTER_AUTH_SECRET": SECRET} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def old(cluster: Cluster, make_database: MakeDatabase, tmp_path: Path) -> dict[str, Any]:
    """A backup of before migration 0003, which created the first function that depends on `task`; what was in it."""
    url = make_database()
    command.upgrade(alembic(url), "0002")
    answer = (
        '{"id": 2, "user_id": "alice", "title": "Buy milk", "description": null, "complete": false,'
        ' "created_at": "2025-12-20T11:30:00.123456Z", "updated_at": "2025-12-20T11:30:00.123456Z"}'
    )
    with engine(url).begin() as connection:
        connection.execute(
            text("INSERT INTO task (user_id, title) VALUES ('bob', 'Call Alice'), ('alice', 'Buy milk')")
        )
        connection.execute(
            text("INSERT INTO idempotency_key VALUES ('alice', 'one', sha256(:body), 2, :answer)"),
            {"body": b'{"title":"Buy milk"}', "answer": answer},
        )
    saved = in_shell(cluster, tmp_path, example("docs/operations.md", "# back up"), DATABASE_URL=url)
    assert saved.returncode == 0, saved.stderr
    assert stat.S_IMODE((tmp_path / "todo.dump").stat().st_mode) == 0o600
    return {"url": url, "alice": rows(engine(url), "alice"), "bob": rows(engine(url), "bob")}


def test_a_backup_of_an_older_version_is_restored(
    cluster: Cluster, make_database: MakeDatabase, tmp_path: Path, old: dict[str, Any]
) -> None:
    """By the page's own commands: every task and key is there, and no id is given again that the lost tasks had."""
    url = make_database()
    restore = example("docs/operations.md", "# restore")
    restored = in_shell(cluster, tmp_path, restore, RESTORED_URL=url, DATABASE_URL=old["url"])
    assert restored.returncode == 0, restored.stderr
    assert {user: rows(engine(url), user) for user in ("alice", "bob")} == {"alice": old["alice"], "bob": old["bob"]}
    with running_service(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 200
        alice = Cast(service)("Alice")
        retry, new = [
            alice.ask("POST", alice.tasks_path(), json={"title": "Buy milk"}, headers=headers)
            for headers in ({"Idempotency-Key": "one"}, {})
        ]
    assert (retry.json()["id"], retry.headers["etag"]) == (2, '"2025-12-20T11:30:00.123456Z"')
    assert new.json()["id"] > 1_000_000


def test_a_backup_is_not_restored_over_newer_tables(
    cluster: Cluster, make_database: MakeDatabase, tmp_path: Path, old: dict[str, Any]
) -> None:
    """With the page's options nothing changes. Without them the tables are damaged, and everything says so."""
    url = make_database()
    upgrade(url)
    with engine(url).begin() as connection:
        connection.execute(text("INSERT INTO task (user_id, title) VALUES ('bob', 'New'), ('alice', 'New')"))
    before = in_shell(cluster, tmp_path, f"pg_dump --restrict-key=x '{url}'").stdout
    assert "New" in before

    whole = in_shell(
        cluster, tmp_path, example("docs/operations.md", "# restore"), RESTORED_URL=url, DATABASE_URL=old["url"]
    )
    assert "already exists" in whole.stderr
    over = "pg_restore --clean --if-exists {} --no-owner --dbname='{}' todo.dump"
    cleaned = in_shell(cluster, tmp_path, over.format("--single-transaction", url))
    assert "cannot drop table public.task because other objects depend on it" in cleaned.stderr
    assert in_shell(cluster, tmp_path, f"pg_dump --restrict-key=x '{url}'").stdout == before

    in_shell(cluster, tmp_path, over.format("", url))
    assert len(rows(engine(url), "alice")) == 2
    with service_in_process(settings_for(url)) as service:
        assert service.http.get("/health/ready").status_code == 503
        alice = {"authorization": f"Bearer {token('alice')}"}
        with_key = service.http.post("/api/alice/tasks", json={"title": "x"}, headers=alice | {"Idempotency-Key": "x"})
        assert with_key.status_code == 500
    migrated = in_shell(cluster, tmp_path, "todo-api migrate", DATABASE_URL=url)
    assert (migrated.returncode, "already exists" in migrated.stderr) == (1, True)


# The unit and its variables


def test_the_variables_are_roots_alone(cluster: Cluster, tmp_path: Path) -> None:
    """Also before they are written; the password is the one of the role."""
    file = tmp_path / "todo-api.env"
    script = example("docs/deploying.md", "# its variables, for root alone").replace("/etc/", f"{tmp_path}/")
    looking = script.replace("\ncat >", f"\nstat --format=%a {file}\ncat >")
    written = in_shell(cluster, tmp_path, f"umask 022\n{looking}", password="pa55word")
    assert (written.returncode, written.stdout) == (0, "600\n"), written.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "DATABASE_URL=postgresql://todo:pa55word@127.0.0.1/todo\n" in file.read_text()


@pytest.mark.needs("systemd")
def test_the_unit_may_do_little(tmp_path: Path) -> None:
    """By systemd's own measure, of which 10 is the worst."""
    unit = tmp_path / "todo-api.service"
    unit.write_text(example("docs/operations.md", "# /etc/systemd/system/todo-api.service"))
    measure = [
        "/usr/bin/env",
        "systemd-analyze",
        "security",
        "--no-pager",
        "--offline=true",
        "--threshold=15",
        str(unit),
    ]
    measured = subprocess.run(measure, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert measured.returncode == 0, measured.stdout[-200:]


# What to alert on


def test_what_is_alerted_on_is_measured(cluster: Cluster) -> None:
    """Each metric of the rules is there, with each label that they choose by, and each error's code is one of ours."""
    rules = example("docs/operations.md", "# /etc/prometheus/rules/todo-api.yml")
    named = set(re.findall(r"\b(?:http|database|log)_[a-z_]+", rules))
    with service_in_process(settings_for(cluster.url)) as service:
        service.http.get("/api/alice/tasks")
        measured = {sample.name: set(sample.labels) for sample in samples(service.http.get("/metrics").text)}
    assert len(named) >= 5
    assert named <= measured.keys()
    for name, labels in re.findall(r"\b((?:http|database|log)_\w+)\{([^}]+)\}", rules):
        assert set(re.findall(r"(\w+)=", labels)) <= measured[name], name
    codes = set(re.findall(r"\b[A-Z]+_ERROR\b", rules))
    assert codes
    assert codes <= {*ErrorCode}


# The proxy

NGINX = "/usr/sbin/nginx"
AROUND_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


def nginx(folder: Path, port: int, service_port: int) -> list[str]:
    """The command that runs the page's nginx, with the ports and the certificate of a test.

    The service is there twice, so that a request could be repeated.
    """
    service = "    server 127.0.0.1:8000 max_fails=1 fail_timeout=2s;\n"
    shown = example("docs/operations.md", "# /etc/nginx/sites-available/todo-api")
    assert service in shown
    site = (
        shown.replace(service, service * 2)
        .replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        .replace("listen [::]:443 ssl;", "")
        .replace("127.0.0.1:8000", f"127.0.0.1:{service_port}")
        .replace("/etc/letsencrypt/live/api.example.com/fullchain.pem", f"{folder}/cert.pem")
        .replace("/etc/letsencrypt/live/api.example.com/privkey.pem", f"{folder}/key.pem")
    )
    (folder / "nginx.conf").write_text(AROUND_NGINX.format(folder=folder, site=site))
    return [NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy(folder: Path, port: int, service_port: int) -> list[str]:
    """The same for Caddy."""
    site = (
        example("docs/operations.md", "# /etc/caddy/Caddyfile")
        .replace("{\n", "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n", 1)
        .replace("api.example.com {", f"https://localhost:{port} {{\n\ttls {folder}/cert.pem {folder}/key.pem")
        .replace("127.0.0.1:8000", f"127.0.0.1:{service_port}")
    )
    (folder / "Caddyfile").write_text(site)
    return ["/usr/bin/env", "caddy", "run", "--config", str(folder / "Caddyfile")]


Command = Callable[[Path, int, int], list[str]]
PROXIES = [pytest.param(nginx, marks=pytest.mark.needs("nginx")), pytest.param(caddy, marks=pytest.mark.needs("caddy"))]


@contextmanager
def running_proxy(service_port: int, proxy: Command, folder: Path) -> Iterator[httpx.Client]:
    """Run a proxy before the service at this port; what calls it over HTTPS."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    new = ["/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files]
    subprocess.run(new, check=True, capture_output=True)  # noqa: S603 - our own
    port, log = free_port(), folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own
            proxy(folder, port, service_port),
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            stdout=output,
            stderr=output,
        )

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens)
        trusted = ssl.create_default_context(cafile=folder / "cert.pem")
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted, timeout=PATIENCE) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.parametrize("proxy", PROXIES)
def test_behind_the_proxy_production_serves(cluster: Cluster, folder: Path, proxy: Command) -> None:
    """It says https whatever the caller says, passes the longest token on, and closes what is not for the public."""
    settings = settings_for(cluster.url, environment="production", cors_origins="https://app.example.com")
    with (
        running_service(settings) as service,
        running_proxy(int(service.url.rpartition(":")[2]), proxy, folder) as client,
    ):
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        longest = {"Authorization": f"Bearer {'x' * 8192}"}
        for headers, code in (
            ({}, "AUTH_MISSING"),
            ({"X-Forwarded-Proto": "http"}, "AUTH_MISSING"),
            (longest, "AUTH_INVALID"),
        ):
            answer = client.get("/api/alice/tasks", headers=headers)
            assert (answer.status_code, answer.json()["error_code"]) == (401, code)
        for path in ("/metrics", "/docs", "/redoc", "/openapi.json"):
            answer = client.get(path)
            assert (answer.status_code, "x-request-id" in answer.headers) == (404, False), path


class Upstream(BaseHTTPRequestHandler):
    """A service that breaks off at each POST, as one that is killed does; it notes them and its connections' ends."""

    protocol_version = "HTTP/1.1"
    heads: ClassVar[list[str]] = []
    posts: ClassVar[list[bytes]] = []
    closed: ClassVar[list[float]] = []

    def do_GET(self) -> None:
        """Answer, and keep the connection."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Read all of it, and end without an answer."""
        self.heads.append(self.requestline)
        self.posts.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.close_connection = True

    def finish(self) -> None:
        """Note the end of a connection."""
        super().finish()
        self.closed.append(time.monotonic())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_proxy_reads_slow_requests_itself_and_repeats_none(folder: Path, proxy: Command) -> None:
    """A POST comes once, when all of it is there; an idle connection to the service ends before its own 5 s."""
    notes: tuple[list[Any], ...] = (Upstream.heads, Upstream.posts, Upstream.closed)
    for note in notes:
        note.clear()

    def slow_body() -> Iterator[bytes]:
        yield b"first, "
        pause(0.5)  # what is passed on at once would be there by then
        assert Upstream.heads == []
        yield b"last"

    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with running_proxy(server.server_port, proxy, folder) as client:
                assert client.get("/").status_code == 200
                asked = time.monotonic()
                wait_until(lambda: Upstream.closed)
                assert Upstream.closed[0] - asked < allowed(5)
                answer = client.post("/api", content=slow_body(), headers={"Content-Length": "11"})
                assert (answer.status_code, Upstream.posts) == (502, [b"first, last"])
        finally:
            server.shutdown()


@pytest.mark.needs("nginx")
def test_nginx_limits_the_rate_of_a_user(folder: Path) -> None:
    """A burst is passed on; what comes beyond it at once is 429. Nobody listens behind it, so all else is 502."""
    with running_proxy(free_port(), nginx, folder) as client:
        assert client.get("/").status_code == 502
        port, trusted = client.base_url.port, ssl.create_default_context(cafile=folder / "cert.pem")
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
        with (
            socket.create_connection(("localhost", port)) as plain,
            trusted.wrap_socket(plain, server_hostname="localhost") as caller,
        ):
            caller.sendall((request + b"\r\n") * 99 + request + b"Connection: close\r\n\r\n")
            answers = b"".join(iter(lambda: caller.recv(65536), b""))
    statuses = re.findall(rb"^HTTP/1.1 (\d+)", answers, re.MULTILINE)
    assert statuses[:41] == [b"502"] * 41
    assert statuses.count(b"429") > 10
