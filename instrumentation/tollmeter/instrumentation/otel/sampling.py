"""Calls are counted whether or not their trace is sampled: a span that would be dropped is recorded, not exported.

A span processor never sees a dropped span. `RECORD_ONLY` keeps the trace flag unset, so exporters still leave it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

_TRACERS: Final = "_tracers"


class RecordUnsampled(Sampler):
    """Another sampler's decisions, with DROP turned into RECORD_ONLY.

    >>> from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
    >>> RecordUnsampled(ALWAYS_OFF).should_sample(None, 1, "chat").decision
    <Decision.RECORD_ONLY: 1>
    """

    def __init__(self, inner: Sampler) -> None:
        self.inner = inner

    def should_sample(  # noqa: PLR0917  the SDK calls it by position
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The inner decision, never DROP."""
        found = self.inner.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if found.decision is Decision.DROP:
            # The attributes of a dropped result are empty; the span keeps those that it was started with.
            return SamplingResult(Decision.RECORD_ONLY, attributes, found.trace_state)
        return found

    def get_description(self) -> str:
        """As the inner sampler's, named."""
        return f"RecordUnsampled{{{self.inner.get_description()}}}"


def record_unsampled(provider: TracerProvider) -> None:
    """Put the sampler of a provider, and of the tracers that it has handed out, under `RecordUnsampled`."""
    if isinstance(provider.sampler, RecordUnsampled):
        return
    wrapped = RecordUnsampled(provider.sampler)
    provider.sampler = wrapped
    # Tracers hold the sampler of their making.
    for tracer in list(getattr(provider, _TRACERS, {}).values()):
        tracer.sampler = wrapped


def knows_tracers(provider: TracerProvider) -> bool:
    """Whether the tracers that a provider has handed out can be reached; the SDK's list of them is private."""
    return hasattr(provider, _TRACERS)
