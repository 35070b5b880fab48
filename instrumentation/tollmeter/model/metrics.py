"""The metric registry: every metric once, and how it is computed from events.

EMF, DogStatsD, alarms and dashboards read it. A metric is a pure function of events: those of one kind that meet all
conditions contribute `value` (a field, one count of a map such as `counts.dropped`, or several whose sum counts), or 1
where it is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter, eq, ge, ne
from typing import TYPE_CHECKING, Any, Final, Literal

from tollmeter.model.errors import UnknownNameError
from tollmeter.model.names import DROP_REASONS, KIND_LLM_CALL, KIND_REQUEST, KIND_RUN

if TYPE_CHECKING:
    from tollmeter.model.events import Event

Aggregate = Literal["counter", "distribution", "gauge"]
Operator = Literal["=", "!=", ">="]
_OPERATORS: Final[dict[Operator, Callable[[Any, Any], object]]] = {"=": eq, "!=": ne, ">=": ge}


@dataclass(frozen=True, slots=True)
class Condition:
    """A field of the event compared with a constant; a null field meets none but `!=`."""

    field: str
    operator: Operator
    value: str | int | bool

    def test(self) -> Callable[[Event], object]:
        """What tells, as a truth, whether an event meets it."""
        read, compare, constant, of_null = (
            attrgetter(self.field),
            _OPERATORS[self.operator],
            self.value,
            self.operator == "!=",
        )

        def holds(event: Event) -> object:
            found = read(event)
            return of_null if found is None else compare(found, constant)

        return holds


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: unit in CloudWatch's words, dimensions as event fields, and its definition over events."""

    name: str
    unit: str
    aggregate: Aggregate
    kind: str
    dimensions: tuple[str, ...]
    description: str
    value: str = ""
    where: tuple[Condition, ...] = ()

    def contribution(self, event: Event) -> float | None:
        """What one event adds; None when it adds nothing."""
        return self.reader()(event) if event.__struct_config__.tag == self.kind else None

    def reader(self) -> Amount:
        """`contribution` for events of its kind, at which it does not look: what reads many events asks for it once."""
        return _reader(self)


Amount = Callable[["Event"], float | None]


@cache
def _reader(metric: Metric) -> Amount:
    amount = _amount(metric.value.split())
    tests = [condition.test() for condition in metric.where]
    if not tests:
        return amount
    if len(tests) == 1:
        [test] = tests
        return lambda event: amount(event) if test(event) else None
    return lambda event: amount(event) if all(holds(event) for holds in tests) else None


def _amount(names: list[str]) -> Amount:
    if not names:
        return lambda _: 1.0
    numbers = [_number(name) for name in names]
    if len(numbers) == 1:
        [number] = numbers
        return lambda event: None if (found := number(event)) is None else float(found)
    return lambda event: (
        float(sum(found)) if (found := [n for read in numbers if (n := read(event)) is not None]) else None
    )


def _number(name: str) -> Callable[[Event], Any]:
    field, _, key = name.partition(".")
    read = attrgetter(field)
    return (lambda event: read(event).get(key)) if key else read


_CALL: Final = ("service", "environment", "provider", "request_model")
_HTTP: Final = ("service", "environment", "route")
_FAILED_CALL: Final = (Condition("status", "=", "error"),)
_RUN: Final = ("service", "environment", "component")
_SINK: Final = (*_RUN, "sink")

METRICS: Final[tuple[Metric, ...]] = (
    Metric("http.requests", "Count", "counter", KIND_REQUEST, _HTTP, "requests served"),
    Metric("http.errors", "Count", "counter", KIND_REQUEST, _HTTP, "requests answered with 5xx", where=(Condition("status_code", ">=", 500),)),
    Metric("http.failures", "Count", "counter", KIND_REQUEST, _HTTP, "requests of any kind that failed: 5xx, jobs and messages whose code raised, time-outs of Lambda", where=(Condition("error_type", "!=", ""),)),
    Metric("http.duration_ms", "Milliseconds", "distribution", KIND_REQUEST, _HTTP, "time to the last byte", "duration_ms"),
    Metric("http.client_disconnects", "Count", "counter", KIND_REQUEST, _HTTP, "clients that left early", where=(Condition("client_disconnected", "=", True),)),
    Metric("llm.calls", "Count", "counter", KIND_LLM_CALL, _CALL, "model calls, each attempt one"),
    Metric("llm.errors", "Count", "counter", KIND_LLM_CALL, _CALL, "model calls that failed", where=_FAILED_CALL),
    Metric("llm.throttles", "Count", "counter", KIND_LLM_CALL, _CALL, "model calls answered with 429", where=(Condition("http_status", "=", 429),)),
    Metric("llm.partial", "Count", "counter", KIND_LLM_CALL, _CALL, "streams that were abandoned", where=(Condition("status", "=", "partial"),)),
    Metric("llm.fallbacks", "Count", "counter", KIND_LLM_CALL, _CALL, "calls standing in for another model", where=(Condition("fallback_from", "!=", ""),)),
    Metric("llm.input_tokens", "Count", "counter", KIND_LLM_CALL, _CALL, "input tokens, inclusive", "input_tokens"),
    Metric("llm.output_tokens", "Count", "counter", KIND_LLM_CALL, _CALL, "output tokens, inclusive", "output_tokens"),
    Metric("llm.tokens", "Count", "counter", KIND_LLM_CALL, _CALL, "input and output tokens", "input_tokens output_tokens"),
    Metric("llm.cache_read_tokens", "Count", "counter", KIND_LLM_CALL, _CALL, "input tokens read from cache", "cache_read_tokens"),
    Metric("llm.cost_usd", "None", "counter", KIND_LLM_CALL, (*_CALL, "team"), "cost of priced calls in USD", "cost_usd"),
    Metric("llm.unpriced_calls", "Count", "counter", KIND_LLM_CALL, _CALL, "calls whose cost is unknown", where=(Condition("cost_status", "=", "unpriced"),)),
    Metric("llm.latency_ms", "Milliseconds", "distribution", KIND_LLM_CALL, _CALL, "time to the end of the answer", "latency_ms"),
    Metric("llm.ttft_ms", "Milliseconds", "distribution", KIND_LLM_CALL, _CALL, "time to the first token", "ttft_ms"),
    Metric("tollmeter.runs", "Count", "counter", KIND_RUN, _RUN, "runs, and the forwarder's signs of life: at least one a minute for each sink"),
    Metric("tollmeter.failed_runs", "Count", "counter", KIND_RUN, _RUN, "runs that failed", where=(Condition("outcome", "=", "error"),)),
    Metric("tollmeter.lag_ms", "Milliseconds", "gauge", KIND_RUN, _SINK, "age of the oldest event not yet handled", "lag_ms"),
    Metric("tollmeter.waiting_bytes", "Bytes", "gauge", KIND_RUN, _SINK, "what a sink has yet to pass; what a lost disk would lose", "counts.waiting_bytes"),
    Metric("tollmeter.held", "Count", "gauge", KIND_RUN, _SINK, "events a sink holds in memory", "counts.held"),
    Metric("tollmeter.sent", "Count", "counter", KIND_RUN, _SINK, "events a sink acknowledged", "counts.acknowledged"),
    Metric("tollmeter.in_doubt", "Count", "counter", KIND_RUN, _SINK, "events that may have arrived and are not sent again", "counts.in_doubt"),
    Metric("tollmeter.sink_errors", "Count", "counter", KIND_RUN, _SINK, "times a sink failed", "counts.errors"),
    Metric("tollmeter.dropped", "Count", "counter", KIND_RUN, _SINK, "events a sink will never send, for all reasons", "counts.dropped"),
    *(
        Metric(f"tollmeter.dropped_{reason}", "Count", "counter", KIND_RUN, _SINK, meaning, f"counts.dropped_{reason}")
        for reason, meaning in DROP_REASONS.items()
    ),
    Metric("tollmeter.objects_read", "Count", "counter", KIND_RUN, _RUN, "raw objects an etl run read", "counts.objects"),
    Metric("tollmeter.bytes_read", "Bytes", "counter", KIND_RUN, _RUN, "their stored size", "counts.bytes"),
    Metric("tollmeter.lines_read", "Count", "counter", KIND_RUN, _RUN, "lines they held", "counts.lines"),
    Metric("tollmeter.rows_landed", "Count", "counter", KIND_RUN, _RUN, "rows an etl run landed", "counts.landed"),
    Metric("tollmeter.duplicates", "Count", "counter", KIND_RUN, _RUN, "lines whose event had landed before", "counts.duplicates"),
    Metric("tollmeter.quarantined", "Count", "counter", KIND_RUN, _RUN, "lines that went to quarantine", "counts.quarantined"),
    Metric("tollmeter.torn_lines", "Count", "counter", KIND_RUN, _RUN, "lines whose end was lost with their writer", "counts.torn_lines"),
)  # fmt: skip

_BY_NAME: Final = {metric.name: metric for metric in METRICS}


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownNameError: there is none; the message lists near matches.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownNameError("metric", name, _BY_NAME) from None
