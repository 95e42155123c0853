"""What goes in and out of the API (spec: Schemas); limits come from the models."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.models import DESCRIPTION_MAX, TITLE_MAX

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL can't store NUL in a text."""


STATE: dict[str, Any] = {"title": "Buy milk", "description": "Two litres", "complete": False}
TIMES = {"created_at": "2025-12-20T11:30:00.123456Z", "updated_at": "2025-12-21T08:15:00.654321Z"}
"""The examples' task: what a body holds of it, and when it was changed."""


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


def _strip(value: object) -> object:
    # pydantic's own stripping leaves some of what str.strip takes, and the length is measured after it
    return value.strip() if isinstance(value, str) else value


Title = Annotated[
    str,
    Field(min_length=1, max_length=TITLE_MAX, pattern=NO_NUL, description="Surrounding white space is stripped."),
    BeforeValidator(_strip),
]
Description = Annotated[str, Field(max_length=DESCRIPTION_MAX, pattern=NO_NUL)]


class Input(BaseModel):
    """A body: its types are strict, and an unknown field is refused, since it may be a typo."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskCreate(Input):
    """A new task."""

    model_config = _example({"title": "Buy milk"})
    title: Title
    description: Description | None = None


class TaskUpdate(TaskCreate):
    """A whole task: a description left out is none."""

    model_config = _example(STATE | {"complete": True})
    complete: bool


class TaskPatch(Input):
    """What to change of a task, at least one field; what is left out stays as it is."""

    model_config = _example({"complete": True})
    # The defaults are never used: only the fields that were sent are written (`model_fields_set`).
    title: Title = ""
    description: Description | None = None
    complete: bool = False

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler.resolve_ref_schema(handler(core_schema))
        for field in schema["properties"].values():
            field.pop("default", None)
        return schema | {"minProperties": 1}


class TaskResponse(BaseModel):
    """A task as it is in the database."""

    model_config = _example({"id": 4711, "user_id": "alice"} | STATE | TIMES)
    id: int
    user_id: str
    title: str
    description: str | None
    complete: bool
    created_at: datetime
    updated_at: datetime


class TaskListResponse(BaseModel):
    """A page of tasks, newest first."""

    tasks: list[TaskResponse]
    count: int = Field(examples=[1], description="How many tasks match the filter in all, on this page or another.")
