"""Traces over OTLP/HTTP to any receiver: a collector, a vendor's intake."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from tollmeter.exporters.derive.spans import Span, spans
from tollmeter.exporters.derive.traces import Trace
from tollmeter.exporters.sinks.base import EARLY, INVALID, LATE, REJECTED
from tollmeter.exporters.sinks.traced import Shipment, TraceSink
from tollmeter.model.errors import MissingExtraError, TransientError
from tollmeter.model.events import LlmCall, Request

if TYPE_CHECKING:
    from tollmeter.exporters.span_wire import Answer, SpanPost
    from tollmeter.model.settings import Settings

MAX_BYTES: Final = 4 << 20
"""Of one request, unpacked; X-Ray takes 5 MB, most receivers more."""
MAX_SPANS: Final = 10_000
MAX_NARROWINGS: Final = 32
"""Posts that look for the spans a receiver refuses, in one shipment; then what is left of the batch is dropped."""

_DAY_NS: Final = 86_400 * 10**9
_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Unit:
    """One event and the spans made of it: what is acknowledged, dropped or left as a whole."""

    event: Request | LlmCall
    spans: tuple[Span, ...]
    size: int

    @property
    def trace(self) -> Trace:
        """The event as a trace of its own."""
        return Trace(self.event) if isinstance(self.event, Request) else Trace(None, (self.event,))


class OtlpTraces(TraceSink):
    """Posts spans. Those of a post that failed are posted again, under the same ids, even if they may have arrived.

    That is what OTLP asks for: receivers tell a span by its ids, and a trace lost is worse than a span seen twice.

    Raises:
        MissingExtraError: opentelemetry-exporter-otlp-proto-http is not installed.
    """

    name = "otlp"
    oldest_s: float = inf
    farthest_s: float = inf

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        try:
            self._post = self.open(settings)
        except ModuleNotFoundError as error:
            raise MissingExtraError("opentelemetry-exporter-otlp-proto-http", "otel") from error
        self._resume = 0.0
        self._narrowings = 0

    def open(self, settings: Settings) -> SpanPost:
        """The way to the receiver."""
        from tollmeter.exporters.span_wire import SpanPost

        return SpanPost(traces_url(settings.otlp_endpoint) or None, settings.otlp_headers)

    def shaped(self, made: list[Span], now_ns: int) -> list[Span]:
        """The spans of an event as this receiver wants them."""
        del now_ns
        return made

    def close(self) -> None:
        """Let go of the connections."""
        self._post.close()

    def probe(self) -> str:
        """Post nothing, as a post.

        Raises:
            ConnectionError: the receiver did not take it.
        """
        answer = self._post.post([])
        if answer.verdict != "taken":
            raise ConnectionError(f"{self._post.address}: {answer.reason}")
        return f"posts traces to {self._post.address}, which took an empty post"

    def ship(self, traces: Sequence[Trace]) -> Shipment:
        """Post the spans in as many requests as sizes and times need; stops at the first that fails.

        Raises:
            TransientError: the receiver asked to be left alone for longer.
        """
        wait = self._resume - time.monotonic()
        if wait > 0:
            raise TransientError(f"the receiver asked for a pause; {wait:.0f} s are left of it")
        shipment = Shipment()
        self._narrowings = MAX_NARROWINGS
        for batch in batches(self._units(traces, shipment)):
            if shipment.error:
                shipment.left += [unit.trace for unit in batch]
            else:
                self._ship(batch, shipment)
        return shipment

    def _units(self, traces: Iterable[Trace], shipment: Shipment) -> Iterator[Unit]:
        now_ns = time.time_ns()
        for trace in traces:
            for event in trace.events:
                made = spans(event)
                reason = self._unfit(made, now_ns)
                if reason:
                    shipment.drops[reason] += 1
                else:
                    made = self.shaped(made, now_ns)
                    yield Unit(event, tuple(made), sum(span.size for span in made))

    def _unfit(self, made: list[Span], now_ns: int) -> str:
        if not made:
            return INVALID
        age_s = (now_ns - made[0].start_ns) / _NS
        if age_s > self.oldest_s:
            return LATE
        return EARLY if -age_s > self.farthest_s else ""

    def _ship(self, batch: list[Unit], shipment: Shipment) -> None:
        answer = self._post.post([span for unit in batch for span in unit.spans])
        match answer.verdict:
            case "taken":
                rejected = min(answer.rejected, len(batch))
                shipment.drops += Counter({REJECTED: rejected})
                shipment.acknowledged += len(batch) - rejected
            case "refused":
                self._narrow(batch, shipment)
            case "unclear":
                shipment.in_doubt += len(batch)
                shipment.error = f"in doubt: {answer.reason}"
            case "failed":
                self._fail(batch, answer, shipment)

    def _narrow(self, batch: list[Unit], shipment: Shipment) -> None:
        """Post the halves of what was refused, so that one bad event does not take others with it."""
        if len(batch) == 1 or not self._narrowings:
            shipment.drops[REJECTED] += len(batch)
            return
        self._narrowings -= 1
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if shipment.error:
                shipment.left += [unit.trace for unit in half]
            else:
                self._ship(half, shipment)

    def _fail(self, batch: list[Unit], answer: Answer, shipment: Shipment) -> None:
        self._resume = time.monotonic() + answer.wait_s
        shipment.left += [unit.trace for unit in batch]
        shipment.error = answer.reason


def traces_url(endpoint: str) -> str:
    """The address traces are posted to: the signal's path is added, as OpenTelemetry does, unless it is there.

    >>> traces_url("http://collector:4318/"), traces_url("https://intake.example/v1/traces")
    ('http://collector:4318/v1/traces', 'https://intake.example/v1/traces')
    """
    if not endpoint or endpoint.endswith("/v1/traces"):
        return endpoint
    return endpoint.rstrip("/") + "/v1/traces"


def batches(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """The units in requests: so many bytes and spans, and no more than a day from first to last, as X-Ray wants it."""
    batch: list[Unit] = []
    size = count = 0
    first = last = 0
    for unit in units:
        start = unit.spans[0].start_ns
        full = size + unit.size > MAX_BYTES or count + len(unit.spans) > MAX_SPANS
        if batch and (full or max(last, start) - min(first, start) > _DAY_NS):
            yield batch
            batch, size, count = [], 0, 0
        first, last = (min(first, start), max(last, start)) if batch else (start, start)
        batch.append(unit)
        size += unit.size
        count += len(unit.spans)
    if batch:
        yield batch
