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
PUBLIC: dict[str, Any] = {"security": []}


class Health(BaseModel):
    """The service is well."""

    status: Literal["ok"]


OK = Health(status="ok")


class Readiness:
    """Whether the database can be reached and has the service's tables, which `statement` asks."""

    def __init__(self, pool: Pool, statement: str) -> None:
        self._pool = pool
        self._statement = statement
        self._check: asyncio.Task[Any] | None = None

    async def check(self) -> None:
        """Ask the database; raises DatabaseUnavailable if it fails or is silent for READY_WITHIN.

        All who ask while a check is under way wait for that one, however many they are.
        """
        if self._check is None or self._check.done():
            set_deadline(READY_WITHIN)
            # spare: all of the pool's other connections may be busy
            check = self._pool.fetch(self._statement, {}, is_read=True, spare=True)
            self._check = asyncio.create_task(check)
        try:
            await asyncio.shield(self._check)
        except DatabaseError as failure:
            raise DatabaseUnavailable from failure


def create_router(readiness: Readiness) -> APIRouter:
    """Return the routes `/health` and `/health/ready`."""
    router = APIRouter(tags=["health"])

    @router.get("/health", responses={200: headers()}, openapi_extra=PUBLIC)
    async def health() -> Health:
        """Report that the process is up, whatever the state of the database."""
        return OK

    @router.get(
        "/health/ready",
        responses=responses(DatabaseUnavailable()) | {200: headers()},
        openapi_extra=PUBLIC,
    )
    async def ready() -> Health:
        """Report that the database can be reached and has the service's tables.

        All who ask while a check is under way wait for that one, however many they are.
        """
        await readiness.check()
        return OK

    return router
