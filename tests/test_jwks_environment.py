"""What of the environment counts for fetching the keys: proxies and certificates, read once at the start."""

from pathlib import Path

import certifi
import pytest

from app.core.auth.egress import egress_to
from app.core.auth.tokens import Verifier
from app.core.database.dsn import parse
from app.core.settings import SettingsError
from tests.support.home import home
from tests.support.key_server import Key, key_server
from tests.support.service import settings_for

FIRST = Key("first")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
HTTPS = "https://auth.example.com/api/auth/jwks"
HTTP = "http://auth.example.com/api/auth/jwks"
PROXY = "http://proxy.example.com:3128"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is set."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Set these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY}, PROXY),
        (HTTPS, {"https_proxy": PROXY}, PROXY),
        (HTTPS, {"HTTPS_PROXY": "http://other:1", "https_proxy": PROXY}, PROXY),
        (HTTPS, {"HTTPS_PROXY": "proxy.example.com:3128"}, PROXY),
        (HTTPS, {"ALL_PROXY": PROXY}, PROXY),
        (HTTPS, {"ALL_PROXY": "http://other:1", "HTTPS_PROXY": PROXY}, PROXY),
        (HTTPS, {"HTTP_PROXY": PROXY}, None),
        (HTTP, {"HTTP_PROXY": PROXY}, PROXY),
        (HTTP, {"HTTPS_PROXY": PROXY}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "auth.example.com"}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,[::1], .example.com"}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "AUTH.example.com:443"}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "h.example.com,ample.com"}, PROXY),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,[::1]"}, PROXY),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "x,*"}, None),
        ("https://10.1.2.3/api/auth/jwks", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.1.2.3"}, None),
        ("https://10.1.2.3/api/auth/jwks", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3/api/auth/jwks", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, PROXY),
        ("https://[fd00::1]/api/auth/jwks", {"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::1"}, None),
        ("https://[fd00::1]/api/auth/jwks", {"HTTPS_PROXY": PROXY, "NO_PROXY": "[fd00:0::1]"}, None),
        ("https://[fd00::1]/api/auth/jwks", {"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, None),
        ("http://localhost:3000/api/auth/jwks", {"HTTP_PROXY": PROXY}, None),
        ("http://127.0.0.1:3000/api/auth/jwks", {"ALL_PROXY": PROXY}, None),
        ("http://[::1]:3000/api/auth/jwks", {"HTTP_PROXY": "nonsense://"}, None),
    ],
)
def test_a_proxy_of_the_environment_counts(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], proxy: str | None
) -> None:
    """The scheme's own before ALL_PROXY, small letters first; never for this machine, nor for what NO_PROXY names."""
    set_all(monkeypatch, variables)
    chosen = egress_to(url).proxy
    assert (str(chosen.url) if chosen else None) == proxy


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"HTTPS_PROXY": "ftp://sesame:1"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://"}, "https_proxy"),
        ({"HTTPS_PROXY": "http://sesame:port"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://[::1"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": "socks5://sesame:1080"}, "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://sesame\n:3128"}, "HTTPS_PROXY"),
        ({"SSL_CERT_FILE": "/missing/sesame"}, "SSL_CERT_FILE"),
        ({"SSL_CERT_FILE": __file__}, "SSL_CERT_FILE"),
        ({"SSL_CERT_DIR": "/missing/sesame"}, "SSL_CERT_DIR"),
        ({"SSLKEYLOGFILE": "/missing/sesame"}, "SSLKEYLOGFILE"),
    ],
)
def test_what_cant_be_read_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    """By its name, and without its value."""
    set_all(monkeypatch, variables)
    settings = settings_for("postgresql://nowhere", better_auth_url="https://auth.example.com")
    with pytest.raises(SettingsError, match=f"^{name} ") as refused:
        Verifier(settings)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"NO_PROXY": "localhost,[::1]"},
        {"NO_PROXY": "http://[", "HTTP_PROXY": "http://127.0.0.1:1"},
        {"ALL_PROXY": "ftp://nonsense"},
    ],
)
def test_keys_of_this_machine_are_fetched_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """A list that httpx can't read, and a proxy, which must never come between."""
    set_all(monkeypatch, variables)
    with home(FIRST) as here:
        assert here.judge_new(FIRST) == "alice"


def test_keys_are_fetched_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was configured at the start: later changes of the environment are not read."""
    with key_server(FIRST) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with home(better_auth_url="http://auth.example.com") as here:
            monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
            assert here.judge(FIRST.token("http://auth.example.com")) == "alice"
            assert proxy.paths == ["http://auth.example.com/api/auth/jwks"]


def test_without_keys_to_fetch_none_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the mode of the secret alone."""
    set_all(monkeypatch, {"HTTPS_PROXY": "nonsense://", "SSL_CERT_FILE": "/missing"})
    assert Verifier(settings_for("postgresql://nowhere")).keys is None


def test_a_database_with_the_systems_certificates_changes_none_of_it() -> None:
    """The driver is told where the system's are, and the fetch of the keys is not, whichever comes first."""
    usual = egress_to(HTTPS).tls.get_ca_certs()
    parse("postgresql://localhost/db?sslrootcert=system")
    assert egress_to(HTTPS).tls.get_ca_certs() == usual


def test_a_certificate_file_is_trusted_in_place_of_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SSL_CERT_FILE replaces the authorities that come with httpx; SSL_CERT_DIR, too, if there is no file."""
    usual = len(egress_to(HTTPS).tls.get_ca_certs())
    pem = Path(certifi.where()).read_text("ascii")
    end = "-----END CERTIFICATE-----"
    bundle = tmp_path / "ca.pem"
    bundle.write_text(pem[pem.index("-----BEGIN") : pem.index(end) + len(end)] + "\n", "ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert len(egress_to(HTTPS).tls.get_ca_certs()) == 1 < usual
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", f"/missing:{tmp_path}")
    assert egress_to(HTTPS).tls.get_ca_certs() == []
