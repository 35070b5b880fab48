"""OTel mode: ids come from the current span, and steps become spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry import propagate, trace

from tollmeter.instrumentation.context import RequestContext, current_request
from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.otel.foreign_calls import ForeignCalls
from tollmeter.instrumentation.otel.provider import app_provider, is_unset, make_provider, sdk_provider
from tollmeter.instrumentation.otel.server_spans import adopt, continue_span, quieten, take_baggage
from tollmeter.instrumentation.otel.watching import watch
from tollmeter.instrumentation.tracing import LeanTracing
from tollmeter.model.names import SCOPE_STEPS
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.recorder import Recorder

_NO_SPAN: Final = trace.format_span_id(trace.INVALID_SPAN_ID)


class OtelTracing:
    """Takes ids from OpenTelemetry's current span; falls back to lean ids where none is current."""

    mode = "otel"

    def __init__(self, provider: trace.TracerProvider, foreign: ForeignCalls, settings: Settings) -> None:
        self._foreign = foreign
        self._tracer = trace.get_tracer(SCOPE_STEPS, tracer_provider=provider)
        self._lean = LeanTracing(settings)

    def begin(self, context: RequestContext, headers: dict[bytes, bytes]) -> None:
        """Ids for requests that no server span covers; those of the server span replace them once it begins."""
        self._lean.begin(context, headers)
        span = trace.get_current_span()
        # Inside of another request the span is that one's, and work of its own begins here.
        if span.get_span_context().is_valid and current_request() is None:
            continue_span(context, span, self._foreign.open)
        take_baggage(context)

    def adopt(self, context: RequestContext) -> None:
        """Take the ids of the span that is current here."""
        adopt(context, trace.get_current_span(), self._foreign.open)

    def start_step(self, name: str) -> OtelStep | None:
        """Start a real span, so that the step shows in the user's own traces as well."""
        outer = trace.get_current_span().get_span_context().span_id
        step = OtelStep(self._tracer, name, self._told(outer, current_request()))
        if step.span_id not in (_NO_SPAN, trace.format_span_id(outer)):
            return step
        step.end("")  # a provider that does nothing hands out the outer span, or an invalid one
        return None

    def begin_call(self, call: Call) -> tuple[str, str]:
        """The innermost span that events tell of; it and those above it are no calls of their own."""
        found = trace.get_current_span().get_span_context()
        self._foreign.began(call, found.span_id)
        trace_id, parent_span_id = self._lean.begin_call(call)
        if call.context is None and found.is_valid:
            return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)
        return trace_id, self._told(found.span_id, call.context) or parent_span_id

    def _told(self, span_id: int, context: RequestContext | None) -> str:
        told = self._foreign.open.told(span_id, context)
        return trace.format_span_id(told) if told else ""

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

    def started(self, recorder: Recorder) -> None:
        """The provider is known already."""


class OtelStep:
    """A span made current for a step."""

    def __init__(self, tracer: trace.Tracer, name: str, parent_span_id: str) -> None:
        self.parent_span_id = parent_span_id
        self._manager = tracer.start_as_current_span(name)
        self._span = self._manager.__enter__()
        self.span_id = trace.format_span_id(self._span.get_span_context().span_id)

    @guarded(default=None)
    def end(self, error_type: str) -> None:
        """End the span, in error where the step raised."""
        if error_type:
            self._span.set_status(trace.StatusCode.ERROR, error_type)
        self._manager.__exit__(None, None, None)


def start_otel(app: object, settings: Settings) -> OtelTracing:
    """OTel mode for an app: with its provider, else the global one, else one made from the `OTEL_*` settings.

    A provider that is not the SDK's cannot be watched: ids are taken from its spans, steps are not.
    """
    provider: trace.TracerProvider | None = app_provider(app)
    unsampled = settings.record_unsampled
    if provider is None and is_unset():
        provider = make_provider(settings)
        trace.set_tracer_provider(provider)
        quieten(app)
        unsampled = "always" if unsampled == "auto" else unsampled
    provider = provider or trace.get_tracer_provider()
    watched = sdk_provider(provider)
    return OtelTracing(provider, watch(watched, unsampled) if watched else ForeignCalls(), settings)
