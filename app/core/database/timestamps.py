"""How a timestamp of a row is read: as the text with which this service answers."""

from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import connection, new_type, register_type

TIMESTAMPTZ_OID = 1184
"""PostgreSQL's number of the type timestamptz (its pg_type.dat)."""
UTC_TEXT = "2025-12-20 11:30:00.123456+00"
"""As PostgreSQL writes a timestamptz in UTC; zeros at the end of its six digits are left out."""


def read_timestamp(text: Any, _cursor: Any) -> str | None:
    """Return what PostgreSQL wrote, by RFC 3339: in UTC, with six digits of microseconds and `Z`.

    `text` is a str, or None for NULL. PostgreSQL writes it in the session's time zone, which the
    database or the role may set.
    """
    if text is None:
        return None
    if len(text) == len(UTC_TEXT) and text.endswith("+00"):
        # Nearly all of them are so, and a page of 500 rows with two each has 1,000: to parse these
        # would take longer than to write the page's JSON.
        return f"{text[:10]}T{text[11:26]}Z"
    moment = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


TIMESTAMP_AS_TEXT = new_type((TIMESTAMPTZ_OID,), "TIMESTAMP_AS_TEXT", read_timestamp)


def read_timestamps_as_text(raw: connection) -> None:
    """Have this connection's rows give timestamps as `read_timestamp` does."""
    register_type(TIMESTAMP_AS_TEXT, raw)
