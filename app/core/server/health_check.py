"""Whether the service that this environment configures is ready, for a container's health check.

A command of its own, because it runs every few seconds: the service's command imports the
application, which takes a second of a core.
"""

import sys
from http.client import HTTPConnection, HTTPException

from app.core.settings import Settings, SettingsError, load_settings

ANSWER_WITHIN = 3.0
"""Seconds; the service answers within two."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
"""Where a service that listens on every address can be reached."""


def main() -> None:
    """Exit with status 0 if the service is ready, else with 1 and a sentence on stderr."""
    try:
        settings = load_settings()
    except SettingsError as problem:
        sys.exit(str(problem))
    problem_of_service = ask(settings)
    if problem_of_service is not None:
        sys.exit(problem_of_service)


def ask(settings: Settings) -> str | None:
    """Why the service is not ready; None if it is. It is asked directly, whatever proxy is set."""
    host = LOOPBACK.get(settings.host, settings.host)
    connection = HTTPConnection(host, settings.port, timeout=ANSWER_WITHIN)
    try:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    except (OSError, HTTPException) as failure:
        return f"no answer from {host} port {settings.port}: {failure or type(failure).__name__}"
    finally:
        connection.close()
    return None if status == 200 else f"not ready: status {status}"  # noqa: PLR2004
