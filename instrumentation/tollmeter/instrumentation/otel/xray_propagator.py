"""X-Ray's header for OpenTelemetry, in the forms that load balancers send and the stock propagator drops.

`OTEL_PROPAGATORS=tracecontext,baggage,tollmeter_xray` names it; a distribution may set it as well.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from tollmeter.instrumentation.guard import guarded
from tollmeter.instrumentation.propagation import xray
from tollmeter.instrumentation.propagation.span_context import SpanContext
from tollmeter.model.names import HEADER_XRAY

_SPELLINGS: Final = (HEADER_XRAY, "X-Amzn-Trace-Id")
"""Of servers that fold the case of names, and of carriers that do not."""


class XRayPropagator(TextMapPropagator):
    """Continues `X-Amzn-Trace-Id` in any form, unless a propagator before it has found a span; sends it as well."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """The context with the caller's span in it."""
        found = Context() if context is None else context
        return self._extracted(carrier, found, getter) or found

    @guarded(default=None)
    def _extracted(self, carrier: Any, context: Context, getter: Getter[Any]) -> Context | None:
        if trace.get_current_span(context).get_span_context().is_valid:
            return None
        values = next((found for name in _SPELLINGS if (found := getter.get(carrier, name))), None)
        caller = xray.read_value(values[0].encode("latin-1", "replace")) if values else None
        return trace.set_span_in_context(trace.NonRecordingSpan(_remote(caller)), context) if caller else None

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Put the current span into a carrier."""
        span = trace.get_current_span(context).get_span_context()
        if span.is_valid:
            flags = f"{int(span.trace_flags):02x}"
            told = SpanContext(trace.format_trace_id(span.trace_id), trace.format_span_id(span.span_id), flags)
            for name, value in xray.write(told).items():
                setter.set(carrier, name, value)

    @property
    def fields(self) -> set[str]:
        """The header that is set."""
        return {HEADER_XRAY}


def stand_in_parent(trace_id: int) -> int:
    """The parent of a trace that a load balancer began, which has no span: the SDK continues no trace without one."""
    return trace_id & (2**64 - 1) or 1


def _remote(caller: SpanContext) -> trace.SpanContext:
    trace_id = int(caller.trace_id, 16)
    return trace.SpanContext(
        trace_id=trace_id,
        span_id=int(caller.span_id, 16) if caller.span_id else stand_in_parent(trace_id),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(caller.flags, 16)),
    )
