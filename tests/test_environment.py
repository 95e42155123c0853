"""The tests themselves: what the environment of a run brings in changes none of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.settings import Settings

OTHERS = "PATH", "HOME", "VIRTUAL_ENV", "SSL_CERT_FILE", "GREETING"
DISPOSITION = "import signal; print([signal.getsignal(n).name for n in (signal.SIGHUP, signal.SIGTERM)])"
IGNORING = ["bash", "-c", """trap '' HUP TERM; exec "$@" """, "ignoring"]
LEFT = "import conftest, json, os, time; print(json.dumps([sorted(os.environ), time.tzname, os.umask(0)]))"


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_the_environment_of_a_run_is_not_that_of_its_tests(tmp_path: Path, case: type[str]) -> None:
    """Proxies, PostgreSQL's variables, the zone, the locale, the service's own settings, the umask: gone at once."""
    proxies = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all", "no")}
    database = {"PGHOST": "nowhere", "PGSERVICE": "x", "PGOPTIONS": "-c timezone=Asia/Kathmandu"}
    place = {"TZ": "Asia/Kathmandu", "LC_ALL": "POSIX", "LANG": "ne_NP", "LC_TIME": "ne_NP", "LANGUAGE": "ne"}
    service = dict.fromkeys(Settings.model_fields, "x") | {"OTEL_SERVICE_NAME": "x", "RES_OPTIONS": "x"}
    brought = {case(name): value for name, value in (proxies | service).items()} | database | place
    kept = {name: os.environ.get(name, "x") for name in OTHERS}
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", LEFT]
    env = kept | brought | {"PYTHONPATH": str(root)}
    told = subprocess.run(command, cwd=tmp_path, env=env, umask=0o077, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    variables, zone, umask = json.loads(told.stdout)
    assert {name for name in variables if name in brought} == set()
    assert {name for name in OTHERS if name not in variables} == set()
    assert "+0545" not in zone
    assert umask == 0o022


def test_signals_that_a_run_ignores_reach_what_it_starts(tmp_path: Path) -> None:
    """Under nohup, a server that a test hangs up on would not end."""
    child = f"import conftest, subprocess, sys; subprocess.run([sys.executable, '-c', {DISPOSITION!r}], check=True)"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [*IGNORING, sys.executable, "-c", child]
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert told.stdout == "['SIG_DFL', 'SIG_DFL']\n"
