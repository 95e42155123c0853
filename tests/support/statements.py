"""The statements of the store, to be looked at or explained without being sent."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from app.core.database.pool import Pool
from app.store import StoreResources, Tasks

Call = Callable[[Tasks], Awaitable[object]]
"""A call of one method of a user's tasks."""


class Statement(Exception):
    """What a method would have sent."""

    def __init__(self, sql: str, params: Mapping[str, Any], *, is_read: bool) -> None:
        super().__init__(sql)
        self.sql = sql
        self.params = params
        self.is_read = is_read


class _Recorder:
    """Takes the place of a pool that has no database."""

    async def fetch(self, sql: str, params: Mapping[str, Any], *, is_read: bool = False) -> list[dict[str, Any]]:
        raise Statement(sql, params, is_read=is_read)


def statement_of(owner: str, call: Call) -> Statement:
    """The first statement that the call would send."""
    tasks = Tasks(StoreResources(cast("Pool", _Recorder()), 24), owner)

    async def record() -> None:
        await call(tasks)

    try:
        asyncio.run(record())
    except Statement as statement:
        return statement
    raise AssertionError("it sends nothing")


def page(limit: int, complete: bool | None = None, offset: int = 0, after: int | None = None) -> Call:
    """A page, with the router's values for what a request leaves out."""
    return lambda tasks: tasks.page(limit, complete=complete, offset=offset, after=after)
