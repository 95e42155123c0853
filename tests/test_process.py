"""What a process sets up for the application, whichever server runs it."""

import gc

from fastapi.testclient import TestClient

from app.core.process import GC_THRESHOLD
from app.main import create_app
from tests.support.service import settings_for


def test_garbage_is_collected_rarely_while_the_application_runs() -> None:
    """Also under `uvicorn app.main:app`, since it is the application's lifespan that sees to it."""
    before = gc.get_threshold()
    gc.set_threshold(700)
    try:
        with TestClient(create_app(settings_for("postgresql://nowhere/none"))):
            assert gc.get_threshold()[0] == GC_THRESHOLD
            assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == 700
    finally:
        gc.set_threshold(*before)
