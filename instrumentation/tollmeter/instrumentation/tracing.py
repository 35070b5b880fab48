"""Where span ids come from: made by us (lean), or taken from OpenTelemetry's current span (otel)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from tollmeter.instrumentation.context import RequestContext, _parent_span
from tollmeter.instrumentation.propagation.span_context import SpanContext
from tollmeter.instrumentation.propagation.styles import ContextReader
from tollmeter.model.ids import new_request_ids, new_trace_id

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call
    from tollmeter.instrumentation.recorder import Recorder
    from tollmeter.model.settings import Settings


class OpenStep(Protocol):
    """A span that was started for a step."""

    span_id: str
    parent_span_id: str
    """The innermost span around it that events tell of; empty where none is known."""

    def end(self, error_type: str) -> None:
        """End the span."""
        ...


class Tracing(Protocol):
    """The seam between the two modes."""

    mode: str

    def begin(self, context: RequestContext, headers: dict[bytes, bytes]) -> None:
        """Give a new request its ids; that of the request itself is one of ours, until the caller's is known."""
        ...

    def adopt(self, context: RequestContext) -> None:
        """Take over the ids of the span that is current, where the mode has spans."""
        ...

    def start_step(self, name: str) -> OpenStep | None:
        """Start a span for a step, where the mode has spans."""
        ...

    def begin_call(self, call: Call) -> tuple[str, str]:
        """A model call begins here: its trace id and parent span id, empty where there is none."""
        ...

    def context_headers(self, call: Call) -> Mapping[str, str]:
        """The headers that tell the one who is called of its span."""
        ...

    def end_call(self, call: Call) -> None:
        """That call is over and written."""
        ...

    def started(self, recorder: Recorder) -> None:
        """The service has started: what is not configured by now will not be."""
        ...


class LeanTracing:
    """Ids are made here, or continued from the caller's headers; no span object exists."""

    mode = "lean"

    def __init__(self, settings: Settings) -> None:
        self._reader = ContextReader(settings.propagation)

    def begin(self, context: RequestContext, headers: dict[bytes, bytes]) -> None:
        """Continue the caller's trace or start one."""
        context.trace_id, context.span_id, context.request_id = new_request_ids()
        reader = self._reader
        if not reader.headers.isdisjoint(headers) and (parent := reader.read(headers)) is not None:
            context.trace_id, context.parent_span_id, context.trace_flags, context.trace_state = parent

    def adopt(self, context: RequestContext) -> None:
        """No span is looked at here."""

    def start_step(self, name: str) -> OpenStep | None:
        """Steps are no spans of their own here."""
        del name
        return None

    def begin_call(self, call: Call) -> tuple[str, str]:
        """The request's trace and the innermost step."""
        context = call.context
        if context is None:
            return "", _parent_span.get()
        return context.trace_id, _parent_span.get() or context.span_id

    def context_headers(self, call: Call) -> Mapping[str, str]:
        """The call's own span; one outside of any request begins a trace."""
        context = call.context
        if context is not None:
            return call.recorder.outgoing.context_headers(
                SpanContext(context.trace_id, call.span_id, context.trace_flags, context.trace_state)
            )
        trace_id, parent = call.parent
        call.parent = (trace_id or new_trace_id(), parent)
        return call.recorder.outgoing.context_headers(SpanContext(call.parent[0], call.span_id))

    def end_call(self, call: Call) -> None:
        """No span of others is counted here, so nothing needs to know."""

    def started(self, recorder: Recorder) -> None:
        """Nothing waits for it."""
