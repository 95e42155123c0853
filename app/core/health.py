"""Whether the process is up, and whether it can do its work."""

from fastapi import APIRouter, Request

from app.core.database import Pool
from app.core.deadline import start_clock
from app.core.errors import DatabaseError, DatabaseUnavailable, headers, responses

READY_WITHIN = 1.8
"""Seconds; a balancer is answered within two."""
OK = {"status": "ok"}
WELL = headers() | {"content": {"application/json": {"example": OK}}}
router = APIRouter(tags=["health"])


@router.get("/health", responses={200: WELL})
async def health() -> dict[str, str]:
    """Tell that the process is up, whatever the database does."""
    return OK


@router.get("/health/ready", responses=responses(DatabaseUnavailable()) | {200: WELL})
async def ready(request: Request) -> dict[str, str]:
    """Tell that the database can be reached and has the service's tables.

    It is asked on a connection of its own, since the pool's may all be busy; where the server gives none, because the
    pool has taken all that its role may have, on one of the pool's.
    """
    start_clock(READY_WITHIN)
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
