"""Traces to a Datadog Agent, over OTLP (the Agent's receiver is off unless configured: docs/datadog.md)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tollmeter.exporters.sinks.otlp import OtlpTraces, traces_url
from tollmeter.model import names

if TYPE_CHECKING:
    from tollmeter.exporters.derive.spans import Span
    from tollmeter.exporters.span_wire import SpanPost
    from tollmeter.model.settings import Settings

FRESH_NS: Final = 60 * 10**9
"""Spans that ended longer ago do not enter the metrics that the Agent makes of spans."""


class DatadogTraces(OtlpTraces):
    """Posts spans to the Agent.

    The Agent counts an old span in the metrics of the current moment (`trace.*.hits`, `.errors`, `.duration`), so a
    backlog would page. Spans that are not fresh are marked: it makes no metrics of them.
    """

    name = "datadog_traces"

    def open(self, settings: Settings) -> SpanPost:
        """The way to the Agent."""
        from tollmeter.exporters.span_wire import SpanPost

        endpoint = settings.datadog_otlp_endpoint or f"http://{os.environ.get('DD_AGENT_HOST') or 'localhost'}:4318"
        return SpanPost(traces_url(endpoint), {}, ambient=False)

    def shaped(self, made: list[Span], now_ns: int) -> list[Span]:
        """Marks what is not fresh."""
        if now_ns - made[0].end_ns <= FRESH_NS:
            return made
        return [replace(span, resource=(*span.resource, (names.DATADOG_STATS_COMPUTED, "true"))) for span in made]
