"""The six endpoints."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Response

from app import store
from app.core.auth.gate import CurrentUser
from app.core.errors import BODY_ERRORS, BadRequest, Invalid, NotFound
from app.core.http.contract import (
    IDEMPOTENCY_KEY_HEADER,
    IF_MATCH_HEADER,
    IF_NONE_MATCH_HEADER,
    describe,
    query_parameters,
)
from app.core.http.requests import JsonText, StrictRequest, StrictRoute, fingerprint, is_known
from app.models import TITLE_MAX
from app.schemas import (
    LIMIT_MAX,
    Listing,
    TaskCreate,
    TaskId,
    TaskListResponse,
    TaskPatch,
    TaskResponse,
    TaskUpdate,
)


class TaskNotFound(NotFound):
    """The user has no task with this id."""

    default_detail = "You have no such task."


class TaskChanged(BadRequest):
    """The task has none of the entity tags in If-Match."""

    status, default_detail = 412, "The task has changed in the meantime: look at it again."


LIMIT_EXAMPLE = Invalid.at(
    "query", "limit", f"must be less than or equal to {LIMIT_MAX}", "less_than_equal"
)
TITLE_EXAMPLE = Invalid.at(
    "body", "title", f"must have at most {TITLE_MAX} characters", "string_too_long"
)
ID_EXAMPLE = Invalid.at("path", "task_id", "must be a whole number, in digits", "int_parsing")
WRITE_ERRORS = *BODY_ERRORS, TITLE_EXAMPLE
FETCH_ERRORS = TaskNotFound(), ID_EXAMPLE
DELETE_ERRORS = *FETCH_ERRORS, TaskChanged()
LIST_OPTIONS = describe(*query_parameters(Listing), sends=["Link"], fails=[LIMIT_EXAMPLE])
CREATE_OPTIONS = describe(
    IDEMPOTENCY_KEY_HEADER, status=201, sends=["ETag", "Location"], fails=WRITE_ERRORS
)
FETCH_OPTIONS = describe(IF_NONE_MATCH_HEADER, sends=["ETag"], fails=FETCH_ERRORS)
CHANGE_OPTIONS = describe(IF_MATCH_HEADER, sends=["ETag"], fails=[*DELETE_ERRORS, *WRITE_ERRORS])
DELETE_OPTIONS = describe(IF_MATCH_HEADER, status=204, fails=DELETE_ERRORS)

router = APIRouter(prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=StrictRoute)
ThisTask = Annotated[TaskId, Path(description="The task's id.")]


@router.get("", response_model=TaskListResponse, **LIST_OPTIONS)
async def list_tasks(request: StrictRequest, user: CurrentUser) -> Response:
    """List the user's tasks, newest first; while more remain, the `Link` header has the URL of the next page."""
    listing = request.read_query(Listing)
    limit, offset = listing.limit, listing.offset or 0
    if listing.offset is not None and listing.after is not None:
        raise Invalid.at("query", "offset", "must not be combined with after", "conflict")
    filters = {} if listing.complete is None else {"complete": listing.complete}
    after = {} if listing.after is None else {"after": listing.after}
    # one more than the page holds shows whether another page follows
    (lines,) = await _row(
        request, store.list_tasks(user, limit=limit + 1, offset=offset, **filters, **after)
    )
    found = lines.split("\n") if lines else []
    page, count = found[:limit], len(found)
    if offset or after or count > limit:
        (total,) = await _row(request, store.count_tasks(user, **filters))
        count = max(
            total, (offset if found else 0) + count
        )  # others may delete tasks between the two statements
    link = request.next_page(limit, json.loads(page[-1])["id"]) if len(found) > limit else None
    return JsonText(TaskListResponse.json_text(page, count), headers=link)


@router.post("", response_model=TaskResponse, **CREATE_OPTIONS)
async def create_task(request: StrictRequest, user: CurrentUser, body: TaskCreate) -> Response:
    """Create a task; the `Location` header has its URL."""
    values, key = body.model_dump(), request.idempotency_key()
    if key is None:
        query = store.create_task(user, values)
    else:
        hours = _storage(request).idempotency_hours
        query = store.create_task_once(user, values, key, fingerprint(body), hours)
    task_id, task, etag, is_same = await _row(request, query)
    if not is_same:
        raise Invalid.at(
            "header", "Idempotency-Key", "was used for another task before", "key_reused"
        )
    return JsonText(
        task, 201, {"ETag": etag, "Location": f"/api/{quote(user, safe='')}/tasks/{task_id}"}
    )


@router.get("/{task_id}", response_model=TaskResponse, **FETCH_OPTIONS)
async def fetch_task(request: StrictRequest, user: CurrentUser, task_id: ThisTask) -> Response:
    """Fetch one task."""
    known = request.entity_tags("If-None-Match")
    task, etag = await _row(request, store.fetch_task(user, task_id))
    if is_known(etag, known):
        return Response(None, 304, {"ETag": etag})
    return JsonText(task, headers={"ETag": etag})


@router.put("/{task_id}", summary="Replace Task", response_model=TaskResponse, **CHANGE_OPTIONS)
async def update_task(
    request: StrictRequest, user: CurrentUser, task_id: ThisTask, body: TaskUpdate
) -> Response:
    """Replace the whole task; a description that is left out is cleared."""
    return await _change(request, user, task_id, body.model_dump())


@router.patch("/{task_id}", summary="Change Task", response_model=TaskResponse, **CHANGE_OPTIONS)
async def patch_task(
    request: StrictRequest, user: CurrentUser, task_id: ThisTask, body: TaskPatch
) -> Response:
    """Change some fields of the task and leave the others as they are."""
    changes = body.model_dump(exclude_unset=True)
    if not changes:
        raise BadRequest(
            f"There is nothing to change: send at least one of {', '.join(TaskPatch.model_fields)}."
        )
    return await _change(request, user, task_id, changes)


@router.delete("/{task_id}", **DELETE_OPTIONS)
async def delete_task(request: StrictRequest, user: CurrentUser, task_id: ThisTask) -> Response:
    """Delete the task."""
    await _row(request, store.delete_task(user, task_id, request.entity_tags("If-Match")))
    return Response(status_code=204)


async def _change(
    request: StrictRequest, user: str, task_id: int, changes: Mapping[str, Any]
) -> Response:
    task, etag = await _row(
        request, store.update_task(user, task_id, changes, request.entity_tags("If-Match"))
    )
    return JsonText(task, headers={"ETag": etag})


async def _row(request: StrictRequest, query: store.Query) -> tuple[Any, ...]:
    """The query's row.

    Raises TaskNotFound if the user has no such task, and TaskChanged if it has none of the query's entity tags.
    """
    database = _storage(request).pool
    rows = await database.fetch(query.sql, query.params, is_read=query.is_read)
    if not rows:
        owner, task_id = query.params["owner"], query.params["task_id"]
        by_id = store.fetch_task(owner, task_id)
        if "moments" in query.params and await database.fetch(by_id.sql, by_id.params):
            raise TaskChanged
        raise TaskNotFound
    return tuple(rows[0].values())


def _storage(request: StrictRequest) -> store.Storage:
    storage: store.Storage = request.app.state.storage
    return storage
