"""What the environment of a test run brings in, and the tests do without."""

import os
import re
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
    """Take those variables out of this process and all that it starts from now on, and use the usual umask.

    A test that is about one of them sets it itself.
    """
    ignored = re.compile("|".join(IGNORED), re.IGNORECASE)
    for name in list(os.environ):
        if ignored.fullmatch(name):
            del os.environ[name]
    time.tzset()
    os.umask(0o022)
