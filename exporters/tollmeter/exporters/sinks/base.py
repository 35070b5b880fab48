"""What a sink is: a place lines go to (lossy, tailed), or a place whole segments go to (durable)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the first lines of a batch; those it does not cover are sent again after a pause.

    `acknowledged` arrived, `dropped` can never be sent, `in_doubt` may have arrived and are not sent again; `error`
    says why the rest was not taken.
    """

    acknowledged: int
    dropped: int = 0
    in_doubt: int = 0
    error: str = ""

    @property
    def lines(self) -> int:
        """How many lines of the batch it covers."""
        return self.acknowledged + self.dropped + self.in_doubt


@runtime_checkable
class LineSink(Protocol):
    """Takes lines soon after they were written, each at most once.

    `tollmeter.exporters.sinks.memory.MemoryLines` is the double.
    """

    name: str

    def send(self, lines: list[bytes]) -> Receipt:
        """Send the lines, in order and in bounded time.

        Raises:
            Exception: none arrived; the batch is sent again after a pause.
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


Sink = LineSink | SegmentSink
