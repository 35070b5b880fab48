"""Spans that are open, by id: whose request they belong to, and whether a call below them has been counted."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from tollmeter.instrumentation.context import RequestContext, current_request
from tollmeter.instrumentation.guard import losses

MAX_OPEN: Final = 10_000
MAX_TRACES: Final = 512
LOSS_NEVER_ENDED: Final = "span_never_ended"


class OpenSpan:
    """One open span; `is_covered` once a call has begun below it, so that it is no call of its own."""

    __slots__ = ("context", "is_covered", "parent", "told")

    def __init__(self, parent: OpenSpan | None, context: RequestContext | None, *, is_covered: bool) -> None:
        self.parent = parent
        self.context = context
        self.is_covered = is_covered
        self.told: int = parent.told_in(context) if parent else 0
        """The id of this span, or of the innermost one around it, that an event tells of; 0 for none."""

    def told_in(self, context: RequestContext | None) -> int:
        """`told`, if that is a part of this request; 0 for a span around work that is a request of its own."""
        return self.told if self.context is context else 0

    def cover(self) -> None:
        """Mark this span and all above it."""
        found: OpenSpan | None = self
        while found is not None and not found.is_covered:
            found.is_covered = True
            found = found.parent


class OpenSpans:
    """All spans of a provider that have started and not ended, at most `MAX_OPEN`; then the oldest is forgotten."""

    def __init__(self) -> None:
        self._open: dict[int, OpenSpan] = {}
        self._by_trace: dict[int, RequestContext] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, span: ReadableSpan, *, is_covered: bool) -> OpenSpan:
        """A span has started here."""
        parent = self._open.get(span.parent.span_id) if span.parent else None
        ids = span.get_span_context()
        assert ids is not None  # of a recording span
        context = current_request() or (parent.context if parent else self._by_trace.get(ids.trace_id))
        found = OpenSpan(parent, context, is_covered=is_covered)
        self._open[ids.span_id] = found
        if len(self._open) > MAX_OPEN:
            forget_oldest(self._open)
            losses.add(LOSS_NEVER_ENDED)
        return found

    def take(self, span_id: int) -> OpenSpan | None:
        """A span has ended; None where its start was not seen, or is forgotten."""
        return self._open.pop(span_id, None)

    def cover(self, span_id: int) -> None:
        """A call begins below a span."""
        found = self._open.get(span_id)
        if found is not None:
            found.cover()

    def told(self, span_id: int, context: RequestContext | None) -> int:
        """The innermost span of a request, from this one outwards, that an event tells of; 0 for none."""
        found = self._open.get(span_id)
        return found.told_in(context) if found else 0

    def tell(self, span_id: int) -> None:
        """An event tells of this span."""
        found = self._open.get(span_id)
        if found is not None:
            found.told = span_id

    def remember(self, trace_id: int, context: RequestContext) -> None:
        """Spans of this trace that start outside of the request's own tasks belong to it all the same."""
        self._by_trace[trace_id] = context
        if len(self._by_trace) > MAX_TRACES:
            forget_oldest(self._by_trace)

    def context_of(self, trace_id: int) -> RequestContext | None:
        """The request that a trace was remembered for."""
        return self._by_trace.get(trace_id)


def forget_oldest(found: dict[Any, Any]) -> None:
    """Drop what was added first."""
    try:
        found.pop(next(iter(found)), None)
    except RuntimeError:  # another thread adds at the same time, and drops one itself
        return
