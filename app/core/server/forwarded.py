"""X-Forwarded-Proto, in the one form that uvicorn reads."""

FORWARDED_PROTO = b"x-forwarded-proto"


def take_first_scheme(headers: list[tuple[bytes, bytes]]) -> None:
    """Leave one line of X-Forwarded-Proto in a request's headers, with its first scheme.

    `headers` has names in lower case, and is changed in place. All lines are one list (RFC 9110,
    5.3), whose empty members do not count (5.6.1), and a scheme has no case (RFC 3986, 3.1). The
    first member counts: each proxy appends its own, so the first is from the one nearest to the
    caller (R-34). uvicorn reads the last line alone, and only if it is one scheme and nothing
    else. Whether the sender is trusted is uvicorn's decision, which comes later.
    """
    lines = [value for name, value in headers if name == FORWARDED_PROTO]
    if not lines:
        return
    schemes = [scheme.strip().lower() for scheme in b",".join(lines).split(b",")]
    first = next((scheme for scheme in schemes if scheme), b"")
    headers[:] = [header for header in headers if header[0] != FORWARDED_PROTO]
    headers.append((FORWARDED_PROTO, first))
