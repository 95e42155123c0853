"""The six endpoints (spec: Endpoints)."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app import queries
from app.core import errors
from app.core.auth import USER_ID_MAX, CurrentUser
from app.core.database import Pool, Query
from app.core.requests import StrictRoute, read_query
from app.models import ID_MAX, KEY_MAX, TITLE_MAX
from app.schemas import TaskCreate, TaskListResponse, TaskPatch, TaskResponse, TaskUpdate

LIMIT_DEFAULT, LIMIT_MAX = 100, 500
TAGS_MAX = 100
"""Entity tags in one header; each is compared in the database."""


def _digits(text: str) -> str:
    # pydantic takes 1.0, 1_0 and +1 too
    if not re.fullmatch("[0-9]+", text):
        raise PydanticCustomError("int_parsing", "must be a whole number, in digits")
    return text


def _true_or_false(text: str) -> str:
    # pydantic takes yes, on and 1 too
    if text not in ("true", "false"):
        raise PydanticCustomError("bool_parsing", "must be true or false")
    return text


Digits = BeforeValidator(_digits)
TaskId = Annotated[int, Path(ge=1, le=ID_MAX, description="The task's id."), Digits]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX), Digits]
Offset = Annotated[int, Field(ge=0, le=ID_MAX), Digits]
After = Annotated[int, Field(ge=1, le=ID_MAX), Digits]
Complete = Annotated[bool, BeforeValidator(_true_or_false)]


class Listing(BaseModel):
    """What part of the list is asked for."""

    complete: Complete | None = Field(None, description="Only the tasks that are, or are not, complete.")
    limit: Limit = Field(LIMIT_DEFAULT, description="How many tasks at most.")
    offset: Offset | None = Field(None, description="How many tasks to skip.")
    after: After | None = Field(None, description="The last task of the page before.")


KEY = f"^[ -~]{{1,{KEY_MAX}}}$"

AUTH = (errors.AuthMissing(), errors.AuthInvalid(), errors.AuthForbidden())
ANY = (*AUTH, errors.DatabaseError(), errors.KeysUnavailable(), errors.ApiError())
TOO_MANY = errors.Invalid.at("query", "limit", f"must be less than or equal to {LIMIT_MAX}", "less_than_equal")
TOO_LONG = errors.Invalid.at("body", "title", f"must have at most {TITLE_MAX} characters", "string_too_long")
NO_ID = errors.Invalid.at("path", "task_id", "must be a whole number, in digits", "int_parsing")
WITH_BODY = (*ANY, errors.BadRequest("the body is not valid JSON"), errors.PayloadTooLarge(), TOO_LONG)
WITH_ID = (*ANY, errors.NotFound(), NO_ID)


def _parameter(place: str, name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "description": description, "schema": {"type": "string"} | schema}


def _in_query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    schema.pop("title")  # the name will do
    # it can be left out, but not be null
    return _parameter("query", name, description, **schema.get("anyOf", [schema])[0])


def _declared(*parameters: dict[str, Any]) -> dict[str, Any]:
    """Declare parameters to OpenAPI alone: for us to read them costs less than FastAPI's solving."""
    user = _parameter("path", "user_id", "The token's user.", maxLength=USER_ID_MAX) | {"required": True}
    return {"parameters": [user, *parameters]}


def _header(name: str, description: str, **schema: str) -> dict[str, Any]:
    return _declared(_parameter("header", name, description, **schema))


PART = _declared(*[_in_query(name, **said) for name, said in Listing.model_json_schema()["properties"].items()])
ONCE = _header(
    "Idempotency-Key", "A retry with the same key is given the first answer, and makes no task.", pattern=KEY
)
IF_MATCH = _header("If-Match", "The tags of the states that may be changed: if the task has none of them, it stays.")
IF_NONE_MATCH = _header("If-None-Match", "The tags of the states that are known: if the task has one, it is not sent.")
TAGGED = errors.headers("ETag")
CHANGE: dict[str, Any] = {
    "response_model": TaskResponse,
    "responses": {200: TAGGED} | errors.responses(*WITH_ID, *WITH_BODY, errors.PreconditionFailed()),
    "openapi_extra": IF_MATCH,
}

LISTED = {200: errors.headers("Link")} | errors.responses(*ANY, TOO_MANY)

router = APIRouter(prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=StrictRoute)


@router.get("", response_model=TaskListResponse, responses=LISTED, openapi_extra=PART)
async def list_tasks(request: Request, user: CurrentUser) -> Response:
    """List the user's tasks, newest first; while more remain, the `Link` header holds the next page's URL."""
    asked = read_query(request, Listing)
    limit, offset = asked.limit, asked.offset or 0
    if asked.offset is not None and asked.after is not None:
        raise errors.Invalid.at("query", "offset", "must not be combined with after", "conflict")
    matching = {} if asked.complete is None else {"complete": asked.complete}
    later = {} if asked.after is None else {"after": asked.after}
    # one more than the page holds shows whether another page follows
    (lines,) = await _row(request, queries.list_tasks(user, limit=limit + 1, offset=offset, **matching, **later))
    found = lines.split("\n") if lines else []
    page, count = found[:limit], len(found)
    if offset or later or count > limit:
        proven = (offset if found else 0) + count  # others may delete tasks between the two statements
        (count,) = await _row(request, queries.count_tasks(user, **matching))
        count = max(count, proven)
    following = _next_page(matching, limit, page[-1]) if len(found) > limit else None
    return _json(f'{{"tasks":[{",".join(page)}],"count":{count}}}', headers=following)


CREATED = {201: errors.headers("ETag", "Location")} | errors.responses(*WITH_BODY)


@router.post("", status_code=201, response_model=TaskResponse, responses=CREATED, openapi_extra=ONCE)
async def create_task(request: Request, user: CurrentUser, body: TaskCreate) -> Response:
    """Create a task; the `Location` header holds its URL."""
    values, keys = body.model_dump(), request.headers.getlist("idempotency-key")
    if not keys:
        query = queries.create_task(user, values)
    elif len(keys) == 1 and re.fullmatch(KEY, keys[0]):
        meant = sha256(body.model_dump_json(exclude_defaults=True).encode()).digest()  # however it was written
        query = queries.create_task_once(user, values, keys[0], meant, request.app.state.settings.idempotency_hours)
    else:
        raise errors.BadRequest(f"Idempotency-Key: must be there once, with 1 to {KEY_MAX} printable ASCII characters")
    task_id, task, tag, same = await _row(request, query)
    if not same:
        raise errors.Invalid.at("header", "Idempotency-Key", "was used for another task before", "key_reused")
    return _json(task, 201, {"ETag": tag, "Location": f"/api/{quote(user, safe='')}/tasks/{task_id}"})


FETCHED = {200: TAGGED, 304: TAGGED | {"description": "The task has a known tag."}} | errors.responses(*WITH_ID)


@router.get("/{task_id}", response_model=TaskResponse, responses=FETCHED, openapi_extra=IF_NONE_MATCH)
async def fetch_task(request: Request, user: CurrentUser, task_id: TaskId) -> Response:
    """Fetch one task."""
    known = _tags(request, "if-none-match") or []
    task, tag = await _row(request, queries.fetch_task(user, task_id))
    if known == ["*"] or tag in [one.removeprefix("W/") for one in known]:
        return Response(None, 304, {"ETag": tag})
    return _json(task, headers={"ETag": tag})


@router.put("/{task_id}", summary="Replace Task", **CHANGE)
async def update_task(request: Request, user: CurrentUser, task_id: TaskId, body: TaskUpdate) -> Response:
    """Replace the whole task; a description that is left out is cleared."""
    return await _change(request, user, task_id, body.model_dump())


@router.patch("/{task_id}", summary="Change Task", **CHANGE)
async def patch_task(request: Request, user: CurrentUser, task_id: TaskId, body: TaskPatch) -> Response:
    """Change some fields of the task and leave the others as they are."""
    changes = body.model_dump(exclude_unset=True)
    if not changes:
        raise errors.BadRequest("nothing to change: name at least one of " + ", ".join(TaskPatch.model_fields))
    return await _change(request, user, task_id, changes)


DELETED = {204: errors.headers()} | errors.responses(*WITH_ID, errors.PreconditionFailed())


@router.delete("/{task_id}", status_code=204, responses=DELETED, openapi_extra=IF_MATCH)
async def delete_task(request: Request, user: CurrentUser, task_id: TaskId) -> Response:
    """Delete the task."""
    await _row(request, queries.delete_task(user, task_id, _tags(request, "if-match")))
    return Response(status_code=204)


async def _change(request: Request, user: str, task_id: int, changes: Mapping[str, Any]) -> Response:
    task, tag = await _row(request, queries.update_task(user, task_id, changes, _tags(request, "if-match")))
    return _json(task, headers={"ETag": tag})


def _tags(request: Request, header: str) -> list[str] | None:
    """The header's entity tags (RFC 9110, 8.8.3), or None where it is not there; Invalid where they are too many.

    A foreign tag with a comma in it is torn, and a malformed one taken as it is: neither is ever one of ours.
    """
    lines = request.headers.getlist(header)
    tags = ",".join(lines).split(",", TAGS_MAX)
    if len(tags) > TAGS_MAX:
        raise errors.Invalid.at("header", header.title(), f"must have at most {TAGS_MAX} tags", "too_long")
    return [tag.strip() for tag in tags] if lines else None


async def _row(request: Request, query: Query) -> tuple[Any, ...]:
    """The query's row; where there is none, this user has no such task, or not with one of the tags asked for."""
    database: Pool = request.app.state.database
    row = await database.fetch(query)
    if row is None:
        this_one = query.params["owner"], query.params["task_id"]
        if query.params.get("tags") and await database.fetch(queries.fetch_task(*this_one)):
            raise errors.PreconditionFailed
        raise errors.NotFound
    return row


def _json(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _next_page(matching: Mapping[str, bool], limit: int, last: str) -> Mapping[str, str]:
    """The Link header (RFC 8288) to the page after the task `last`, relative to this one."""
    kept = {name: str(value).lower() for name, value in matching.items()}
    return {"Link": f'<?{urlencode(kept | {"limit": limit, "after": json.loads(last)["id"]})}>; rel="next"'}
