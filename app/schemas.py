"""What goes in and out of the API; the limits of fields come from the models."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.core.http.requests import Digits, TrueOrFalse
from app.models import DESCRIPTION_MAX, ID_MAX, TITLE_MAX

LIMIT_DEFAULT, LIMIT_MAX = 500, 500
NO_NUL = r"^[^\x00]*$"
"""PostgreSQL can't store NUL in a text."""


def _strip(value: object) -> object:
    # pydantic's own stripping leaves some of the white space that str.strip removes
    return value.strip() if isinstance(value, str) else value


Title = Annotated[
    str,
    Field(
        min_length=1,
        max_length=TITLE_MAX,
        pattern=NO_NUL,
        description="Surrounding white space is stripped.",
    ),
    Field(examples=["Buy milk"]),
    BeforeValidator(_strip),
]
Description = Annotated[
    str, Field(max_length=DESCRIPTION_MAX, pattern=NO_NUL, examples=["Two litres"])
]
Offset = Annotated[int, Field(ge=0, le=ID_MAX), Digits]
TaskId = Annotated[int, Field(ge=1, le=ID_MAX, json_schema_extra={"format": "int64"}), Digits]


class Input(BaseModel):
    """A body: its types are strict, and an unknown field is refused, because it may be a typo."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskCreate(Input):
    """A new task."""

    title: Title
    description: Description | None = None


class TaskUpdate(TaskCreate):
    """A whole task; a description that is left out is cleared."""

    complete: bool = Field(examples=[True])


class TaskPatch(Input):
    """The fields of a task to change, at least one; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    # Only the fields that were sent are written (`model_fields_set`). A factory's default is not shown in OpenAPI.
    title: Title = Field(default_factory=str)
    description: Description | None = Field(default_factory=lambda: None)
    complete: bool = Field(default_factory=bool, examples=[True])


class TaskResponse(BaseModel):
    """A task as it is stored."""

    id: int = Field(examples=[4711], json_schema_extra={"format": "int64"})
    user_id: str = Field(examples=["alice"])
    title: str = Field(examples=["Buy milk"])
    description: str | None = Field(examples=["Two litres"])
    complete: bool = Field(examples=[False])
    created_at: datetime = Field(examples=["2025-12-20T11:30:00.123456Z"])
    updated_at: datetime = Field(examples=["2025-12-21T08:15:00.654321Z"])


class TaskListResponse(BaseModel):
    """A page of tasks, newest first."""

    tasks: list[TaskResponse]
    count: int = Field(examples=[1], description="How many tasks match the filter, on all pages.")

    @staticmethod
    def json_text(tasks: Sequence[str], count: int) -> str:
        """The page as JSON, of tasks that are JSON already: PostgreSQL builds it faster than pydantic."""
        return f'{{"tasks":[{",".join(tasks)}],"count":{count}}}'


class Listing(BaseModel, extra="forbid"):
    """The query of a list: which tasks, and which page of them."""

    complete: Annotated[bool, TrueOrFalse] | None = Field(
        None, description="Only complete tasks, or only open ones."
    )
    limit: Annotated[int, Digits] = Field(
        LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="How many tasks at most."
    )
    offset: Offset | None = Field(None, description="How many tasks to skip.")
    after: TaskId | None = Field(None, description="The id of the last task on the page before.")
