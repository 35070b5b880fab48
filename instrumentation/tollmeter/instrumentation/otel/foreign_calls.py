"""The span processor that turns other instrumentations' inference spans into `llm_call`s, each call once.

A span is a call when it tells of an inference, no inference or tapped call began below it, and no other emitter has
told of the same call.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from tollmeter.instrumentation.active import active_recorder
from tollmeter.instrumentation.calls import Call, watching
from tollmeter.instrumentation.context import RequestContext, current_request
from tollmeter.instrumentation.guard import losses
from tollmeter.instrumentation.otel.conventions import Convention, convention_of
from tollmeter.instrumentation.otel.open_spans import OpenSpan, OpenSpans
from tollmeter.instrumentation.otel.reading import Inference, operation_of, read_inference
from tollmeter.instrumentation.otel.seen_calls import OWN, SeenCall, SeenCalls
from tollmeter.instrumentation.otel.server_spans import adopt
from tollmeter.instrumentation.otel.span_steps import is_own, keep_step
from tollmeter.instrumentation.otel.usage_attributes import Attributes
from tollmeter.instrumentation.recorder import Recorder
from tollmeter.model import names
from tollmeter.model.ids import new_event_id

LOSS_LITELLM: Final = "litellm_call_without_span"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ForeignCall(Call):
    """A call that is over and was told by a span: its ids and times are the span's."""

    __slots__ = ("_duration_ns",)

    def __init__(
        self, recorder: Recorder, context: RequestContext | None, span: ReadableSpan, inference: Inference
    ) -> None:
        ids = span.get_span_context()
        assert ids is not None  # of a recording span
        self.recorder = recorder
        self.context = context
        self.call_id = new_event_id()
        self.span_id = trace.format_span_id(ids.span_id)
        self.parent = (
            trace.format_trace_id(ids.trace_id),
            trace.format_span_id(span.parent.span_id) if span.parent else "",
        )
        self.started_at = _EPOCH + timedelta(microseconds=inference.started_ns // 1000)
        self.started = 0
        self.facts = inference.facts
        self._begin_empty()
        self.first_token = inference.ttft_ns
        self.usage = inference.usage
        self.said = inference.said
        self._duration_ns = inference.duration_ns

    def belong(self, context: RequestContext, opened: OpenSpan | None) -> None:
        """Take the place in a request that the events tell of."""
        told = opened.parent.told_in(context) if opened and opened.parent else 0
        self.parent = (context.trace_id, trace.format_span_id(told) if told else context.span_id)

    def now(self) -> int:
        """The span's end, as its start is 0."""
        return self._duration_ns


class ForeignCalls(SpanProcessor):
    """Sees every span of a provider; also told of our own calls, which cover the spans around them."""

    def __init__(self) -> None:
        self.open = OpenSpans()
        self.seen = SeenCalls()

    def began(self, call: Call, span_id: int) -> None:
        """A tap or `llm_call` begins a call below a span (0 for none)."""
        self.open.cover(span_id)
        self.seen.add(call.call_id, SeenCall(OWN, call.facts, time.time_ns()))

    def ended(self, call: Call) -> None:
        """That call is over."""
        seen = self.seen.own(call.call_id)
        if seen is not None:
            seen.ended_ns = time.time_ns()
            seen.input_tokens = call.usage.input_tokens if call.usage else None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember where the span began."""
        del parent_context
        try:
            # Below an active tap or llm_call everything is told by that one already.
            opened = self.open.add(span, is_covered=watching.get() > 0)
            if span.kind is trace.SpanKind.SERVER:
                if opened.context is not None:
                    adopt(opened.context, span, self.open)
            elif is_own(span):
                opened.told = span.get_span_context().span_id
        except Exception as error:  # noqa: BLE001  as `guarded`, without its frame: this runs for every span
            losses.fault("on_start", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Count the span if it is a call of its own, else keep it as a step if it is the application's."""
        try:
            ids = span.get_span_context()
            opened = self.open.take(ids.span_id) if ids else None
            attributes = span.attributes
            is_call = False
            if attributes and any(name.startswith(names.ATTRIBUTE_PREFIXES) for name in attributes):
                is_call = self._consider(span, dict(attributes), opened)  # the SDK's own mapping is slow to read
            if not is_call and opened is not None and opened.context is not None:
                keep_step(span, opened)
        except Exception as error:  # noqa: BLE001  as on_start
            losses.fault("on_end", error)

    def _consider(self, span: ReadableSpan, attributes: Attributes, opened: OpenSpan | None) -> bool:
        """Count the span if it is a call; whether it tells of one, so that it is no step."""
        operation = operation_of(span, attributes)
        is_covered = opened is not None and opened.is_covered
        if not operation:
            if names.ATTRIBUTE_LITELLM_CALL in attributes and not is_covered:
                losses.add(LOSS_LITELLM)
            return False
        if opened is not None and opened.parent is not None:
            opened.parent.cover()
        if is_covered:
            return False
        scope = span.instrumentation_scope
        name, version = (scope.name, scope.version) if scope else ("", None)
        rule = convention_of(name, version)
        inference = read_inference(span, attributes, operation, rule)
        if inference is not None:
            self._count(span, inference, rule, opened)
        return True

    def _count(self, span: ReadableSpan, inference: Inference, rule: Convention, opened: OpenSpan | None) -> None:
        told = SeenCall(rule.scope or _scope(span), inference.facts, inference.started_ns)
        told.ended_ns = inference.started_ns + inference.duration_ns
        told.input_tokens = inference.usage.input_tokens if inference.usage else None
        told.response_id = inference.response_id
        if self.seen.claim(told, is_detached=rule.is_detached):
            return
        context = opened.context if opened else current_request()
        recorder = context.recorder if context else active_recorder()
        if recorder is None:
            losses.add("span_without_instrument")
            return
        call = ForeignCall(recorder, context, span, inference)
        if context is not None:
            call.belong(context, opened)
        call.finish(inference.status, inference.error_type)
        self.seen.add(call.call_id, told)

    def shutdown(self) -> None:
        """Nothing is held back."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held back."""
        del timeout_millis
        return True


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""
