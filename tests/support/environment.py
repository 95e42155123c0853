"""What the environment of a test run brings in, and the tests do without."""

import os
import re
import signal
import time

from app.core.settings import Settings

IGNORED = [
    r"(http|https|ftp|all|no)_proxy",  # httpx would send what is meant for this machine to the proxy
    r"PG[A-Z]+",  # libpq's own
    r"TZ|LANG|LANGUAGE|LC_[A-Z]+",
    r"OTEL_[A-Z_]+|RES_OPTIONS|FORWARDED_ALLOW_IPS",  # read by what the service is made of
    *Settings.model_fields,
]
"""Patterns of variables' names; upper and lower case are one."""


def clear_environment() -> None:
    """Take those variables out of this process and all that it starts from now on; use the usual umask and signals.

    A test that is about one of them sets it itself.
    """
    ignored = re.compile("|".join(IGNORED), re.IGNORECASE)
    for name in list(os.environ):
        if ignored.fullmatch(name):
            del os.environ[name]
    time.tzset()
    os.umask(0o022)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            # nohup and a shell's & have it ignored, and every process that the tests start would ignore it too;
            # a handler of this process alone is not passed on
            signal.signal(number, _ignore)


def _ignore(*_: object) -> None:
    pass
