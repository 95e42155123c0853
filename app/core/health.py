"""Whether the process is up, and whether it can do its work."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.core.database import Pool
from app.core.deadline import set_deadline
from app.core.errors import DatabaseError, DatabaseUnavailable
from app.core.openapi import headers, responses

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


@router.get("/health/ready", responses=responses(DatabaseUnavailable()) | {200: headers()}, openapi_extra=PUBLIC)
async def ready(request: Request) -> Health:
    """Report that the database can be reached and has the service's tables.

    It uses its own connection, because all of the pool's may be busy. If the server refuses a new one (the role's
    limit is reached), it uses the pool.
    """
    set_deadline(READY_WITHIN)
    probe: Pool = request.app.state.probe
    pool: Pool = request.app.state.database
    try:
        try:
            await probe.fetch(request.app.state.readiness)
        except DatabaseError:
            await pool.fetch(request.app.state.readiness)
    except DatabaseError as failure:
        raise DatabaseUnavailable from failure
    return OK
