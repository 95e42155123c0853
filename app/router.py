"""The six endpoints."""

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.core.auth.gate import CurrentUserId
from app.core.errors import BadRequest, Invalid
from app.core.http.answers import JsonAnswer
from app.core.http.contract import BODY_ERRORS, describe_answer, describe_user_errors
from app.core.http.requests import (
    IdempotencyKeyHeader,
    IfMatch,
    IfNoneMatch,
    StrictRoute,
    etag_matches,
    fingerprint,
)
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
from app.store import Row, TaskChanged, TaskNotFound, Tasks, entity_tag

# Examples for OpenAPI of a request that breaks a rule.
BAD_LIMIT = Invalid.at(
    "query", "limit", f"must be less than or equal to {LIMIT_MAX}", "less_than_equal"
)
BAD_TITLE = Invalid.at(
    "body", "title", f"must have at most {TITLE_MAX} characters", "string_too_long"
)
BAD_ID = Invalid.at("path", "task_id", "must be a whole number, in digits", "int_parsing")

# No endpoint takes `user_id`: the middleware Authentication has compared it with the token's user.
# contract.parameters describes it to OpenAPI.
router = APIRouter(prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=StrictRoute)


async def _tasks_of(request: Request, owner: CurrentUserId) -> Tasks:
    return Tasks(request.app.state.store, owner)


# The signed-in user's tasks.
MyTasks = Annotated[Tasks, Depends(_tasks_of)]
# include_in_schema=False: contract.parameters describes it to OpenAPI, and FastAPI does not.
TaskIdInPath = Annotated[TaskId, Path(description="The task's id.", include_in_schema=False)]


class TaskAnswer(JsonAnswer):
    """A task as JSON, with its entity tag."""

    def __init__(self, task: Row, status_code: int = 200, location: str | None = None) -> None:
        headers = {"ETag": entity_tag(task)}
        if location is not None:
            headers["Location"] = location
        super().__init__(task, status_code, headers)


@router.get(
    "",
    description="List the user's tasks, newest first; while more remain, the `Link` header has the"
    " URL of the next page.",
    response_model=TaskListResponse,
    responses=describe_answer(200, "Link") | describe_user_errors(BAD_LIMIT),
)
async def list_tasks(
    request: Request, tasks: MyTasks, listing: Annotated[Listing, Query(include_in_schema=False)]
) -> Response:
    """List the user's tasks."""
    if listing.offset is not None and listing.after is not None:
        raise Invalid.at("query", "offset", "must not be combined with after", "conflict")
    offset = listing.offset or 0
    # One row more than the page holds: it shows whether another page follows.
    rows = await tasks.page(
        listing.limit + 1, complete=listing.complete, offset=offset, after=listing.after
    )
    page = rows[: listing.limit]
    has_next = len(rows) > listing.limit
    is_first_page = not offset and listing.after is None
    if is_first_page and not has_next:  # it has every task that matches
        count = len(rows)
    else:
        count = await _count(tasks, listing.complete, offset, rows)
    headers = None
    if has_next:
        next_page = _next_page(request, listing.limit, after=page[-1]["id"])
        headers = {"Link": f'<{next_page}>; rel="next"'}
    return JsonAnswer({"tasks": page, "count": count}, headers=headers)


@router.post(
    "",
    status_code=201,
    response_model=TaskResponse,
    responses=describe_answer(201, "ETag", "Location")
    | describe_user_errors(*BODY_ERRORS, BAD_TITLE),
)
async def create_task(
    request: Request, tasks: MyTasks, body: TaskCreate, idempotency_key: IdempotencyKeyHeader
) -> Response:
    """Create a task; the `Location` header has its URL."""
    values = body.model_dump()
    if idempotency_key is None:
        task = await tasks.create(values)
    else:
        task = await tasks.create_once(values, idempotency_key, fingerprint(body))
    location = f"{quote(request.scope['path'])}/{task['id']}"
    return TaskAnswer(task, 201, location)


@router.get(
    "/{task_id}",
    response_model=TaskResponse,
    responses=describe_answer(200, "ETag")
    | describe_user_errors(TaskNotFound(), BAD_ID)
    | describe_answer(304, "ETag"),
)
async def fetch_task(
    tasks: MyTasks, task_id: TaskIdInPath, if_none_match: IfNoneMatch = None
) -> Response:
    """Fetch one task."""
    task = await tasks.get(task_id)
    etag = entity_tag(task)
    if etag_matches(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    return TaskAnswer(task)


@router.put(
    "/{task_id}",
    summary="Replace Task",
    response_model=TaskResponse,
    responses=describe_answer(200, "ETag")
    | describe_user_errors(TaskNotFound(), BAD_ID, TaskChanged(), *BODY_ERRORS, BAD_TITLE),
)
async def update_task(
    tasks: MyTasks, task_id: TaskIdInPath, body: TaskUpdate, if_match: IfMatch = None
) -> Response:
    """Replace the whole task; a description that is left out is cleared."""
    return TaskAnswer(await tasks.change(task_id, body.model_dump(), if_match))


@router.patch(
    "/{task_id}",
    summary="Change Task",
    response_model=TaskResponse,
    responses=describe_answer(200, "ETag")
    | describe_user_errors(TaskNotFound(), BAD_ID, TaskChanged(), *BODY_ERRORS, BAD_TITLE),
)
async def patch_task(
    tasks: MyTasks, task_id: TaskIdInPath, body: TaskPatch, if_match: IfMatch = None
) -> Response:
    """Change some fields of the task and leave the others as they are."""
    changes = body.model_dump()
    if not changes:
        fields = ", ".join(TaskPatch.model_fields)
        raise BadRequest(f"There is nothing to change: send at least one of {fields}.")
    return TaskAnswer(await tasks.change(task_id, changes, if_match))


@router.delete(
    "/{task_id}",
    status_code=204,
    responses=describe_answer(204) | describe_user_errors(TaskNotFound(), BAD_ID, TaskChanged()),
)
async def delete_task(tasks: MyTasks, task_id: TaskIdInPath, if_match: IfMatch = None) -> Response:
    """Delete the task."""
    await tasks.delete(task_id, if_match)
    return Response(status_code=204)


async def _count(tasks: Tasks, complete: bool | None, offset: int, rows: list[Row]) -> int:
    """How many tasks match the filter, on all pages; `rows` are those after the offset.

    It is counted by a second statement, and tasks may be deleted between the two. The count is
    never less than what this page has shown to exist: `offset` tasks before it, and its rows. A
    page without rows shows nothing: its offset may be beyond the last task.
    """
    count = await tasks.count(complete=complete)
    if not rows:
        return count
    return max(count, offset + len(rows))


def _next_page(request: Request, limit: int, after: int) -> str:
    """The URL, without its host, of the page that follows the task `after`; the filter stays."""
    query = dict(request.query_params)
    query.pop("offset", None)
    query["limit"] = str(limit)
    query["after"] = str(after)
    return f"{quote(request.scope['path'])}?{urlencode(query)}"
