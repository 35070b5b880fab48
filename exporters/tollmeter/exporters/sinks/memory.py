"""Sinks that keep what they are given in memory: for tests, ours and yours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tollmeter.exporters.derive.traces import Trace
from tollmeter.exporters.sinks.base import BATCH_BYTES, NOTHING, Receipt
from tollmeter.exporters.sinks.traced import Shipment, TraceSink
from tollmeter.model.settings import Settings


class MemoryLines:
    """A lossy sink that keeps every line; set `failure` and it raises that instead."""

    durable = False
    interval_s = 0.0
    batch_bytes = BATCH_BYTES

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.lines: list[bytes] = []
        self.failure: Exception | None = None

    def send(self, lines: list[bytes]) -> Receipt:
        """Keep the lines, drop none."""
        if self.failure:
            raise self.failure
        self.lines += lines
        return Receipt(acknowledged=len(lines))

    def flush(self, *, final: bool) -> Receipt:
        """Nothing is held."""
        del final
        return NOTHING

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryTraces(TraceSink):
    """A sink of traces that keeps every trace; set `failure` and it raises that instead."""

    name = "memory_traces"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.traces: list[Trace] = []
        self.failure: Exception | None = None

    def ship(self, traces: Sequence[Trace]) -> Shipment:
        """Keep the traces."""
        if self.failure:
            raise self.failure
        self.traces += traces
        return Shipment(acknowledged=sum(trace.lines for trace in traces))


class MemorySegments:
    """A durable sink that keeps every object by key; set `failure` and `store` raises that instead."""

    def __init__(self, name: str = "memory_segments") -> None:
        self.name = name
        self.objects: dict[str, bytes] = {}
        self.failure: Exception | None = None

    def key_for(self, segment_id: str, now: datetime) -> str:
        """Day, then the segment."""
        return f"{now:%Y-%m-%d}/{segment_id}"

    def find(self, segment_id: str, now: datetime) -> str | None:
        """Look at every key."""
        del now
        return next((key for key in self.objects if key.endswith(f"/{segment_id}")), None)

    def exists(self, key: str) -> bool:
        """Whether the key was stored."""
        return key in self.objects

    def store(self, source: Path, key: str) -> None:
        """Keep the segment's bytes."""
        if self.failure:
            raise self.failure
        self.objects.setdefault(key, source.read_bytes())

    def discard(self, key: str) -> None:
        """Nothing is ever left behind."""

    def close(self) -> None:
        """Nothing to let go of."""
