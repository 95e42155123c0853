"""Strict reading of requests: query parameters, headers, the body's size and its JSON (RFC 8259).

FastAPI alone accepts `NaN`, repeated keys, unknown query parameters, bodies of any size and other content types.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from app.core.deadline import extend_deadline
from app.core.errors import BadRequest, Invalid, PayloadTooLarge
from app.core.limits import KEY_MAX

BODY_MAX = 64 * 1024
"""Bytes."""
DEPTH_MAX = 100
"""Arrays and objects within each other in a body (RFC 8259, 9, lets a parser limit them); a task is one object."""
JSON_TYPE = re.compile(r"application/([^/;\s]+\+)?json\s*(;.*)?", re.IGNORECASE)
ETAGS_MAX = 100
"""Entity tags in one header; each is compared in the database."""
KEY_PATTERN = f"^[ -~]{{1,{KEY_MAX}}}$"
"""An idempotency key: printable ASCII."""

Model = TypeVar("Model", bound=BaseModel)


class StrictRequest(Request):
    """A request whose parts are read strictly: each is what it should be, or an error."""

    async def body(self) -> bytes:
        """Return the whole body; its bytes are counted as they come, because a chunked body has no Content-Length.

        Raises BadRequest if it is empty or not JSON by its content type, PayloadTooLarge beyond BODY_MAX.
        """
        if hasattr(self, "_body"):
            return self._body
        if not JSON_TYPE.fullmatch(self.headers.get("content-type", "")):
            raise BadRequest("The content type must be application/json.")
        clock = asyncio.get_running_loop().time
        began, body = clock(), bytearray()
        async for chunk in self.stream():
            body += chunk
            if len(body) > BODY_MAX:
                raise PayloadTooLarge
        extend_deadline(clock() - began)
        if not body:
            raise BadRequest("The body is empty.")
        self._body = bytes(body)
        return self._body

    async def json(self) -> Any:
        """Return the parsed body.

        Raises BadRequest if it is not JSON or nested deeper than DEPTH_MAX (R-08), Invalid if a key is repeated.
        """
        body = await self.body()
        try:
            text = body.decode()
            _check_depth(text)
            return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        except ValueError:
            # also more digits in a number than Python converts
            raise BadRequest("The body is not valid JSON.") from None

    def read_query(self, model: type[Model]) -> Model:
        """Return the query's parameters; raise Invalid if one is repeated or breaks a rule of the model."""
        values = _object(self.query_params.multi_items(), "query", "repeated_parameter")
        try:
            return model.model_validate(values)
        except ValidationError as failure:
            raise Invalid(
                error | {"loc": ("query", *error["loc"])} for error in failure.errors()
            ) from None

    def entity_tags(self, header: str) -> list[str] | None:
        """The entity tags of If-Match or If-None-Match (RFC 9110, 8.8.3); None if the header was not sent.

        Raises Invalid if there are more than ETAGS_MAX.
        A tag with a comma in it is split and a malformed one taken as it is: neither is ever one of this service's.
        """
        lines = self.headers.getlist(header)
        tags = ",".join(lines).split(",", ETAGS_MAX)
        if len(tags) > ETAGS_MAX:
            raise Invalid.at("header", header, f"must have at most {ETAGS_MAX} tags", "too_long")
        return [tag.strip() for tag in tags] if lines else None

    def idempotency_key(self) -> str | None:
        """The key under which a retry is recognized; None if none was sent, BadRequest if it can't be used."""
        keys = self.headers.getlist("idempotency-key")
        if len(keys) > 1 or not all(re.fullmatch(KEY_PATTERN, key) for key in keys):
            raise BadRequest(
                f"Idempotency-Key must be sent once, with 1 to {KEY_MAX} printable ASCII characters."
            )
        return keys[0] if keys else None

    def next_page(self, limit: int, after: object) -> dict[str, str]:
        """The header Link (RFC 8288) with the path of the page after this one; the other parameters stay."""
        kept = {name: value for name, value in self.query_params.items() if name != "offset"}
        query = urlencode(kept | {"limit": limit, "after": after})
        return {"Link": f'<{quote(self.scope["path"])}?{query}>; rel="next"'}


def _check_depth(text: str) -> None:
    """Raise BadRequest if JSON is nested deeper than DEPTH_MAX; takes time in proportion to its length.

    Counted before it is parsed: how deep Python's own parser comes depends on its version and on the free stack.
    """
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return  # nearly every body
    # a bracket in a string does not count; without the escaped characters, every other part is a string
    unescaped = text.replace(r"\\", "").replace(r"\"", "")
    depth = 0
    for character in "".join(unescaped.split('"')[::2]):
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if depth > DEPTH_MAX:
            raise BadRequest(f"The body is nested more than {DEPTH_MAX} deep.")


def _object(
    pairs: list[tuple[str, Any]], source: str = "body", kind: str = "repeated_key"
) -> dict[str, Any]:
    """The pairs of JSON or of a query; raise Invalid if a name is repeated."""
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = next(
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        )
        raise Invalid.at(source, repeated, "must appear only once", kind)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN, Infinity and -Infinity are not JSON


class NoParameters(BaseModel, extra="forbid"):
    """The query of a route that takes none: an unknown parameter may be a typo."""


class StrictRoute(APIRoute):
    """A route that reads its requests strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler, which is its documented way to use another request class."""
        handler = super().get_route_handler()
        reads_query = any(
            one["in"] == "query" for one in (self.openapi_extra or {}).get("parameters", [])
        )

        async def strict_handler(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if request.scope["query_string"] and not reads_query:
                strict.read_query(NoParameters)
            return await handler(strict)

        return strict_handler


def _digits(text: str) -> str:
    # pydantic takes 1.0, 1_0 and +1 too; more digits than Python converts have a sentence of Python's
    if not re.fullmatch("[0-9]{1,1000}", text):
        raise PydanticCustomError("int_parsing", "must be a whole number, in digits")
    return text


def _true_or_false(text: str) -> str:
    # pydantic takes yes, on and 1 too
    if text not in ("true", "false"):
        raise PydanticCustomError("bool_parsing", "must be true or false")
    return text


Digits, TrueOrFalse = BeforeValidator(_digits), BeforeValidator(_true_or_false)
"""For an integer and a boolean in a path or a query."""


def is_known(tag: str, known: list[str] | None) -> bool:
    """Whether the entity tag is one of If-None-Match, by weak comparison (RFC 9110, 13.1.2)."""
    return known == ["*"] or tag in [one.removeprefix("W/") for one in known or []]


def fingerprint(body: BaseModel) -> bytes:
    """A hash of a body's values: a retry may be written differently, but says the same.

    Defaults are left out, so that a new optional field keeps old fingerprints.
    """
    return sha256(body.model_dump_json(exclude_defaults=True).encode()).digest()


class JsonText(Response):
    """A response whose content is JSON already."""

    media_type = "application/json"
