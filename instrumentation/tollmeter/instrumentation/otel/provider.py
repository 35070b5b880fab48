"""The global tracer provider: which it is, and one made from the `OTEL_*` settings where nobody sets any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from tollmeter.instrumentation.guard import logger
from tollmeter.model.settings import Settings

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NAMELESS: Final = "unknown_service"


def sdk_provider(found: object = None) -> TracerProvider | None:
    """The SDK's provider: `found` or else the global one, or what it holds as `provider`, as Logfire's wrapper does."""
    found = found or trace.get_tracer_provider()
    if not isinstance(found, TracerProvider):
        found = getattr(found, "provider", None)
    return found if isinstance(found, TracerProvider) else None


def app_provider(app: Any) -> TracerProvider | None:
    """The provider that an app was given of its own: `FastAPI(telemetry={"tracer_provider": …})`."""
    telemetry = getattr(app, "_telemetry", None)
    found = telemetry.get("tracer_provider") if isinstance(telemetry, dict) else None
    return sdk_provider(found) if found is not None else None


def is_unset() -> bool:
    """Whether nobody has set a global provider, not even one that does nothing."""
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def service_of(provider: TracerProvider | None) -> str:
    """The service name of a provider's resource; empty where it was given none."""
    name = provider.resource.attributes.get("service.name", "") if provider else ""
    return name if isinstance(name, str) and not name.startswith(_NAMELESS) else ""


def make_provider(settings: Settings) -> TracerProvider:
    """A provider with the exporters of the `OTEL_*` settings, over HTTP unless they say gRPC."""
    resource = {"service.name": settings.service} | (
        {"deployment.environment.name": settings.environment} if settings.environment else {}
    )
    provider = TracerProvider(resource=Resource.create(resource))
    for exporter in _exporters():
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider


def _exporters() -> Iterator[Any]:
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    from importlib.metadata import entry_points

    for name in (os.environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        wanted = _entry_point(name.strip())
        if wanted == "none":
            continue
        found = list(entry_points(group="opentelemetry_traces_exporter", name=wanted))
        if found:
            yield found[0].load()
        else:
            logger.error("tollmeter: no trace exporter %r is installed; spans are not exported", wanted)


def _entry_point(name: str) -> str:
    if name != "otlp":
        return name
    protocol = next((found for key in _PROTOCOLS if (found := os.environ.get(key))), "")
    return "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
