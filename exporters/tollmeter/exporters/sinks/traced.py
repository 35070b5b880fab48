"""What sinks of traces share: traces judged and kept until they are shipped, and every line accounted for."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tollmeter.exporters.derive.decode import decoded
from tollmeter.exporters.derive.traces import Assembler, Sampling, Trace
from tollmeter.exporters.sinks.base import INVALID, SAMPLED, Receipt
from tollmeter.model.events import LlmCall, Request

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

MAX_KEPT: Final = 5_000
"""Traces kept in memory for a sink that is down; beyond it lines stay in the spool."""

_PER_SHIPMENT: Final = 500


@dataclass(slots=True)
class Shipment:
    """What became of traces, in lines: arrived, never to be sent (by reason), in doubt; `left` are to be retried."""

    acknowledged: int = 0
    in_doubt: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    left: list[Trace] = field(default_factory=list)
    error: str = ""


class TraceSink(ABC):
    """A line sink that ships traces; a subclass says how."""

    name: str
    durable = False
    interval_s = 1.0
    batch_bytes = 1 << 20

    def __init__(self, settings: Settings) -> None:
        self._assembler = Assembler(Sampling.of(settings), wait_s=settings.trace_wait_s)
        self._kept: deque[Trace] = deque()
        self._sampled = 0

    @abstractmethod
    def ship(self, traces: Sequence[Trace]) -> Shipment:
        """Ship some traces in bounded time.

        Raises:
            Exception: none arrived; all are tried again after a pause.
        """

    def close(self) -> None:  # noqa: B027  a sink that keeps nothing open has nothing to close
        """Let go of what is open."""

    def send(self, lines: list[bytes]) -> Receipt:
        """Take the lines, and ship the traces they complete.

        Raises:
            BufferError: too many traces wait for a sink that is down; the lines stay in the spool.
        """
        if len(self._kept) >= MAX_KEPT:
            raise BufferError(f"{len(self._kept):,} traces wait to be shipped")
        before = self._held()
        events, invalid = decoded(lines)
        now = time.monotonic()
        spans = [event for event in events if isinstance(event, Request | LlmCall)]
        for event in spans:
            self._kept.extend(self._assembler.add(event, now))
        shipment = self._try()
        shipment.acknowledged += len(events) - len(spans)  # nothing to trace in them
        shipment.drops[INVALID] += invalid
        return self._receipt(shipment, self._held() - before)

    def flush(self, *, final: bool) -> Receipt:
        """Ship what is kept, judging what has waited long enough, with `final` everything."""
        before = self._held()
        self._kept.extend(self._assembler.due(time.monotonic(), final=final))
        return self._receipt(self._try(), self._held() - before)

    def _try(self) -> Shipment:
        total = Shipment()
        while self._kept and not total.error:
            batch = [self._kept.popleft() for _ in range(min(_PER_SHIPMENT, len(self._kept)))]
            try:
                done = self.ship(batch)
            except Exception as error:  # noqa: BLE001  told in the receipt: the lines were taken, and stay held
                done = Shipment(left=batch, error=f"{type(error).__name__}: {error}")
            self._kept.extendleft(reversed(done.left))
            total.acknowledged += done.acknowledged
            total.in_doubt += done.in_doubt
            total.drops += done.drops
            total.error = done.error or ("some traces were not taken" if done.left else "")
        return total

    def _held(self) -> int:
        return self._assembler.waiting + _lines(self._kept)

    def _receipt(self, shipment: Shipment, held: int) -> Receipt:
        sampled, self._sampled = self._assembler.sampled - self._sampled, self._assembler.sampled
        drops = {reason: lines for reason, lines in (*shipment.drops.items(), (SAMPLED, sampled)) if lines}
        return Receipt(shipment.acknowledged, drops, shipment.in_doubt, held, shipment.error)


def _lines(traces: Iterable[Trace]) -> int:
    return sum(trace.lines for trace in traces)
