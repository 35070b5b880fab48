"""OTel mode: ids come from the current span, steps become spans, and the user's own spans become steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from tollmeter.instrumentation.context import RequestContext, current_request
from tollmeter.instrumentation.guard import guarded, logger
from tollmeter.instrumentation.otel.conventions import installed_emitters
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.otel.provider import sdk_provider
from tollmeter.instrumentation.otel.sampling import record_unsampled
from tollmeter.instrumentation.otel.xray_propagator import stand_in_parent
from tollmeter.instrumentation.tracing import LeanTracing
from tollmeter.model.errors import MissingExtraError
from tollmeter.model.events import Step
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call

_OURS: Final = "tollmeter.step"
_watched: Final[WeakKeyDictionary[TracerProvider, ForeignCalls]] = WeakKeyDictionary()
_SERVER_NAMES: Final = (trace.SpanKind.SERVER, trace.SpanKind.CLIENT)


class OtelTracing:
    """Takes ids from OpenTelemetry's current span; falls back to lean ids where none is current."""

    mode = "otel"

    def __init__(self, provider: TracerProvider, foreign: ForeignCalls, settings: Settings) -> None:
        self._foreign = foreign
        self._tracer = trace.get_tracer("tollmeter", tracer_provider=provider)
        self._lean = LeanTracing(settings)

    def begin(self, context: RequestContext, headers: dict[bytes, bytes]) -> None:
        """Ids for requests that no server span covers; `adopt` replaces them where one does."""
        self._lean.begin(context, headers)
        self.adopt(context)

    def adopt(self, context: RequestContext) -> None:
        """Take the ids of the span that is current here."""
        span = trace.get_current_span()
        found = span.get_span_context()
        if not found.is_valid:
            return
        context.trace_id = trace.format_trace_id(found.trace_id)
        context.span_id = trace.format_span_id(found.span_id)
        context.trace_flags = f"{int(found.trace_flags):02x}"
        context.parent_span_id = _parent_of(span)
        self._foreign.open.remember(found.trace_id, context)

    def start_step(self, name: str) -> OtelStep | None:
        """Start a real span, so that the step shows in the user's own traces as well."""
        return OtelStep(self._tracer, name)

    def begin_call(self, call: Call) -> tuple[str, str]:
        """The current span, whoever started it; it and those above it are no calls of their own."""
        found = trace.get_current_span().get_span_context()
        self._foreign.began(call, found.span_id)
        if not found.is_valid:
            return self._lean.begin_call(call)
        return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)

    def context_headers(self, call: Call) -> Mapping[str, str]:
        """What the SDK's own propagators say of the current span."""
        if not trace.get_current_span().get_span_context().is_valid:
            return self._lean.context_headers(call)
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return {name.lower(): value for name, value in carrier.items()}

    def end_call(self, call: Call) -> None:
        """Spans that end later may still tell of it."""
        self._foreign.ended(call)


class OtelStep:
    """A span made current for a step."""

    def __init__(self, tracer: trace.Tracer, name: str) -> None:
        self._manager = tracer.start_as_current_span(name, attributes={_OURS: True})
        self._span = self._manager.__enter__()
        self.span_id = trace.format_span_id(self._span.get_span_context().span_id)

    @guarded(default=None)
    def end(self, error_type: str) -> None:
        """End the span, in error where the step raised."""
        if error_type:
            self._span.set_status(trace.StatusCode.ERROR, error_type)
        self._manager.__exit__(None, None, None)


class StepsFromSpans(SpanProcessor):
    """Turns the user's own internal spans into steps of the request they ended in."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do before a span has its end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep an internal span of the current request."""
        self._keep(span)

    @guarded(default=None)
    def _keep(self, span: ReadableSpan) -> None:
        context = current_request()
        attributes = span.attributes or {}
        found = span.get_span_context()
        if context is None or found is None or span.kind in _SERVER_NAMES or _OURS in attributes:
            return
        if trace.format_trace_id(found.trace_id) != context.trace_id or _is_ours_or_server(span):
            return
        started, ended = span.start_time or 0, span.end_time or 0
        context.add_step(
            Step(
                name=span.name[:1024],
                start_ms=max(0.0, started / 1e6 - context.started_at.timestamp() * 1e3),
                duration_ms=max(0.0, (ended - started) / 1e6),
                span_id=trace.format_span_id(found.span_id),
                parent_span_id=trace.format_span_id(span.parent.span_id) if span.parent else "",
                error_type=_error_type(span),
            )
        )

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held."""
        del timeout_millis
        return True


class AdoptSpan:
    """Innermost ASGI middleware: gives the request the ids of the server span that surrounds it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Adopt, then step aside."""
        self._adopt()
        await self.app(scope, receive, send)

    @staticmethod
    @guarded(default=None)
    def _adopt() -> None:
        context = current_request()
        if context is not None and isinstance(context.recorder.tracing, OtelTracing):
            context.recorder.tracing.adopt(context)


def start_otel(app: Any, settings: Settings) -> OtelTracing:
    """OTel mode for an app: the provider that is there, or one made from the `OTEL_*` settings.

    Raises:
        MissingExtraError: the FastAPI instrumentation is needed and not installed.
    """
    provider = sdk_provider()
    if provider is None:
        provider = _new_provider(settings)
        trace.set_tracer_provider(provider)
    foreign = _foreign_calls(provider)
    if app is not None:
        _instrument_fastapi(app, provider)
    return OtelTracing(provider, foreign, settings)


def _foreign_calls(provider: TracerProvider) -> ForeignCalls:
    """The processor of a provider: one, however many apps share it, or every call and step would be doubled."""
    found = _watched.get(provider)
    if found is None:
        found = _watched[provider] = ForeignCalls()
        provider.add_span_processor(StepsFromSpans())
        provider.add_span_processor(found)
        if installed_emitters():  # recording what is not sampled costs, and is for their spans alone
            record_unsampled(provider)
    return found


def _instrument_fastapi(app: Any, provider: TracerProvider) -> None:
    try:
        from fastapi import FastAPI
    except ModuleNotFoundError:
        return
    if isinstance(app, FastAPI) and not getattr(app, "_is_instrumented_by_opentelemetry", False):
        try:
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        except ModuleNotFoundError as error:
            raise MissingExtraError("opentelemetry-instrumentation-fastapi", "otel") from error
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, exclude_spans=["send", "receive"])
    if app.middleware_stack is None:
        app.add_middleware(AdoptSpan)
    else:
        logger.warning("tollmeter: the app has started; call instrument() before, or ids will not match the spans")


def _new_provider(settings: Settings) -> TracerProvider:
    resource = {"service.name": settings.service} | (
        {"deployment.environment.name": settings.environment} if settings.environment else {}
    )
    provider = TracerProvider(resource=Resource.create(resource))
    if any(os.environ.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in ("", "TRACES_")):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _parent_of(span: trace.Span) -> str:
    parent = getattr(span, "parent", None)
    if parent is None or (parent.is_remote and parent.span_id == stand_in_parent(parent.trace_id)):
        return ""
    return trace.format_span_id(parent.span_id)


def _is_ours_or_server(span: ReadableSpan) -> bool:
    # FastAPI's own per-request spans (dependencies, endpoint, serialization) would crowd out the user's.
    scope = span.instrumentation_scope
    return scope is not None and scope.name.startswith(("fastapi", "opentelemetry.instrumentation"))


def _error_type(span: ReadableSpan) -> str:
    for event in span.events:
        if event.name == "exception" and event.attributes:
            return str(event.attributes.get("exception.type", ""))
    return "error" if span.status.status_code is trace.StatusCode.ERROR else ""
