"""What others have sent, made safe for a line of the log.

A name or a message may come from a caller or from the auth server. Escaped, it can neither begin a
line of its own nor send control characters to a terminal.
"""

import reprlib

_short_repr = reprlib.Repr()
_short_repr.maxstring = 100


def quoted(value: object) -> str:
    """The value in quotes: escaped, and cut in the middle if it is long."""
    return _short_repr.repr(value)


def printable(text: str) -> str:
    """The whole text in printable ASCII, without quotes: all else is escaped."""
    return ascii(text)[1:-1]
