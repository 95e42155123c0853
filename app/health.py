"""Whether the process is up, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.database import Pool, Query, start_clock
from app.errors import DatabaseError, DatabaseUnavailable, responses
from app.models import Task

READY_WITHIN = 1.8
"""Seconds; a balancer is answered within two."""
PROBE = Query(f"SELECT '{Task.__tablename__}'::regclass", {}, is_read=True)
"""Fails where the database has no such table."""


class Health(BaseModel):
    """The process is well."""

    status: Literal["ok"] = "ok"


router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Health:
    """Tell that the process is up, whatever the database does."""
    return Health()


@router.get("/health/ready", responses=responses(DatabaseUnavailable))
async def ready(request: Request) -> Health:
    """Tell that the database can be reached and has the tasks' table, on a connection of its own."""
    start_clock(READY_WITHIN)
    probe: Pool = request.app.state.probe
    try:
        await probe.fetch(PROBE)
    except DatabaseError as failure:
        raise DatabaseUnavailable from failure
    return Health()
