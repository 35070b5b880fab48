"""What a sink is: a place lines go to (lossy, tailed), or a place whole segments go to (durable)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from tollmeter.model.names import DROP_EARLY, DROP_INVALID, DROP_LATE, DROP_REJECTED, DROP_SAMPLED, DROP_TOO_LARGE

BATCH_BYTES: Final = 256 << 10
"""Lines a sink is given at once, in bytes, unless it asks for more."""

INVALID: Final = DROP_INVALID
LATE: Final = DROP_LATE
EARLY: Final = DROP_EARLY
SAMPLED: Final = DROP_SAMPLED
TOO_LARGE: Final = DROP_TOO_LARGE
REJECTED: Final = DROP_REJECTED
"""Reasons a line is dropped: no event; too old, or too far ahead, to be sent; left out by the sampling; too large for
the sink; refused by the receiver for what it holds."""


class InDoubtError(Exception):
    """What was sent may have arrived, and must not be sent again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the first lines of a batch; those it does not cover are sent again after a pause.

    `acknowledged` arrived, or gave this sink nothing to send. `drops` can never be sent, by reason. `in_doubt` may have
    arrived and are not sent again. `held` are kept in memory, for a later receipt to settle: that one counts them and
    lowers `held` by as many, so that it may be negative. `notes` are further counts, by name. `error` says why the rest
    was not taken, or why what is held could not be shipped: the sink then rests.

    >>> Receipt(acknowledged=7, drops={"late": 1}, held=2).lines
    10
    """

    acknowledged: int
    drops: Mapping[str, int] = field(default_factory=dict)
    in_doubt: int = 0
    held: int = 0
    error: str = ""
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """How many lines can never be sent."""
        return sum(self.drops.values())

    @property
    def lines(self) -> int:
        """How many lines of the batch it covers; 0 where it settles only what was held."""
        return self.acknowledged + self.dropped + self.in_doubt + self.held


NOTHING: Final = Receipt(acknowledged=0)
"""The receipt of a flush that settled nothing."""


@runtime_checkable
class LineSink(Protocol):
    """Takes lines soon after they were written: each at most once, or, where `durable`, at least once and never late.

    A durable sink holds nothing. `interval_s` is the least time between two batches while less than `batch_bytes` wait:
    0 for a sink that is fed at once, more for one that pays per batch. The double is
    `tollmeter.exporters.sinks.memory.MemoryLines`.
    """

    name: str
    durable: bool
    interval_s: float
    batch_bytes: int

    def send(self, lines: list[bytes]) -> Receipt:
        """Send the lines, in order and in bounded time.

        Raises:
            Exception: none arrived; the batch is sent again after a pause.
        """
        ...

    def flush(self, *, final: bool) -> Receipt:
        """Settle what is held and due, with `final` all that is held; in bounded time.

        Raises:
            Exception: nothing was settled, all stays held.
        """
        ...

    def close(self) -> None:
        """Let go of what is open; using the sink again opens it anew."""
        ...


@runtime_checkable
class SegmentSink(Protocol):
    """Takes closed segments, each exactly once: what it has acknowledged may be deleted from the spool.

    `tollmeter.exporters.sinks.memory.MemorySegments` is the double.
    """

    name: str

    def key_for(self, segment_id: str, now: datetime) -> str:
        """The key the segment would be stored under now."""
        ...

    def find(self, segment_id: str, now: datetime) -> str | None:
        """The key it was stored under today or yesterday, for when no intent is remembered; None if it was not."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the key holds an object."""
        ...

    def store(self, source: Path, key: str) -> None:
        """Store the segment whole or not at all; an object that is already there is left as it is.

        Raises:
            Exception: it was not stored, or nobody knows; it is looked for, then tried again, after a pause.
        """
        ...

    def discard(self, key: str) -> None:
        """Remove what an attempt under `key` left behind, short of an object."""
        ...

    def close(self) -> None:
        """Let go of what is open; using the sink again opens it anew."""
        ...


@runtime_checkable
class Probing(Protocol):
    """A sink that can be asked whether it would work, without shipping anything."""

    def probe(self) -> str:
        """What it would do, in words, having looked whether it may.

        Raises:
            Exception: what stands in its way.
        """
        ...


Sink = LineSink | SegmentSink
