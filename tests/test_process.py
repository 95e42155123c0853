"""What a process sets up for the application, whichever server runs it."""

import gc
import os

import pytest
from fastapi.testclient import TestClient

from app.core.server.process import GC_THRESHOLD, RESOLVER, set_up_process
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


def test_a_look_up_does_not_outlive_a_request_by_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent resolver is given up after some seconds; an operator's own options hold."""
    for given, used in ((None, RESOLVER), ("timeout:9", "timeout:9")):
        monkeypatch.delenv("RES_OPTIONS", raising=False)
        if given:
            monkeypatch.setenv("RES_OPTIONS", given)
        with set_up_process():
            assert os.environ["RES_OPTIONS"] == used
