"""The service's configuration: environment variables, and `.env`."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SECRET_BYTES = 32
# Without a secret, Better Auth silently signs with a public one that starts like this.
WELL_KNOWN_SECRET = "better-auth-secret-"  # noqa: S105 - refused, not used
FEW_DISTINCT_CHARACTERS = 8
SAFE_URL = re.compile(r"https:|http://(localhost|127\.[0-9.]+|\[::1\])[:/]")
"""Nobody can change on the way what is fetched from there."""
ORIGIN = re.compile(
    r"(?!http:.*:80$|https:.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:]+\])(:[1-9][0-9]*)?|\*"
)
"""An origin as browsers send it (RFC 6454), or `*`: lower case, no path, no default port."""


class SettingsError(Exception):
    """The configuration can't be used; the message has one line for each problem, and holds no variable's value."""


def _split(value: object) -> object:
    """The parts of a comma-separated variable."""
    return (
        tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, str)
        else value
    )


def _base(url: HttpUrl) -> HttpUrl:
    """Check that `/api/auth` can be appended to the URL."""
    odd = any(part is not None for part in (url.username, url.password, url.query, url.fragment))
    if odd or (url.path or "").rstrip("/").endswith("/api/auth"):
        raise ValueError(
            "must end where Better Auth's own /api/auth begins, without a user, ? or #"
        )
    return url


class Settings(BaseSettings):
    """All settings, read once and then frozen; no secret has a default."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Literal["development", "production"] = "development"
    database_url: SecretStr | None = None
    better_auth_url: Annotated[HttpUrl, AfterValidator(_base)] | None = None
    better_auth_secret: SecretStr | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = (
        "http://localhost:3000",
    )
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    web_concurrency: int = Field(1, ge=1, description="processes that serve")
    data_dir: Path = Path(".data")
    database_pool_size: int = Field(16, ge=5, le=20)
    request_timeout: float = Field(
        5.0, ge=1, le=60, description="seconds from a request's arrival to its answer"
    )
    idempotency_hours: int = Field(
        24, ge=1, le=24 * 366, description="for which a retry is given the first answer"
    )

    @property
    def production(self) -> bool:
        """Whether the checks and the HTTPS rule of production apply."""
        return self.environment == "production"

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins whose pages may call; the default is for development alone."""
        return (
            ()
            if self.production and "cors_origins" not in self.model_fields_set
            else self.cors_origins
        )

    @property
    def database_dsn(self) -> str:
        """The database's URL; SettingsError if none is configured."""
        if self.database_url is None:
            raise SettingsError(
                "DATABASE_URL is missing: only `todo-api serve` starts the embedded database"
            )
        return self.database_url.get_secret_value()

    @property
    def secret(self) -> str | None:
        """The shared secret, or None if that mode is not configured."""
        return self.better_auth_secret.get_secret_value() if self.better_auth_secret else None

    @property
    def jwks_url(self) -> str | None:
        """Where Better Auth serves its keys, or None if that mode is not configured."""
        return (
            f"{self.better_auth_url}".rstrip("/") + "/api/auth/jwks"
            if self.better_auth_url
            else None
        )

    @property
    def auth_origin(self) -> str | None:
        """The origin of Better Auth's URL (RFC 6454: without a slash or a default port), which its tokens name."""
        url = self.better_auth_url
        return (
            str(HttpUrl.build(scheme=url.scheme, host=url.host or "", port=url.port))[:-1]
            if url
            else None
        )

    @model_validator(mode="after")
    def _refuse_what_is_unsafe(self) -> Self:
        secret, url, live = self.secret, self.better_auth_url, self.production
        odd = not all(map(ORIGIN.fullmatch, self.cors_origins))
        encoded = (secret or "").encode(errors="replace")
        broken_rules = {
            "BETTER_AUTH_SECRET must be UTF-8": secret and encoded.decode() != secret,
            f"BETTER_AUTH_SECRET must have at least {SECRET_BYTES} bytes": secret
            and len(encoded) < SECRET_BYTES,
            "BETTER_AUTH_SECRET is well known or easily guessed: make one with `openssl rand -base64 32`": secret
            and (
                secret.startswith(WELL_KNOWN_SECRET) or len(set(secret)) < FEW_DISTINCT_CHARACTERS
            ),
            "BETTER_AUTH_URL must be https in production": live
            and url
            and not SAFE_URL.match(str(url)),
            "BETTER_AUTH_URL or BETTER_AUTH_SECRET is missing: nobody could sign in": live
            and not (url or secret),
            "DATABASE_URL is missing: production has no embedded database": live
            and not self.database_url,
            "CORS_ORIGINS must name its origins in production, not *": live
            and "*" in self.cors_origins,
            "CORS_ORIGINS must be origins like https://app.example.com, without a path or a / at the end": odd,
        }
        if problems := [rule for rule, broken in broken_rules.items() if broken]:
            raise ValueError("\n".join(problems))
        return self


def load() -> Settings:
    """The settings of this process; raises SettingsError, which names each variable that is wrong."""
    try:
        return Settings()
    except UnicodeDecodeError:
        raise SettingsError(".env must be UTF-8") from None
    except ValidationError as invalid:
        lines = []
        for error in invalid.errors(include_url=False, include_input=False):
            name = [str(part).upper() for part in error["loc"][:1]]
            lines.append(": ".join([*name, error["msg"].removeprefix("Value error, ")]))
        raise SettingsError("\n".join(lines)) from None
