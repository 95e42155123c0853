"""Whether the process is up, and whether it can do its work."""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from app.core.database.pool import Pool
from app.core.deadline import set_deadline
from app.core.errors import DatabaseError, DatabaseUnavailable
from app.core.http.contract import describe_errors, describe_headers

READY_WITHIN = 1.8
"""Seconds; a load balancer gets its answer within two."""


class Health(BaseModel):
    """The service is well."""

    status: Literal["ok"]


OK = Health(status="ok")


class Readiness:
    """Whether the database can be reached and has, and grants, what requests need.

    `statement` is SQL without parameters. It fails, or returns a row for each thing that is
    missing, with its name as the column `missing`.
    """

    def __init__(self, pool: Pool, statement: str) -> None:
        self._pool = pool
        self._statement = statement
        self._check: asyncio.Task[list[str]] | None = None

    async def check(self) -> None:
        """Ask the database.

        Raises DatabaseUnavailable if it fails, is silent for READY_WITHIN, or lacks anything.
        All who ask while a check is under way wait for that one, however many they are.
        """
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._ask())
        try:
            # shielded: a caller who hangs up must not end the check for the others
            missing = await asyncio.shield(self._check)
        except DatabaseError as failure:
            raise DatabaseUnavailable(reason=failure.reason) from failure
        if missing:
            raise DatabaseUnavailable(reason=f"the database lacks: {', '.join(missing)}")

    async def _ask(self) -> list[str]:
        set_deadline(READY_WITHIN)
        # spare: all of the pool's other connections may be busy
        rows = await self._pool.fetch(self._statement, {}, is_read=True, spare=True)
        return [row["missing"] for row in rows]


def create_router(readiness: Readiness) -> APIRouter:
    """Return the routes `/health` and `/health/ready`."""
    router = APIRouter(tags=["health"])
    public: dict[str, Any] = {"security": []}

    @router.get("/health", responses={200: describe_headers()}, openapi_extra=public)
    async def health() -> Health:
        """Report that the process is up, whatever the state of the database."""
        return OK

    ready_responses = describe_errors(DatabaseUnavailable())
    ready_responses[200] = describe_headers()

    @router.get("/health/ready", responses=ready_responses, openapi_extra=public)
    async def ready() -> Health:
        """Report that the database can be reached and has the service's tables.

        All who ask while a check is under way wait for that one, however many they are.
        """
        await readiness.check()
        return OK

    return router
