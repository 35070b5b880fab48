"""The SDK's tracer provider that is set globally, if one is."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider


def sdk_provider() -> TracerProvider | None:
    """The global provider, or the one inside a wrapper that holds it as `provider`, as Logfire's does."""
    found: object = trace.get_tracer_provider()
    if not isinstance(found, TracerProvider):
        found = getattr(found, "provider", None)
    return found if isinstance(found, TracerProvider) else None
