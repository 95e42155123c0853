"""The service's configuration: environment variables, and `.env`."""

import os
import re
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
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

PROGRAM = "todo-api"
"""The name of the command, and of the package."""
ENV_FILE = ".env"
SECRET_BYTES_MIN = 32
WELL_KNOWN_SECRET_PREFIX = "better-auth-secret-"  # noqa: S105 - refused, not used
"""Without a secret, Better Auth silently signs with a public one that starts like this."""
SECRET_DISTINCT_CHARACTERS_MIN = 8
DEFAULT_PORTS = {"http": 80, "https": 443}


class SettingsError(Exception):
    """The configuration can't be used.

    Or the program is not installed as it should be, or a command's argument is wrong. The message
    has one line for each problem. It names the variable that is wrong, if one is, and holds no
    secret: a value only if that is an address, a port or a folder.
    """


def _comma_separated(value: object) -> object:
    """The parts of a comma-separated variable, without white space and empty ones."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    return tuple(part for part in parts if part)


def _check_auth_url(url: HttpUrl) -> HttpUrl:
    """Check that `/api/auth` can be appended to the URL."""
    has_more_than_a_path = any((url.username, url.password, url.query, url.fragment))
    has_empty_query = str(url).endswith(("?", "#"))
    has_api_auth_itself = (url.path or "").rstrip("/").endswith("/api/auth")
    if has_more_than_a_path or has_empty_query or has_api_auth_itself:
        raise ValueError(
            "must end where Better Auth's own /api/auth begins, without a user, ? or #"
        )
    return url


class Settings(BaseSettings):
    """All settings, frozen once they are read; no secret has a default."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Literal["development", "production"] = "development"
    database_url: SecretStr | None = None
    better_auth_url: Annotated[HttpUrl, AfterValidator(_check_auth_url)] | None = None
    better_auth_secret: SecretStr | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = (
        "http://localhost:3000",
    )
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    data_dir: Path = Path(".data")
    database_pool_size: int = Field(16, ge=5, le=20)
    request_timeout: float = Field(
        5.0,
        ge=1,
        le=60,
        description="seconds from a request's arrival to its answer, without those of its body",
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
        if self.production and "cors_origins" not in self.model_fields_set:
            return ()
        return self.cors_origins

    @property
    def required_database_url(self) -> str:
        """The database's URL; SettingsError if none is configured."""
        if self.database_url is None:
            raise SettingsError(
                f"DATABASE_URL is missing: only `{PROGRAM}` itself starts the embedded database"
            )
        return self.database_url.get_secret_value()

    @property
    def secret(self) -> str | None:
        """The shared secret that tokens are signed with, or None if none is configured."""
        if self.better_auth_secret is None:
            return None
        return self.better_auth_secret.get_secret_value()

    @property
    def jwks_url(self) -> str | None:
        """Where Better Auth serves its public keys, or None if its URL is not configured."""
        if self.better_auth_url is None:
            return None
        return str(self.better_auth_url).rstrip("/") + "/api/auth/jwks"

    @property
    def auth_origin(self) -> str | None:
        """The origin of Better Auth's URL, which its tokens name as `iss` and `aud`.

        As a browser writes it (RFC 6454): without a slash or a default port.
        """
        url = self.better_auth_url
        if url is None:
            return None
        if url.port is None or url.port == DEFAULT_PORTS[url.scheme]:
            return f"{url.scheme}://{url.host}"
        return f"{url.scheme}://{url.host}:{url.port}"

    @property
    def warnings(self) -> list[str]:
        """What is allowed, and may be a mistake; one sentence each, for the start."""
        warnings = []
        if self.secret is not None and self.secret != _without_quotes(self.secret.strip()):
            # Better Auth may have been given the same characters: they are a part of the secret
            warnings.append(
                "BETTER_AUTH_SECRET has white space or quotes around it, which count as a part of"
                " it: Better Auth's must have the same."
            )
        if self.production and _is_readable_by_all(Path(ENV_FILE)):
            warnings.append(
                f"{ENV_FILE} can be read by every user of this machine: `chmod o= {ENV_FILE}`."
            )
        return warnings

    @model_validator(mode="before")
    @classmethod
    def _strip_white_space_and_refuse_quotes(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The values without white space around them; refuse what has quotes around it (R-33).

        A Kubernetes secret that was made with `echo` ends with a newline. A value of white space
        alone counts as not set. A shell takes quotes off a value; Docker's `--env-file` passes them
        on. BETTER_AUTH_SECRET stays as it is: white space and quotes may be a part of it.
        """
        problems = []
        stripped: dict[str, Any] = {}
        for name, value in values.items():
            if name not in cls.model_fields:  # a line of `.env` for another program
                continue
            if not isinstance(value, str) or name == "better_auth_secret":
                stripped[name] = value
                continue
            text = value.strip()
            if text != _without_quotes(text):
                problems.append(
                    f"{name.upper()} has quotes around it: write the value without them"
                )
            if text:
                stripped[name] = text
        if problems:
            raise ValueError("\n".join(problems))
        return stripped

    @model_validator(mode="after")
    def _refuse_what_is_unsafe(self) -> Self:
        problems = [*self._problems_of_the_secret(), *self._problems_of_origins()]
        if self.production:
            problems += self._problems_in_production()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems_of_the_secret(self) -> list[str]:
        secret = self.secret
        if not secret:
            return []
        try:
            size = len(secret.encode())
        except UnicodeEncodeError:
            return ["BETTER_AUTH_SECRET must be UTF-8"]
        problems = []
        if size < SECRET_BYTES_MIN:
            problems.append(f"BETTER_AUTH_SECRET must have at least {SECRET_BYTES_MIN} bytes")
        is_well_known = secret.startswith(WELL_KNOWN_SECRET_PREFIX)
        if is_well_known or len(set(secret)) < SECRET_DISTINCT_CHARACTERS_MIN:
            problems.append(
                "BETTER_AUTH_SECRET is well known or easily guessed:"
                " make one with `openssl rand -base64 32`"
            )
        return problems

    def _problems_of_origins(self) -> list[str]:
        bad_origins = [origin for origin in self.cors_origins if not _is_origin(origin)]
        if bad_origins:
            return [
                "CORS_ORIGINS must be origins like https://app.example.com,"
                " without a path or a / at the end"
            ]
        return []

    def _problems_in_production(self) -> list[str]:
        problems = []
        if self.better_auth_url and not _is_safe_from_change(self.better_auth_url):
            problems.append("BETTER_AUTH_URL must be https in production")
        if not self.better_auth_url and not self.secret:
            problems.append(
                "BETTER_AUTH_URL or BETTER_AUTH_SECRET is missing: nobody could sign in"
            )
        if not self.database_url:
            problems.append("DATABASE_URL is missing: production has no embedded database")
        if "*" in self.cors_origins:
            problems.append("CORS_ORIGINS must name its origins in production, not *")
        return problems


def _without_quotes(value: str) -> str:
    quotes = value[:1]
    if len(value) > 1 and quotes in ("'", '"') and value.endswith(quotes):
        return value[1:-1]
    return value


def _is_safe_from_change(url: HttpUrl) -> bool:
    """Whether nobody on the way can change what is fetched from there."""
    return url.scheme == "https" or is_loopback(url.host or "")


def is_loopback(host: str) -> bool:
    """Whether a URL's host, in lower case, is the machine itself."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_readable_by_all(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & stat.S_IROTH)


def _is_origin(text: str) -> bool:
    """Whether it is an origin as browsers send it (RFC 6454), or `*`.

    Lower case, with neither a path nor the scheme's default port. A scheme may be any: an app's
    web view sends `capacitor://localhost`.
    """
    if text == "*":
        return True
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:  # a port that is no number, or brackets without an address
        return False
    host = url.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", url.scheme):
        return False
    if not re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:]+\]", host):
        return False
    if port is None:
        return text == f"{url.scheme}://{host}"
    has_default_port = port == DEFAULT_PORTS.get(url.scheme)
    return text == f"{url.scheme}://{host}:{port}" and port != 0 and not has_default_port


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` take the place of what is configured.

    Raises SettingsError, which names each variable that is wrong.
    """
    try:
        return Settings(**overrides)
    except UnicodeDecodeError:
        raise SettingsError(f"{ENV_FILE} must be UTF-8") from None
    except ValidationError as invalid:
        lines = []
        for error in invalid.errors(include_url=False, include_input=False):
            message = error["msg"].removeprefix("Value error, ")
            if error["loc"]:
                message = f"{str(error['loc'][0]).upper()}: {message}"
            lines.append(message)
        raise SettingsError("\n".join(lines)) from None


def variables_from_env_file() -> list[str]:
    """The settings' variables that `.env` sets and the environment does not, in the order there."""
    settings = {name.upper() for name in Settings.model_fields}
    try:
        values = dotenv_values(ENV_FILE)
    except UnicodeDecodeError:  # load_settings refuses the file
        return []
    return [
        name.upper()
        for name, value in values.items()
        if value and name.upper() in settings and not os.environ.get(name.upper())
    ]


def with_sources(problem: SettingsError) -> str:
    """The message, with `(from .env)` where a line begins with a variable that `.env` has set."""
    message = str(problem)
    for name in variables_from_env_file():
        message = re.sub(rf"^{name}\b", f"{name} (from {ENV_FILE})", message, flags=re.MULTILINE)
    return message
