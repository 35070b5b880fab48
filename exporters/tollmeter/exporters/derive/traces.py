"""A request and its model calls put together again, and which of them are worth keeping.

Sampling is at the tail: a trace is judged once its request has come, when everything that happened is known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tollmeter.model.events import LlmCall, Request
from tollmeter.model.names import STATUS_ERROR

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

MAX_WAITING: Final = 20_000
"""Calls that wait for their request; beyond it the oldest are judged without."""

_MAX_JUDGED: Final = 50_000
_SERVER_ERROR: Final = 500
_RANDOM_BITS: Final = 64

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Trace:
    """What one process did for one request: the request, unless it is missing or told before, and model calls."""

    request: Request | None
    calls: tuple[LlmCall, ...] = ()

    @property
    def events(self) -> tuple[Request | LlmCall, ...]:
        """What it is made of, the request first."""
        return (self.request, *self.calls) if self.request else self.calls

    @property
    def lines(self) -> int:
        """How many events it is made of."""
        return len(self.calls) + (self.request is not None)

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return self.request.trace_id if self.request else self.calls[0].trace_id


@dataclass(frozen=True, slots=True)
class Sampling:
    """Errors, slow and expensive traces are kept; of the rest a ratio, by trace id.

    The ratio takes the same traces as OpenTelemetry's `TraceIdRatioBased`, so that services agree on what to keep.
    """

    ratio: float = 1.0
    slow_ms: float = float("inf")
    expensive_usd: Decimal = Decimal("Infinity")

    @classmethod
    def of(cls, settings: Settings) -> Sampling:
        """What the settings say."""
        return cls(settings.trace_ratio, settings.trace_slow_ms, settings.trace_expensive_usd)

    def keeps(self, trace: Trace) -> bool:
        """Whether a trace is worth keeping.

        >>> Sampling(ratio=0.0).keeps(Trace(None, ()))
        False
        """
        return self._is_remarkable(trace) or (trace.lines > 0 and self._is_drawn(trace.trace_id))

    def _is_drawn(self, trace_id: str) -> bool:
        bound: int = round(self.ratio * 2**_RANDOM_BITS)
        try:
            return int(trace_id[-16:] or "0", 16) < bound
        except ValueError:  # no trace id; the sink that is given it counts it as invalid
            return True

    def _is_remarkable(self, trace: Trace) -> bool:
        request, spent = trace.request, Decimal(0)
        if request and (request.error_type or (request.status_code or 0) >= _SERVER_ERROR):
            return True
        if request and request.duration_ms >= self.slow_ms:
            return True
        for call in trace.calls:
            if call.status == STATUS_ERROR or (call.latency_ms or 0.0) >= self.slow_ms:
                return True
            spent += call.cost_usd or 0
        return spent >= self.expensive_usd


@dataclass(slots=True)
class _Waiting:
    since: float
    calls: list[LlmCall] = field(default_factory=list)


class Assembler:
    """Puts traces together from events in the order they were written; `sampled` counts the lines of those not kept.

    A process writes a call when it ends and a request after the calls it waited for. A call that outlives its request
    follows the verdict on it; one outside of any request is a trace of its own.
    """

    def __init__(self, sampling: Sampling, *, wait_s: float) -> None:
        self.sampled = 0
        self.waiting = 0
        self._sampling = sampling
        self._wait_s = wait_s
        self._by_key: OrderedDict[Key, _Waiting] = OrderedDict()
        # By hash, for the ids themselves, of so many, would be most of what a forwarder keeps in memory.
        self._judged: OrderedDict[int, bool] = OrderedDict()

    def add(self, event: Request | LlmCall, now: float) -> Iterator[Trace]:
        """Take one event at a time (monotonic seconds); yields what it completes and is kept."""
        if isinstance(event, Request):
            yield from self._judge(_key(event), event)
        elif not event.request_id:
            yield from self._verdict(Trace(None, (event,)))
        elif (kept := self._judged.get(hash(_key(event)))) is not None:
            yield from self._sort(Trace(None, (event,)), kept=kept)
        else:
            self._by_key.setdefault(_key(event), _Waiting(now)).calls.append(event)
            self.waiting += 1
            if self.waiting > MAX_WAITING:
                yield from self._judge(next(iter(self._by_key)), None)

    def due(self, now: float, *, final: bool) -> Iterator[Trace]:
        """Judge the calls whose request has not come in time, with `final` all that wait."""
        while self._by_key:
            key, waiting = next(iter(self._by_key.items()))
            if not final and now - waiting.since < self._wait_s:
                return
            yield from self._judge(key, None)

    def _judge(self, key: Key, request: Request | None) -> Iterator[Trace]:
        waiting = self._by_key.pop(key, None)
        calls = tuple(waiting.calls) if waiting else ()
        self.waiting -= len(calls)
        trace = Trace(request, calls)
        kept = self._sampling.keeps(trace)
        self._judged[hash(key)] = kept
        if len(self._judged) > _MAX_JUDGED:
            self._judged.popitem(last=False)
        yield from self._sort(trace, kept=kept)

    def _verdict(self, trace: Trace) -> Iterator[Trace]:
        yield from self._sort(trace, kept=self._sampling.keeps(trace))

    def _sort(self, trace: Trace, *, kept: bool) -> Iterator[Trace]:
        if kept:
            yield trace
        else:
            self.sampled += trace.lines


def _key(event: Request | LlmCall) -> Key:
    # A request id may be the caller's, who may send it to several processes, or twice.
    return event.instance, event.request_id, event.trace_id
