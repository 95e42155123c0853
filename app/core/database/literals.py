"""How psycopg2 writes a text into a statement, by every connection of this process."""

from typing import Any

from psycopg2.extensions import AsIs, QuotedString, register_adapter


def text_literal(text: str) -> Any:
    """Return what psycopg2 writes for the text: a literal that means the same to every server.

    psycopg2's own literal depends on what it knows of the server's `standard_conforming_strings`.
    If that is changed beneath an open connection, psycopg2 learns it too late, and the rest of a
    text with a backslash would be read as SQL. libpq's PQescapeLiteral writes `E'…'` for such texts
    too. A text with NUL is left to psycopg2's own, which refuses it with ValueError.
    """
    if "\\" not in text or "\0" in text:
        return QuotedString(text)
    return AsIs("E'" + text.replace("\\", r"\\").replace("'", "''") + "'")


def register() -> None:
    """Have psycopg2 write every text so, in all connections."""
    register_adapter(str, text_literal)
