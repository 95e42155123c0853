"""Whether the process is up, and whether it can do its work."""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from app.core.database.pool import Pool
from app.core.deadline import set_deadline
from app.core.errors import DatabaseError, DatabaseUnavailable
from app.core.http.contract import headers, responses

READY_WITHIN = 1.8
"""Seconds; a load balancer gets its answer within two."""


class Health(BaseModel):
    """The service is well."""

    status: Literal["ok"]


OK = Health(status="ok")


class Readiness:
    """Whether the database can be reached and has the service's tables.

    `statement` is SQL without parameters that fails if a table is missing.
    """

    def __init__(self, pool: Pool, statement: str) -> None:
        self._pool = pool
        self._statement = statement
        self._check: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Ask the database; raise DatabaseUnavailable if it fails or is silent for READY_WITHIN.

        All who ask while a check is under way wait for that one, however many they are.
        """
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._ask())
        try:
            # shielded: a caller who hangs up must not end the check for the others
            await asyncio.shield(self._check)
        except DatabaseError as failure:
            raise DatabaseUnavailable from failure

    async def _ask(self) -> None:
        set_deadline(READY_WITHIN)
        # spare: all of the pool's other connections may be busy
        await self._pool.fetch(self._statement, {}, is_read=True, spare=True)


def create_router(readiness: Readiness) -> APIRouter:
    """Return the routes `/health` and `/health/ready`."""
    router = APIRouter(tags=["health"])
    public: dict[str, Any] = {"security": []}

    @router.get("/health", responses={200: headers()}, openapi_extra=public)
    async def health() -> Health:
        """Report that the process is up, whatever the state of the database."""
        return OK

    ready_responses = responses(DatabaseUnavailable())
    ready_responses[200] = headers()

    @router.get("/health/ready", responses=ready_responses, openapi_extra=public)
    async def ready() -> Health:
        """Report that the database can be reached and has the service's tables.

        All who ask while a check is under way wait for that one, however many they are.
        """
        await readiness.check()
        return OK

    return router
