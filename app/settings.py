"""The service's configuration: environment variables, and `.env` (spec: Configuration)."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SECRET_BYTES = 32
# Better Auth, given no secret, silently signs with a public one that starts like this.
WELL_KNOWN_SECRET = "better-auth-secret-"  # noqa: S105 - refused, not used
FEW_DISTINCT_CHARACTERS = 8


class SettingsError(Exception):
    """The configuration can't be used; the message is one line a variable, and holds no value of one."""


def _split(value: object) -> object:
    """`a, b` as it stands in a variable: a tuple of its parts."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(BaseSettings):
    """All settings, read once and then frozen; no secret has a default."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = "development"
    database_url: SecretStr | None = None
    better_auth_url: str | None = None
    better_auth_secret: SecretStr | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ("http://localhost:3000",)
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Path(".data")
    database_pool_size: int = Field(16, ge=5, le=20)
    request_timeout: float = Field(5.0, ge=1, le=60, description="seconds from a request's arrival to its answer")

    @property
    def production(self) -> bool:
        """Whether the checks and the HTTPS rule of production hold."""
        return self.environment == "production"

    @property
    def secret(self) -> str | None:
        """The shared secret, where that mode is configured."""
        return self.better_auth_secret.get_secret_value() if self.better_auth_secret else None

    @model_validator(mode="after")
    def _refuse_what_is_unsafe(self) -> Self:
        problems = [*self._secret_problems(), *(self._production_problems() if self.production else ())]
        if self.better_auth_url and urlsplit(self.better_auth_url).scheme not in ("http", "https"):
            problems.append("BETTER_AUTH_URL must be an http or https URL")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _secret_problems(self) -> list[str]:
        if self.secret is None:
            return []
        if len(self.secret.encode()) < SECRET_BYTES:
            return [f"BETTER_AUTH_SECRET must have at least {SECRET_BYTES} bytes"]
        if self.secret.startswith(WELL_KNOWN_SECRET) or len(set(self.secret)) < FEW_DISTINCT_CHARACTERS:
            return ["BETTER_AUTH_SECRET is well known or easily guessed: make one with `openssl rand -base64 32`"]
        return []

    def _production_problems(self) -> list[str]:
        problems = []
        if self.database_url is None:
            problems.append("DATABASE_URL is missing: production does not run on the embedded database")
        if not self.better_auth_url and not self.better_auth_secret:
            problems.append("BETTER_AUTH_URL or BETTER_AUTH_SECRET is missing: nobody could sign in")
        if "*" in self.cors_origins:
            problems.append("CORS_ORIGINS must name its origins in production, not *")
        if self.better_auth_url and not _is_private(self.better_auth_url):
            problems.append("BETTER_AUTH_URL must be https in production")
        return problems


def _is_private(url: str) -> bool:
    """Whether nobody on the way can change what is fetched from there: https, or loopback."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def load() -> Settings:
    """The settings of this process; SettingsError names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as invalid:
        lines = []
        for error in invalid.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in error["loc"][:1]).upper()
            lines.append(f"{name}: {error['msg']}" if name else str(error["ctx"]["error"]))
        raise SettingsError("\n".join(lines)) from None
