"""Strict reading of requests: query parameters, headers, the body's size and its JSON (RFC 8259).

FastAPI by itself accepts `NaN`, repeated keys, repeated query parameters, unknown ones on a route
that takes none, and a body that never ends. Each is refused in one place here. Another content type
is refused here too, so that the answer says so.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from hashlib import sha256
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError
from starlette._utils import get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.auth.gate import is_under_api
from app.core.deadline import extend_deadline
from app.core.errors import BadRequest, Invalid, NotFound, PayloadTooLarge
from app.core.http.contract import parameters
from app.core.limits import KEY_MAX

BODY_MAX = 64 * 1024
"""Bytes of a body."""
BODY_SECONDS = 30
"""Seconds from the beginning of a body's reading to its last byte."""
DEPTH_MAX = 100
"""Arrays and objects within each other in a body (RFC 8259, 9, lets a parser limit them)."""
JSON_TYPE = re.compile(r"application/([^/;\s]+\+)?json\s*(;.*)?", re.IGNORECASE)
PARAMETERS_MAX = 50
"""Parameters in a query; the endpoint that takes most has four."""
ETAGS_MAX = 100
"""Entity tags in one header; each of If-Match is compared in the database."""
KEY_PATTERN = f"^[ -~]{{1,{KEY_MAX}}}$"
"""An idempotency key: printable ASCII."""


class StrictUrl:
    """The middleware that refuses a URL which FastAPI would route or parse, and should not.

    A path that ends in a newline has no route. Starlette would find one: the pattern that it makes
    of a route ends in `$`, which matches before a last newline too.

    FastAPI parses the query for every route. Under `/api` more than PARAMETERS_MAX parameters are
    refused before that, because to parse them costs time. No other route takes a query: there a
    query with more parameters is emptied.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; raises NotFound and Invalid."""
        if scope["type"] == "http":
            self._check(scope)
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        path = get_route_path(scope)  # what the router matches: without the server's root path
        if path.endswith("\n"):
            raise NotFound
        if scope["query_string"].count(b"&") >= PARAMETERS_MAX:
            if is_under_api(path):
                message = f"must have at most {PARAMETERS_MAX} parameters"
                raise Invalid([{"loc": ("query",), "msg": message, "type": "too_long"}])
            scope["query_string"] = b""


class StrictRequest(Request):
    """A request whose body is what it should be, or an error."""

    async def body(self) -> bytes:
        """Return the whole body.

        Its bytes are counted as they come, because a chunked body has no Content-Length. Raises
        BadRequest if it is empty, not JSON by its content type or still on its way after
        BODY_SECONDS, and PayloadTooLarge beyond BODY_MAX.
        """
        if hasattr(self, "_body"):
            return self._body
        if not JSON_TYPE.fullmatch(self.headers.get("content-type", "")):
            raise BadRequest("The content type must be application/json.")
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._received()
        except TimeoutError:
            message = f"The body did not arrive within {BODY_SECONDS} seconds."
            raise BadRequest(message) from None
        extend_deadline(clock() - began)
        if not body:
            raise BadRequest("The body is empty.")
        self._body = body
        return self._body

    async def _received(self) -> bytes:
        body = bytearray()
        async for chunk in self.stream():
            body += chunk
            if len(body) > BODY_MAX:
                raise PayloadTooLarge
        return bytes(body)

    async def json(self) -> Any:
        """Return the parsed body.

        Raises BadRequest if it is not JSON or nested deeper than DEPTH_MAX (R-08), Invalid if a
        key is repeated.
        """
        body = await self.body()
        try:
            text = body.decode()
            _check_depth(text)
            return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        except ValueError:
            # also more digits in a number than Python converts
            raise BadRequest("The body is not valid JSON.") from None


def _check_depth(text: str) -> None:
    """Raise BadRequest if JSON is nested deeper than DEPTH_MAX; linear in its length.

    Counted before it is parsed: how deep Python's own parser comes depends on its version and on
    the free stack.
    """
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return  # nearly every body
    # A bracket in a string does not count. Once escaped backslashes and quotes are removed, each
    # quote begins or ends a string. Split at the quotes, the first, third, fifth … part is outside.
    unescaped = text.replace(r"\\", "").replace(r"\"", "")
    outside_strings = "".join(unescaped.split('"')[::2])
    depth = 0
    for character in outside_strings:
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if depth > DEPTH_MAX:
            raise BadRequest(f"The body is nested more than {DEPTH_MAX} deep.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; raise Invalid if a key is repeated."""
    values = dict(pairs)
    if len(values) < len(pairs):
        name = _first_repeated(name for name, _ in pairs)
        raise Invalid.at("body", name, "must appear only once", "repeated_key")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN, Infinity and -Infinity are not JSON


def _first_repeated(names: Iterable[str]) -> str:
    return next(name for name, count in Counter(names).items() if count > 1)


class StrictRoute(APIRoute):
    """A route that reads its requests strictly, and describes its parameters to OpenAPI.

    A route that takes a query declares it as one model that forbids unknown parameters; any other
    route takes none.

    `get_route_handler` is FastAPI's documented way to a request class of one's own. FastAPI's
    source marks it "replace or deprecate". This class can go when FastAPI lets an application say
    how a body is read (its time, its content type, its JSON) and refuses a repeated parameter; its
    `max_body_size` bounds the size alone.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.openapi_extra = {
            **(self.openapi_extra or {}),
            "parameters": parameters(self.dependant),
        }

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give FastAPI's handler a StrictRequest, and check the names in the query before."""
        handler = super().get_route_handler()
        takes_query = bool(self.dependant.query_params)

        async def strict_handler(request: Request) -> Response:
            strict_request = StrictRequest(request.scope, request.receive)
            if request.scope["query_string"]:
                _check_query_names(strict_request, takes_query=takes_query)
            return await handler(strict_request)

        return strict_handler


def _check_query_names(request: Request, *, takes_query: bool) -> None:
    """Raise Invalid if a parameter is repeated, or if there is one where there should be none."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) < len(names):
        name = _first_repeated(names)
        raise Invalid.at("query", name, "must appear only once", "repeated_parameter")
    if names and not takes_query:
        raise Invalid.unknown("query", names)


def _digits(text: str) -> str:
    # pydantic takes 1.0, 1_0 and +1 too, and has a sentence of its own for very many digits.
    if not re.fullmatch("[0-9]{1,1000}", text):
        raise PydanticCustomError("int_parsing", "must be a whole number, in digits")
    return text


def _true_or_false(text: str) -> str:
    # pydantic takes yes, on and 1 too
    if text not in ("true", "false"):
        raise PydanticCustomError("bool_parsing", "must be true or false")
    return text


# For an integer and a boolean in a path or a query.
Digits = BeforeValidator(_digits)
TrueOrFalse = BeforeValidator(_true_or_false)


def _entity_tags(lines: list[str]) -> list[str]:
    """The entity tags in all lines of a header (RFC 9110, 8.8.3).

    Our tags contain no comma, so a naive split is enough; a malformed tag is kept as it is, and
    equals none of ours.
    """
    tags = ",".join(lines).split(",", ETAGS_MAX)
    if len(tags) > ETAGS_MAX:
        raise PydanticCustomError("too_long", f"must have at most {ETAGS_MAX} tags")
    return [tag.strip() for tag in tags]


# An endpoint gives it the default None, for a request without the header. FastAPI validates no
# default, so _entity_tags is not called for it.
IfMatch = Annotated[
    list[str] | None,
    AfterValidator(_entity_tags),
    Header(
        alias="If-Match",
        description="Entity tags; the current state must have one of them.",
        include_in_schema=False,
    ),
]
IfNoneMatch = Annotated[
    list[str] | None,
    AfterValidator(_entity_tags),
    Header(
        alias="If-None-Match",
        description="Entity tags of known states, which are not sent again.",
        include_in_schema=False,
    ),
]


def etag_matches(etag: str, if_none_match: list[str] | None) -> bool:
    """Whether the entity tag is one of If-None-Match, by weak comparison (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    if if_none_match == ["*"]:
        return True
    return etag in [tag.removeprefix("W/") for tag in if_none_match]


async def _idempotency_key(
    lines: Annotated[
        list[str] | None,
        Header(
            alias="Idempotency-Key",
            description="A retry with the same key gets the first answer and creates nothing.",
            include_in_schema=False,
            json_schema_extra={"pattern": KEY_PATTERN},
        ),
    ] = None,
) -> str | None:
    """The key; BadRequest if it is sent twice or can't be used.

    A type that is validated, as IfMatch is, would make this a 422.
    """
    if lines is None:
        return None
    if len(lines) > 1 or not re.fullmatch(KEY_PATTERN, lines[0]):
        raise BadRequest(
            f"Idempotency-Key must be sent once, with 1 to {KEY_MAX} printable ASCII characters."
        )
    return lines[0]


IdempotencyKeyHeader = Annotated[str | None, Depends(_idempotency_key)]
"""The key under which a retry is recognized; None if none was sent."""


def fingerprint(body: BaseModel) -> bytes:
    """A hash of a body's values: a retry may be written differently, but says the same.

    Defaults are left out, so that a new optional field keeps old fingerprints.
    """
    values = body.model_dump_json(exclude_defaults=True)
    return sha256(values.encode()).digest()
