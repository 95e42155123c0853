"""The configuration: what production refuses, and how it is told."""

from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings, SettingsError, load_settings, variables_from_env_file, with_sources

SECRET = "Zk3vQp9xLr7tYw2uNs5mHd8cBf4gJa6e"
PRODUCTION = {"ENVIRONMENT": "production", "DATABASE_URL": "postgresql://db/x", "BETTER_AUTH_SECRET": SECRET}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Load the settings from these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_the_defaults_are_the_specifications(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is a secret."""
    chosen = settings(monkeypatch).model_dump()
    assert chosen == {
        "environment": "development",
        "database_url": None,
        "better_auth_url": None,
        "better_auth_secret": None,
        "jwt_issuer": None,
        "jwt_audience": None,
        "cors_origins": ("http://localhost:3000",),
        "host": "127.0.0.1",
        "port": 8000,
        "data_dir": Path(".data"),
        "database_pool_size": 16,
        "request_timeout": 5.0,
        "idempotency_hours": 24,
    }


def test_a_good_production_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With either mode, or both."""
    assert settings(monkeypatch, **PRODUCTION).production
    assert settings(monkeypatch, BETTER_AUTH_URL="https://auth.example.com").production
    monkeypatch.delenv("BETTER_AUTH_SECRET")
    assert load_settings().production


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
        ({"BETTER_AUTH_SECRET": ""}, "BETTER_AUTH_URL or BETTER_AUTH_SECRET is missing"),
        ({"BETTER_AUTH_SECRET": SECRET[:31]}, "BETTER_AUTH_SECRET must have at least 32 bytes"),
        ({"BETTER_AUTH_SECRET": SECRET + "\udce9"}, "BETTER_AUTH_SECRET must be UTF-8"),
        ({"BETTER_AUTH_SECRET": "better-auth-secret-12345678901234567890"}, "BETTER_AUTH_SECRET is well known"),
        ({"BETTER_AUTH_SECRET": "abcdefg" * 5}, "BETTER_AUTH_SECRET is well known"),
        ({"CORS_ORIGINS": "https://a.example, *"}, "CORS_ORIGINS must name"),
        ({"BETTER_AUTH_URL": "http://auth.example.com"}, "BETTER_AUTH_URL must be https"),
        ({"BETTER_AUTH_URL": "ftp://auth.example.com"}, "BETTER_AUTH_URL: URL scheme should be 'http' or 'https'"),
        ({"PORT": "eighty"}, "PORT"),
        ({"DATABASE_POOL_SIZE": "4"}, "DATABASE_POOL_SIZE"),
        ({"DATABASE_POOL_SIZE": "21"}, "DATABASE_POOL_SIZE"),
        ({"PORT": "-1"}, "PORT"),
        ({"PORT": "0"}, "PORT"),
        ({"PORT": "65536"}, "PORT"),
        ({"REQUEST_TIMEOUT": "0"}, "REQUEST_TIMEOUT"),
        ({"REQUEST_TIMEOUT": "61"}, "REQUEST_TIMEOUT"),
        ({"IDEMPOTENCY_HOURS": "0"}, "IDEMPOTENCY_HOURS"),
        ({"IDEMPOTENCY_HOURS": "8785"}, "IDEMPOTENCY_HOURS"),
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT"),
    ],
)
def test_an_unsafe_production_does_not_start(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    """The message names the variable, and never the value of a secret."""
    with pytest.raises(SettingsError) as refused:
        settings(monkeypatch, **PRODUCTION | changes)
    assert str(refused.value).startswith(named)
    assert SECRET[:31] not in str(refused.value)


ORIGINS = [
    "http://localhost:3000",
    "https://app.example.com",
    "https://xn--bcher-kva.example",
    "http://192.168.1.4:8080",
    "http://[::1]:3000",
    "capacitor://localhost",
]
NO_ORIGINS = [
    "https://app.example.com/",
    "https://app.example.com/app",
    "https://app.example.com:443",
    "http://app.example.com:80",
    "https://App.example.com",
    "https://b\u00fccher.example",
    "https://*.example.com",
    "https://user@app.example.com",
    "https://app.example.com?x",
    "app.example.com",
    "localhost:3000",
    "null",
    '["https://app.example.com"]',
    "https://",
    "https://app.example.com https://b.example",
]


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_is_taken_as_a_browser_sends_it(
    monkeypatch: pytest.MonkeyPatch, environment: str, origin: str
) -> None:
    """Alone, and among others."""
    variables = PRODUCTION | {"ENVIRONMENT": environment, "CORS_ORIGINS": f"https://a.example, {origin}"}
    assert settings(monkeypatch, **variables).allowed_origins == ("https://a.example", origin)


def test_an_empty_part_between_commas_is_no_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comma at the end, or two in a row."""
    chosen = settings(monkeypatch, CORS_ORIGINS=" https://a.example,, ,https://b.example,")
    assert chosen.allowed_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_no_browser_sends_as_its_origin_stops_the_start(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    """It would start, and refuse the very page that was meant."""
    with pytest.raises(SettingsError) as refused:
        settings(monkeypatch, CORS_ORIGINS=f"https://a.example,{origin}")
    sentence = "CORS_ORIGINS must be origins like https://app.example.com, without a path or a / at the end"
    assert str(refused.value) == sentence


def test_production_has_no_default_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page on the developer's own machine is not let in by default."""
    assert settings(monkeypatch).allowed_origins == ("http://localhost:3000",)
    assert settings(monkeypatch, **PRODUCTION).allowed_origins == ()


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start, one message, one line a problem."""
    with pytest.raises(SettingsError) as refused:
        settings(monkeypatch, ENVIRONMENT="production")
    assert [line.split()[0] for line in str(refused.value).splitlines()] == ["BETTER_AUTH_URL", "DATABASE_URL"]


@pytest.mark.parametrize("url", ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"])
def test_an_auth_server_on_this_machine_needs_no_https(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Nobody is on the way."""
    assert settings(monkeypatch, **PRODUCTION, BETTER_AUTH_URL=url).auth_origin == url


def test_development_takes_what_production_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """But never a secret that anybody knows."""
    assert settings(monkeypatch, CORS_ORIGINS="*", BETTER_AUTH_URL="http://auth.lan").cors_origins == ("*",)
    with pytest.raises(SettingsError):
        settings(monkeypatch, BETTER_AUTH_SECRET="short")


def test_a_dot_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As everyone in this ecosystem expects."""
    (tmp_path / ".env").write_text("PORT=8001\nHOST=127.0.0.2\nSOMETHING_ELSE=1\n")
    assert (settings(monkeypatch, HOST="127.0.0.3").port, load_settings().host) == (8001, "127.0.0.3")


def test_a_dot_env_file_of_another_encoding_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An editor may write Latin-1; what it holds is not repeated."""
    (tmp_path / ".env").write_bytes("BETTER_AUTH_SECRET=hé".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"^\.env must be UTF-8$") as refused:
        settings(monkeypatch)
    assert with_sources(refused.value) == ".env must be UTF-8"


def test_a_line_of_a_dot_env_file_for_another_program_is_nothing_to_us(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever its value is."""
    (tmp_path / ".env").write_text("PORT=8001\nOTHER=\"'quoted'\"\n")
    assert settings(monkeypatch).port == 8001


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and hosting panels set a variable that was left out to nothing."""
    defaults = settings(monkeypatch)
    assert settings(monkeypatch, **{name.upper(): "" for name in Settings.model_fields}) == defaults


def test_a_secret_of_eight_different_characters_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer are refused as easily guessed."""
    assert settings(monkeypatch, BETTER_AUTH_SECRET="abcdefgh" * 4).secret == "abcdefgh" * 4


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings end up in logs and tracebacks."""
    chosen: Any = settings(monkeypatch, **PRODUCTION | {"DATABASE_URL": "postgresql://u:hunter2@db/x"})
    assert SECRET not in repr(chosen)
    assert "hunter2" not in repr(chosen)


def test_settings_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked at the start holds to the end."""
    with pytest.raises(ValueError, match="frozen"):
        settings(monkeypatch).__setattr__("port", 1)


TEXTS = {
    "ENVIRONMENT": "development",
    "DATABASE_URL": "postgresql://db/x",
    "BETTER_AUTH_URL": "https://auth.example.com",
    "JWT_ISSUER": "https://auth.example.com",
    "JWT_AUDIENCE": "https://auth.example.com",
    "CORS_ORIGINS": "https://app.example.com",
    "HOST": "127.0.0.2",
    "PORT": "8001",
    "DATA_DIR": "/tmp/data",  # noqa: S108 - nothing is written there
    "DATABASE_POOL_SIZE": "7",
    "REQUEST_TIMEOUT": "7",
    "IDEMPOTENCY_HOURS": "7",
}
"""A value of each setting but the secret."""


@pytest.mark.parametrize("around", ["{}\n", " {}", "\t{} \r\n"])
def test_white_space_around_a_value_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    """A Kubernetes secret that was made with `echo` ends with a newline."""
    plain = settings(monkeypatch, **TEXTS)
    assert set(TEXTS) | {"BETTER_AUTH_SECRET"} == {name.upper() for name in Settings.model_fields}
    assert settings(monkeypatch, **{name: around.format(value) for name, value in TEXTS.items()}) == plain


def test_a_value_of_white_space_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an empty one is."""
    defaults = settings(monkeypatch)
    assert settings(monkeypatch, **dict.fromkeys(TEXTS, " \n")) == defaults


@pytest.mark.parametrize("quotes", ['"', "'"])
@pytest.mark.parametrize("name", TEXTS)
def test_quotes_around_a_value_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, quotes: str) -> None:
    """Docker's `--env-file` passes them on; a token's issuer would never have them."""
    with pytest.raises(SettingsError, match=f"^{name} has quotes around it: write the value without them$"):
        settings(monkeypatch, **{name: f"{quotes}{TEXTS[name]}{quotes}"})


@pytest.mark.parametrize("secret", [f"{SECRET}\n", f" {SECRET}", f'"{SECRET}"', f"'{SECRET}'\n"])
def test_the_secret_is_taken_as_it_is_with_a_warning(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """Better Auth may have been given the same newline."""
    chosen = settings(monkeypatch, BETTER_AUTH_SECRET=secret)
    assert chosen.secret == secret
    (warning,) = chosen.warnings
    assert warning.startswith("BETTER_AUTH_SECRET has white space or quotes around it")
    assert settings(monkeypatch, BETTER_AUTH_SECRET=SECRET).warnings == []


def test_a_problem_says_that_it_comes_from_the_dot_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which may have been forgotten there; what the environment says is not the file's."""
    (tmp_path / ".env").write_text("PORT=x\nHOST=127.0.0.2\nBETTER_AUTH_SECRET=short\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("HOST", "127.0.0.3")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert with_sources(refused.value).startswith("PORT (from .env): ")
    assert variables_from_env_file() == ["PORT", "BETTER_AUTH_SECRET"]
    monkeypatch.setenv("PORT", "8001")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    sentence = "BETTER_AUTH_SECRET (from .env) must have at least 32 bytes"
    assert with_sources(refused.value).splitlines()[0] == sentence


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o640, 0), (0o644, 1)])
def test_a_file_of_secrets_that_all_can_read_is_told_in_production(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, count: int
) -> None:
    """With BETTER_AUTH_SECRET anybody can sign a token for any user."""
    monkeypatch.chdir(tmp_path)
    Path(".env").touch()
    Path(".env").chmod(mode)
    production = {"ENVIRONMENT": "production", "DATABASE_URL": "postgresql://db/todo", "BETTER_AUTH_SECRET": SECRET}
    warnings = settings(monkeypatch, **production).warnings
    assert warnings == [".env can be read by every user of this machine: `chmod o= .env`."] * count
    assert settings(monkeypatch, **production | {"ENVIRONMENT": "development"}).warnings == []
