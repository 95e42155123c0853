"""What Schemathesis can't read in the contract: hooks that it loads by this module's name."""

import re
from typing import Any
from uuid import uuid4

import schemathesis

from app.core.http.requests import KEY_PATTERN

USER = "alice"
"""Whose token is sent, if any is."""


@schemathesis.hook
def before_load_schema(_: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Say that the path's user is the token's: of which one, no contract can tell."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "user_id":
                    parameter["schema"] = {"type": "string", "enum": [USER]}


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - a hook's
    """Keep the rules that no schema can say, where a request keeps all that one can.

    `offset` and `after` exclude each other, a key is for one task alone, and a title is more than white space.
    """
    query: Any = case.query or {}
    headers: Any = case.headers or {}
    body = case.body
    if all(re.fullmatch("[0-9]{1,19}", str(query.get(name))) for name in ("offset", "after")):
        del query["after"]
    if re.fullmatch(KEY_PATTERN, str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = uuid4().hex
    if isinstance(body, dict) and isinstance(title := body.get("title"), str) and title and not title.strip():
        body["title"] = "x"
