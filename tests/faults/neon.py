"""Neon's URL as its console gives it: TLS, SCRAM with channel binding, a host by name."""

import getpass
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg2
import pytest

from app.core.database.dsn import connect
from app.core.settings import SettingsError
from app.migrations import upgrade
from tests.support.processes import free_port, serving
from tests.support.tokens import token

# the embedded server is built without TLS
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "npg_p@ss/word"
ALICE = {"authorization": f"Bearer {token('alice')}"}


@pytest.fixture(scope="module")
def neon() -> Iterator[str]:
    """The URL of a PostgreSQL that takes nothing but TLS with channel binding."""
    folder = Path(tempfile.mkdtemp(prefix="todo-api-"))
    data, port = folder / "data", free_port()
    user = "postgres" if getpass.getuser() == "root" else None
    if user:
        shutil.chown(folder, user)

    def run(*command: str | Path) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own

    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    how = ["--auth=scram-sha-256", "--username=neondb_owner", "--pwfile=password", "--encoding=UTF8", "--locale=C"]
    run(PROGRAMS / "initdb", *how, "-D", data)
    certificate: list[str | Path] = [
        "-keyout",
        data / "server.key",
        "-out",
        data / "server.crt",
        "-subj",
        "/CN=localhost",
        "-days",
        "2",
    ]
    run("/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    options = f"-c ssl=on -c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder}"
    run(PROGRAMS / "pg_ctl", "-w", "-D", data, "-l", folder / "log", "-o", options, "start")
    try:
        query = "?sslmode=require&channel_binding=require"
        yield f"postgresql://neondb_owner:{quote(PASSWORD, safe='')}@localhost:{port}/postgres{query}"
    finally:
        run(PROGRAMS / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


pytestmark = pytest.mark.needs("postgresql")


def test_its_url_works_as_it_is_copied(neon: str, tmp_path: Path) -> None:
    """For the migration and for the service; a URL without TLS is refused, so TLS was used."""
    upgrade(neon)
    with serving(tmp_path, neon) as service:
        assert httpx.get(service.url + "/health/ready").status_code == 200
        path = service.url + "/api/alice/tasks"
        assert httpx.post(path, json={"title": "Buy milk"}, headers=ALICE).status_code == 201
        assert httpx.get(path, headers=ALICE).json()["count"] == 1
    with pytest.raises(SettingsError, match="the server refuses its user or password"):
        connect(neon.replace("sslmode=require&channel_binding=require", "sslmode=disable"))


@pytest.fixture
def as_the_systems(neon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Make the server's certificate the system's, in a file or in a folder; the URL that verifies the server by it."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(variable, "")  # what the service sets is undone after the test
    with closing(psycopg2.connect(neon)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_read_file('server.crt')")
        [[certificate]] = cursor.fetchall()

    def install(where: str) -> str:
        (tmp_path / "certificate.pem").write_text(certificate)
        subprocess.run(["/usr/bin/openssl", "rehash", tmp_path], check=True)  # noqa: S603 - our own
        paths: dict[str, Any] = {"cafile": None, "capath": None}
        if where == "file":
            paths["cafile"] = str(tmp_path / "certificate.pem")
        else:
            paths["capath"] = str(tmp_path)
        system = ssl.get_default_verify_paths()._replace(**paths)
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: system)
        return neon.replace("sslmode=require", "sslmode=verify-full") + "&sslrootcert=system"

    return install


@pytest.mark.parametrize("where", ["file", "folder"])
def test_the_systems_certificates_are_found(as_the_systems: Callable[[str], str], where: str) -> None:
    """Where Python finds them: the driver's own OpenSSL looks where it was built."""
    upgrade(as_the_systems(where))


def test_other_certificates_than_the_systems_are_taken_where_they_are_named(
    as_the_systems: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By OpenSSL's own variables; here, by none that the server has."""
    url = as_the_systems("file")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    with pytest.raises(SettingsError, match="sslrootcert"):
        connect(url)


def test_a_missing_root_certificate_is_told(neon: str) -> None:
    """The first try of many with verify-full; the database and its user are there."""
    with pytest.raises(SettingsError, match="sslrootcert"):
        connect(neon.replace("sslmode=require", "sslmode=verify-full") + "&sslrootcert=/nowhere")


def test_a_wrong_password_there_is_told_and_not_shown(neon: str) -> None:
    """Percent-escaped as it has to be, it is nowhere in the message."""
    with pytest.raises(SettingsError, match="the server refuses its user or password") as problem:
        connect(neon.replace(quote(PASSWORD, safe=""), "wr0ng"))
    assert "wr0ng" not in str(problem.value)
