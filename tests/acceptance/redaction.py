"""No token leaves a run: not in a report, not in a message of a failed assertion."""

import re
from collections.abc import Iterable

REDACTED = "[redacted]"
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie"}
PART_MIN = 8

# a token's header is a JSON object in base64url; the dots may be those of a shortened repr
_TOKEN = re.compile(r"eyJ[\w.-]{5,}")
# what pytest leaves of a long text
_SHORTENED = re.compile(r"([\w-]{6,})\.\.\.([\w-]{6,})")
_secrets: dict[str, None] = {}


def keep_secret(value: str) -> str:
    """Redact this value from now on, and each part of it where it is a token; returns the value."""
    for part in (value, *value.split(".")):
        if len(part) >= PART_MIN:
            _secrets[part] = None
    return value


def redact(text: str) -> str:
    """Take out everything that looks like a token, and all that has been declared secret."""
    text = _TOKEN.sub(REDACTED, text)
    for secret in tuple(_secrets):  # another thread may declare one meanwhile
        if secret in text:
            text = text.replace(secret, REDACTED)
    return _SHORTENED.sub(_shortened, text)


def _shortened(match: re.Match[str]) -> str:
    known = any(secret.startswith(match[1]) or secret.endswith(match[2]) for secret in tuple(_secrets))
    return REDACTED if known else match[0]


def redact_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Take out the credentials; their scheme stays."""
    return [(name, _credentials(value) if name.lower() in SECRET_HEADERS else redact(value)) for name, value in headers]


def _credentials(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {REDACTED}" if space and scheme.isalpha() else REDACTED
