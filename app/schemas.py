"""What goes in and out of the API; the limits of fields come from the models."""

from typing import Annotated

from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.core.errors import ERRORS_MAX, Invalid
from app.core.http.requests import Digits, TrueOrFalse
from app.models import DESCRIPTION_MAX, ID_MAX, TITLE_MAX

LIMIT_DEFAULT = 500
LIMIT_MAX = 500
# A text without NUL, for OpenAPI.
NO_NUL = r"^[^\x00]*$"


def _strip(value: object) -> object:
    # pydantic's own stripping leaves some of the white space that str.strip removes
    return value.strip() if isinstance(value, str) else value


def _refuse_nul(text: str) -> str:
    # PostgreSQL can't store it in a text. With `pattern=NO_NUL` the caller would be told the
    # pattern, and not a sentence.
    if "\0" in text:
        raise PydanticCustomError("string_pattern_mismatch", "must not contain NUL")
    return text


Title = Annotated[
    str,
    Field(
        min_length=1,
        max_length=TITLE_MAX,
        json_schema_extra={"pattern": NO_NUL},
        description="Surrounding white space is stripped.",
        examples=["Buy milk"],
    ),
    BeforeValidator(_strip),
    AfterValidator(_refuse_nul),
]
Description = Annotated[
    str,
    Field(
        max_length=DESCRIPTION_MAX, json_schema_extra={"pattern": NO_NUL}, examples=["Two litres"]
    ),
    AfterValidator(_refuse_nul),
]
Offset = Annotated[int, Field(ge=0, le=ID_MAX), Digits]
TaskId = Annotated[int, Field(ge=1, le=ID_MAX, json_schema_extra={"format": "int64"}), Digits]
# As the pool reads it from the database: in UTC, with six digits of microseconds and `Z`.
Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Input(BaseModel):
    """A body: its types are strict, and an unknown field is refused, because it may be a typo.

    FastAPI gives pydantic the parsed body, so a strict field takes only what JSON has. JSON has no
    dates: a field of the type `date` needs `Field(strict=False)`, and a BeforeValidator that lets
    only one form of a date through.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_many_unknown_fields(cls, values: object) -> object:
        # pydantic would make an error for each
        if isinstance(values, dict) and len(values) > ERRORS_MAX:
            fields = cls.model_fields  # a property, too slow to be read for each name
            unknown = [name for name in values if name not in fields]
            if len(unknown) > ERRORS_MAX:
                # Invalid is not a ValueError, so pydantic makes no error of its own from it
                raise Invalid.unknown("body", unknown)
        return values


class TaskCreate(Input):
    """A new task."""

    title: Title
    description: Description | None = None


class TaskUpdate(TaskCreate):
    """A whole task; a description that is left out is cleared."""

    complete: bool = Field(examples=[True])


class TaskPatch(Input):
    """The fields of a task to change, at least one; what is left out stays as it is."""

    # pydantic merges it with the base's, so that this is strict and forbids unknown fields too
    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    # A field that was not sent is MISSING, and not in model_dump(). With None as its default, a
    # title would have to accept null.
    title: Title | MISSING = MISSING
    description: Description | MISSING | None = MISSING
    complete: bool | MISSING = Field(MISSING, examples=[True])


class TaskResponse(BaseModel):
    """A task as it is stored."""

    # For OpenAPI alone: what is sent is the row that store.py has read (answers.JsonAnswer).
    id: int = Field(examples=[4711], json_schema_extra={"format": "int64"})
    user_id: str = Field(examples=["alice"])
    title: str = Field(examples=["Buy milk"])
    description: str | None = Field(examples=["Two litres"])
    complete: bool = Field(examples=[False])
    created_at: Timestamp = Field(examples=["2025-12-20T11:30:00.123456Z"])
    updated_at: Timestamp = Field(examples=["2025-12-21T08:15:00.654321Z"])


class TaskListResponse(BaseModel):
    """A page of tasks, newest first."""

    tasks: list[TaskResponse]
    count: int = Field(examples=[1], description="How many tasks match the filter, on all pages.")


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
