"""Traces by OpenTelemetry, if the OTEL_* variables ask for them and the extra `telemetry` is installed.

FastAPI makes the spans and exports them; it puts the path and the query into them, which may hold
what a user wrote. The route's template stays.
"""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

PRIVATE_ATTRIBUTES = ("url.path", "url.query")


class _Scrubber(SpanProcessor):
    """Overwrites what must not leave the service, when a span starts; it is exported when it ends."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Overwrite the attributes that are there."""
        span.set_attributes({name: "redacted" for name in PRIVATE_ATTRIBUTES if name in (span.attributes or {})})


def scrub_spans() -> None:
    """Let nothing secret into spans, if any are made."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.add_span_processor(_Scrubber())
