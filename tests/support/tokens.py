"""Tokens as Better Auth would sign them with the shared secret, and as Mallory would."""

import time
from typing import Any

import jwt

from tests.acceptance.redaction import keep_secret
from tests.support.service import SECRET


def claims(user: str, **others: Any) -> dict[str, Any]:
    """Give the claims of a good token; a None takes a claim out."""
    now = int(time.time())
    a_day = 24 * 3600  # no run of the tests takes so long, on whatever machine
    good = {"sub": user, "user_id": user, "email": f"{user}@example.com", "iat": now, "exp": now + a_day}
    return {name: value for name, value in (good | others).items() if value is not None}


def token(user: str, *, secret: str = SECRET, headers: dict[str, Any] | None = None, **others: Any) -> str:
    """Sign a token with HS256."""
    return keep_secret(jwt.encode(claims(user, **others), secret, algorithm="HS256", headers=headers))
