"""Whether the process is up, and whether it can do its work."""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.core.deadline import set_deadline
from app.core.errors import DatabaseError, DatabaseUnavailable
from app.core.http.contract import headers, responses

READY_WITHIN = 1.8
"""Seconds; a load balancer gets its answer within two."""
PUBLIC: dict[str, Any] = {"security": []}
router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The service is well."""

    status: Literal["ok"]


OK = Health(status="ok")


@router.get("/health", responses={200: headers()}, openapi_extra=PUBLIC)
async def health() -> Health:
    """Report that the process is up, whatever the state of the database."""
    return OK


@router.get(
    "/health/ready",
    responses=responses(DatabaseUnavailable()) | {200: headers()},
    openapi_extra=PUBLIC,
)
async def ready(request: Request) -> Health:
    """Report that the database can be reached and has the service's tables.

    All who ask while a check is under way wait for that one, however many they are.
    """
    state = request.app.state
    if state.check is None or state.check.done():
        set_deadline(READY_WITHIN)
        # spare: all of the pool's other connections may be busy
        state.check = asyncio.create_task(state.database.fetch(state.readiness, spare=True))
    try:
        await asyncio.shield(state.check)
    except DatabaseError as failure:
        raise DatabaseUnavailable from failure
    return OK
