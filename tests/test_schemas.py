"""The schemas at their boundaries."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.schemas import TaskCreate, TaskPatch, TaskUpdate

GOOD = [
    (TaskCreate, {"title": "x"}, {"title": "x", "description": None}),
    (TaskCreate, {"title": "x", "description": None}, {"title": "x", "description": None}),
    (TaskCreate, {"title": "x" * 200, "description": "d" * 1000}, {"title": "x" * 200, "description": "d" * 1000}),
    (TaskCreate, {"title": "🥛" * 200}, {"title": "🥛" * 200, "description": None}),
    (TaskCreate, {"title": " " * 300 + "x\x1f\u2003"}, {"title": "x", "description": None}),
    (TaskCreate, {"title": "x", "description": " d "}, {"title": "x", "description": " d "}),
    (TaskCreate, {"title": "a\nb\x7f\x01c"}, {"title": "a\nb\x7f\x01c", "description": None}),
    (TaskUpdate, {"title": "x", "complete": True}, {"title": "x", "description": None, "complete": True}),
    (TaskPatch, {"description": None}, {"description": None}),
    (TaskPatch, {"complete": False}, {"complete": False}),
    (TaskPatch, {}, {}),
]

BAD: list[tuple[Any, dict[str, Any], str, str]] = [
    (TaskCreate, {}, "title", "missing"),
    (TaskCreate, {"title": ""}, "title", "string_too_short"),
    (TaskCreate, {"title": "\x1c\x85\u3000"}, "title", "string_too_short"),
    (TaskCreate, {"title": "x" * 201}, "title", "string_too_long"),
    (TaskCreate, {"title": "x\0"}, "title", "string_pattern_mismatch"),
    (TaskCreate, {"title": "\ud800"}, "title", "string_unicode"),
    (TaskCreate, {"title": b"x"}, "title", "string_type"),
    (TaskCreate, {"title": "x", "description": "d" * 1001}, "description", "string_too_long"),
    (TaskCreate, {"title": "x", "description": "\0"}, "description", "string_pattern_mismatch"),
    (TaskCreate, {"title": "x", "description": False}, "description", "string_type"),
    (TaskCreate, {"title": "x", "complete": False}, "complete", "extra_forbidden"),
    (TaskUpdate, {"title": "x"}, "complete", "missing"),
    (TaskUpdate, {"complete": True}, "title", "missing"),
    (TaskUpdate, {"title": "x", "complete": None}, "complete", "bool_type"),
    (TaskUpdate, {"title": "x", "complete": 1}, "complete", "bool_type"),
    (TaskUpdate, {"title": "x", "complete": "true"}, "complete", "bool_type"),
    (TaskPatch, {"title": None}, "title", "string_type"),
    (TaskPatch, {"complete": None}, "complete", "bool_type"),
    (TaskPatch, {"Title": "x"}, "Title", "extra_forbidden"),
]


@pytest.mark.parametrize(("schema", "given", "expected"), GOOD)
def test_good_input_is_taken_as_it_is(schema: Any, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Only the title is stripped, and only what was sent is set."""
    assert schema(**given).model_dump(exclude_unset=schema is TaskPatch) == expected


@pytest.mark.parametrize(("schema", "given", "field", "kind"), BAD)
def test_bad_input_names_its_field(schema: Any, given: dict[str, Any], field: str, kind: str) -> None:
    """Exactly one thing is wrong with each."""
    with pytest.raises(ValidationError) as refused:
        schema(**given)
    assert [(error["loc"], error["type"]) for error in refused.value.errors()] == [((field,), kind)]
