"""The six endpoints (spec: Endpoints)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi import Query as Parameter
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from app import errors, queries
from app.auth import CurrentUser
from app.database import Pool, Query
from app.models import ID_MAX
from app.parsing import StrictRoute
from app.schemas import TaskCreate, TaskListResponse, TaskPatch, TaskResponse, TaskUpdate

LIMIT_DEFAULT, LIMIT_MAX = 100, 500


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
Complete = Annotated[
    bool, Parameter(description="Only the tasks that are, or are not, complete."), BeforeValidator(_true_or_false)
]
Limit = Annotated[int, Parameter(ge=1, le=LIMIT_MAX, description="How many tasks at most."), Digits]
Offset = Annotated[int, Parameter(ge=0, le=ID_MAX, description="How many tasks to skip."), Digits]
After = Annotated[int, Parameter(ge=1, le=ID_MAX, description="The last task of the page before."), Digits]


async def _database(request: Request) -> Pool:  # async, or FastAPI would send it through a thread
    pool: Pool = request.app.state.database
    return pool


Database = Annotated[Pool, Depends(_database)]

ANY = (
    errors.AuthMissing,
    errors.AuthInvalid,
    errors.AuthForbidden,
    errors.Invalid,
    errors.DatabaseError,
    errors.KeysUnavailable,
    errors.ApiError,
)
WITH_BODY = (*ANY, errors.BadRequest, errors.PayloadTooLarge)
WITH_ID = (*ANY, errors.NotFound)

router = APIRouter(prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=StrictRoute)


@router.get("", response_model=TaskListResponse, responses=errors.responses(*ANY))
async def list_tasks(  # noqa: PLR0913, PLR0917 - a parameter is a question that can be asked
    user: CurrentUser,
    database: Database,
    complete: Complete | None = None,
    limit: Limit = LIMIT_DEFAULT,
    offset: Offset | None = None,
    after: After | None = None,
) -> Response:
    """List the user's tasks, newest first; while more remain, the `Link` header holds the next page's URL."""
    if offset is not None and after is not None:
        raise errors.Invalid(
            [{"loc": ("query", "offset"), "msg": "must not be combined with after", "type": "conflict"}]
        )
    page = queries.list_tasks(user, complete=complete, limit=limit, offset=offset or 0, after=after)
    tasks, count, last = await _row(database, page)
    return _json(f'{{"tasks":{tasks},"count":{count}}}', headers=_next_page(complete, limit, last))


@router.post("", status_code=201, response_model=TaskResponse, responses=errors.responses(*WITH_BODY))
async def create_task(user: CurrentUser, database: Database, body: TaskCreate) -> Response:
    """Create a task; the `Location` header holds its URL."""
    task_id, task = await _row(database, queries.create_task(user, body.model_dump()))
    return _json(task, 201, {"Location": f"/api/{quote(user, safe='')}/tasks/{task_id}"})


@router.get("/{task_id}", response_model=TaskResponse, responses=errors.responses(*WITH_ID))
async def fetch_task(user: CurrentUser, database: Database, task_id: TaskId) -> Response:
    """Fetch one task."""
    (task,) = await _row(database, queries.fetch_task(user, task_id))
    return _json(task)


@router.put("/{task_id}", response_model=TaskResponse, responses=errors.responses(*WITH_ID, *WITH_BODY))
async def update_task(user: CurrentUser, database: Database, task_id: TaskId, body: TaskUpdate) -> Response:
    """Replace the whole task; a description that is left out is cleared."""
    (task,) = await _row(database, queries.update_task(user, task_id, body.model_dump()))
    return _json(task)


@router.patch("/{task_id}", response_model=TaskResponse, responses=errors.responses(*WITH_ID, *WITH_BODY))
async def patch_task(user: CurrentUser, database: Database, task_id: TaskId, body: TaskPatch) -> Response:
    """Change some fields of the task and leave the others as they are."""
    changes = body.model_dump(exclude_unset=True)
    if not changes:
        raise errors.BadRequest("nothing to change: name at least one of " + ", ".join(TaskPatch.model_fields))
    (task,) = await _row(database, queries.update_task(user, task_id, changes))
    return _json(task)


@router.delete("/{task_id}", status_code=204, responses=errors.responses(*WITH_ID))
async def delete_task(user: CurrentUser, database: Database, task_id: TaskId) -> Response:
    """Delete the task."""
    await _row(database, queries.delete_task(user, task_id))
    return Response(status_code=204)


async def _row(database: Pool, query: Query) -> tuple[Any, ...]:
    """The query's row; where there is none, this user has no such task."""
    row = await database.fetch(query)
    if row is None:
        raise errors.NotFound("you have no such task")
    return row


def _json(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _next_page(complete: bool | None, limit: int, last: int | None) -> Mapping[str, str]:
    """The Link header (RFC 8288) to the page after `last`, relative to this one, if there is one."""
    if last is None:
        return {}
    kept = {} if complete is None else {"complete": str(complete).lower()}
    return {"Link": f'<?{urlencode(kept | {"limit": limit, "after": last})}>; rel="next"'}
