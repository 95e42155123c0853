"""Where Better Auth is: what BETTER_AUTH_URL may be, and what is made of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.service import settings_for


def settings(url: str, **others: Any) -> Any:
    """Settings with this URL."""
    return settings_for("postgresql://nowhere", better_auth_url=url, **others)


@pytest.mark.parametrize(
    ("url", "keys", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000/api/auth/jwks", "http://localhost:3000"),
        ("https://auth.example.com", "https://auth.example.com/api/auth/jwks", "https://auth.example.com"),
        ("https://auth.example.com/", "https://auth.example.com/api/auth/jwks", "https://auth.example.com"),
        ("HTTPS://Auth.Example.com:443/", "https://auth.example.com/api/auth/jwks", "https://auth.example.com"),
        ("http://auth.example.com:80", "http://auth.example.com/api/auth/jwks", "http://auth.example.com"),
        ("https://auth.example.com:80", "https://auth.example.com:80/api/auth/jwks", "https://auth.example.com:80"),
        ("https://example.com/my/app/", "https://example.com/my/app/api/auth/jwks", "https://example.com"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example/api/auth/jwks", "https://xn--bcher-kva.example"),
        ("http://[::1]:3000", "http://[::1]:3000/api/auth/jwks", "http://[::1]:3000"),
    ],
)
def test_keys_and_origin_come_from_the_url(url: str, keys: str, origin: str) -> None:
    """The origin is as a browser, and so Better Auth, writes it: small letters, no default port, no slash."""
    configured = settings(url)
    assert (configured.jwks_url, configured.auth_origin) == (keys, origin)


@pytest.mark.parametrize(
    "url",
    [
        "auth.example.com",
        "ftp://auth.example.com",
        "file:///etc/passwd",
        "https://",
        "https://auth.example.com/api/auth",
        "https://auth.example.com/api/auth/",
        "https://example.com/app/api/auth",
        "https://user@auth.example.com",
        "https://user:sesame@auth.example.com",
        "https://auth.example.com?x=1",
        "https://auth.example.com/?",
        "https://auth.example.com/#top",
    ],
)
def test_a_url_that_keys_cant_be_behind_stops_the_start(url: str) -> None:
    """With a message that names the variable and not its value."""
    with pytest.raises(ValidationError) as refused:
        settings(url)
    (error,) = refused.value.errors()
    assert error["loc"] == ("better_auth_url",)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://auth.example.com", True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:3000", True),
        ("http://auth.example.com", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
    ],
)
def test_production_fetches_keys_where_nobody_can_change_them(url: str, fine: bool) -> None:
    """Over https, or from this machine."""
    if fine:
        assert settings(url, environment="production").production
    else:
        with pytest.raises(ValidationError, match="BETTER_AUTH_URL must be https in production"):
            settings(url, environment="production")


def test_without_the_url_there_are_no_keys_and_no_origin() -> None:
    """Shared-secret mode alone: issuer and audience are checked only where they are configured."""
    configured = settings_for("postgresql://nowhere")
    assert configured.jwks_url is configured.auth_origin is configured.jwt_issuer is configured.jwt_audience is None
