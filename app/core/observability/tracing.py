"""Traces by OpenTelemetry.

They are made if the OTEL_* variables ask for them and the extra `telemetry` is installed, which
brings OpenTelemetry's SDK; its API, imported here, always comes with FastAPI. FastAPI makes the
spans and exports them. It puts the path and the query into them, which may hold what a user wrote;
the route's template stays.
"""

from opentelemetry import trace
from starlette.types import ASGIApp, Receive, Scope, Send

REDACTED = {"url.path": "redacted", "url.query": "redacted"}


class Redaction:
    """Overwrites what must not leave the service in each request's span."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Overwrite the attributes of the current span, if there is one, and run the application.

        The span is exported when it ends, which is later.
        """
        trace.get_current_span().set_attributes(REDACTED)
        await self.app(scope, receive, send)
