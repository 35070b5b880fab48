"""A feed brings the spool to one sink: its cursor, its pauses, its counts. Feeds know nothing of each other."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import SystemRandom
from typing import Final

from tollmeter.exporters.cursor import ACKNOWLEDGED, DROPPED, IN_DOUBT, PRODUCED, Cursors
from tollmeter.exporters.reader import Segment, count_lines, read_batch
from tollmeter.exporters.sinks.base import LATE, NOTHING, LineSink, Receipt, SegmentSink
from tollmeter.model.secrets import scrub

logger = logging.getLogger("tollmeter")
_random = SystemRandom()
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_HURRIED_PAUSE_S: Final = 3.0
_TURN_S: Final = 1.0
"""A turn ends with the step at hand after so long: then the spool is listed anew, which costs more the more waits."""


ERRORS: Final = "errors"
UNREADABLE: Final = "unreadable"
OBJECTS: Final = "objects"
DROPPED_FOR: Final = "dropped_"
"""With the reason behind it, a part of the lines dropped."""


class _PartTakenError(Exception):
    """The sink took only a part of a batch, which is settled."""


class Feed(ABC):
    """One sink and where it stands; `error` is what it last complained about, empty once it works again.

    What a durable one has not passed is never given up.
    """

    durable: bool

    def __init__(self, name: str, cursors: Cursors) -> None:
        self.name = name
        self.error = ""
        self._cursors = cursors
        self._failures = 0
        self._failed = self._failing_since = self._resume = 0.0
        self._began = time.time()
        self._unreadable: set[str] = set()

    def turn(self, segments: Sequence[Segment], *, hurry: bool = False) -> bool:
        """Deliver a bounded share of what waits; whether more waits that could be delivered now.

        With `hurry` nothing waits to be worth a batch, and nothing stays held. A sink that raises rests for 1 s, then
        up to 60 s, each pause drawn at random from half of it to the whole; in a hurry for 3 s at most.
        """
        if time.monotonic() < (min(self._resume, self._failed + _HURRIED_PAUSE_S) if hurry else self._resume):
            return False
        try:
            return self._deliver([segment for segment in segments if self._waits(segment)], hurry=hurry)
        except Exception as error:  # noqa: BLE001  a sink is anyone's code; its failure must not reach other sinks
            self._fail(str(error) if isinstance(error, _PartTakenError) else f"{type(error).__name__}: {error}")
            return False

    def passed(self, segment: Segment) -> bool:
        """Whether the sink needs nothing more of the segment as it was listed."""
        return self._cursors.offset(self.name, segment.segment_id) >= segment.size

    def holds(self, segment: Segment) -> bool:  # noqa: ARG002  lines have no key to look at
        """Whether the sink says that it holds the segment, though that was not noted any more."""
        return False

    def _waits(self, segment: Segment) -> bool:
        return not self.passed(segment) and segment.segment_id not in self._unreadable

    def waiting(self, segments: Sequence[Segment], now: float) -> tuple[int, float]:
        """Bytes not passed, and the age of the oldest event among them in seconds; 0 and 0 when there are none."""
        left = [segment for segment in segments if not self.passed(segment)]
        if not left:
            return 0, 0.0
        oldest = min(segment.created for segment in left)
        return sum(segment.size - self.offset(segment) for segment in left), max(0.0, now - oldest)

    def offset(self, segment: Segment) -> int:
        """Bytes of the segment the sink has passed."""
        return self._cursors.offset(self.name, segment.segment_id)

    @property
    def failing_s(self) -> float:
        """How long the sink has been failing; 0 while it works."""
        return time.monotonic() - self._failing_since if self.error else 0.0

    def overdue(self, segment: Segment, max_lag_s: float, now: float) -> bool:
        """Whether the sink has held the segment for longer than it may.

        One that works is not blamed for the time before this forwarder began.
        """
        since = segment.created if self.error else max(segment.created, self._began)
        return self._waits(segment) and now - since > max_lag_s

    @abstractmethod
    def _deliver(self, waiting: list[Segment], *, hurry: bool) -> bool:
        """Deliver a bounded share; whether more is left."""

    def _settle(self, segment: Segment, offset: int, counts: Mapping[str, int], *, held: int = 0) -> None:
        self._cursors.settle(self.name, segment.segment_id, offset, counts, held=held)

    def _fail(self, error: str) -> None:
        self._failures += 1
        self._failed = time.monotonic()
        if not self.error:
            self._failing_since = self._failed
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10))
        self._resume = self._failed + _random.uniform(pause / 2, pause)
        self._cursors.add({f"{self.name}.{ERRORS}": 1})
        error = scrub(error)  # a URL or an answer may hold a key
        if not self.error:
            logger.warning("tollmeter: sink %s fails: %s", self.name, error)
        self.error = error

    def _succeed(self) -> None:
        if self.error:
            logger.warning("tollmeter: sink %s works again after %d failures", self.name, self._failures)
        self.error, self._failures = "", 0

    def forget_held(self) -> None:
        """Count what the sink still holds as in doubt, for its memory is about to go."""
        held = self._cursors.held().get(self.name, 0)
        if held:
            self._cursors.release(self.name, -held, {IN_DOUBT: held})

    def _skip(self, segment: Segment, error: OSError) -> None:
        # One unreadable segment must not hold back those behind it; it stays in the spool, and the next start tries it.
        self._unreadable.add(segment.segment_id)
        logger.warning("tollmeter: segment %s cannot be read: %s", segment.path, error)
        self._cursors.add({f"{self.name}.{UNREADABLE}": 1})


class LineFeed(Feed):
    """Feeds lines as they are written, each at most once: what was under way when the process died is in doubt.

    A durable sink gets such a batch again, and nothing of it is given up.
    """

    def __init__(self, sink: LineSink, cursors: Cursors) -> None:
        super().__init__(sink.name, cursors)
        self.durable = sink.durable
        self._sink = sink
        self._fed = 0.0

    def give_up(self, segment: Segment) -> None:
        """Pass over what is left of a closed segment, counting its lines as dropped for being late."""
        try:
            lines = count_lines(segment, self._cursors.offset(self.name, segment.segment_id))
        except OSError as error:
            self._skip(segment, error)
            return
        counts = {PRODUCED: lines, DROPPED: lines, DROPPED_FOR + LATE: lines}
        self._settle(segment, segment.size, {} if segment.own else counts)

    def _deliver(self, waiting: list[Segment], *, hurry: bool) -> bool:
        self._cursors.recover(self.name)
        more = (hurry or self._is_worth_it(waiting)) and self._deliver_lines(waiting)
        if not more:
            self._flush(final=hurry)
        return more

    def _is_worth_it(self, waiting: list[Segment]) -> bool:
        if time.monotonic() - self._fed >= self._sink.interval_s:
            return True
        left = sum(segment.size - self._cursors.offset(self.name, segment.segment_id) for segment in waiting)
        return left >= self._sink.batch_bytes

    def _deliver_lines(self, waiting: list[Segment]) -> bool:
        end = time.monotonic() + _TURN_S
        for segment in waiting:
            while self._waits(segment) and self._deliver_batch(segment):
                if time.monotonic() > end:
                    return True
        return False

    def _flush(self, *, final: bool) -> None:
        receipt = self._sink.flush(final=final)
        if receipt is not NOTHING:
            self._cursors.release(self.name, receipt.held, _counts(receipt))
        if receipt.error:
            raise _PartTakenError(receipt.error)
        if receipt.held < 0:
            self._succeed()

    def _deliver_batch(self, segment: Segment) -> bool:
        offset = self._cursors.offset(self.name, segment.segment_id)
        try:
            batch = read_batch(segment, offset, self._sink.batch_bytes)
        except OSError as error:
            self._skip(segment, error)
            return False
        if batch.lines:
            self._send(segment, offset, batch.lines)
        elif segment.closed:  # bytes behind the last newline of a closed segment are nobody's event
            self._settle(segment, segment.size, {})
        return bool(batch.lines)

    def _send(self, segment: Segment, offset: int, lines: list[bytes]) -> None:
        end = offset + sum(len(line) + 1 for line in lines)
        if not self._sink.durable:
            self._cursors.begin(self.name, segment.segment_id, end, 0 if segment.own else len(lines))
        self._fed = time.monotonic()
        try:
            receipt = self._sink.send(lines)
        except Exception:
            self._cursors.abandon(self.name)
            raise
        taken = offset + sum(len(line) + 1 for line in lines[: receipt.lines])
        counts = _counts_of_own(receipt) if segment.own else _counts(receipt)
        self._settle(segment, taken, counts, held=receipt.held)
        if receipt.error or receipt.lines < len(lines):
            raise _PartTakenError(receipt.error or f"it took {receipt.lines} of {len(lines)} lines")
        self._succeed()


class SegmentFeed(Feed):
    """Feeds closed segments, each exactly once: a key is noted before it is tried and looked at before another is."""

    durable = True

    def __init__(self, sink: SegmentSink, cursors: Cursors) -> None:
        super().__init__(sink.name, cursors)
        self._sink = sink

    def _deliver(self, waiting: list[Segment], *, hurry: bool) -> bool:
        del hurry
        end = time.monotonic() + _TURN_S
        for segment in waiting:
            if segment.closed:
                self._deliver_segment(segment)
                if time.monotonic() > end:
                    return True
        return False

    def holds(self, segment: Segment) -> bool:
        """Whether the object that was noted before it was tried is there.

        Raises:
            Exception: the sink cannot be asked.
        """
        key = self._cursors.intent(self.name, segment.segment_id)
        return key is not None and self._sink.exists(key)

    def _deliver_segment(self, segment: Segment) -> None:
        try:
            lines = count_lines(segment, 0)
        except OSError as error:
            self._skip(segment, error)
            return
        key = self._key(segment)
        if self._sink.exists(key):
            self._sink.discard(key)  # what an attempt that was killed right after it stored left beside the object
        else:
            self._sink.store(segment.path, key)
        counts = {PRODUCED: lines, ACKNOWLEDGED: lines, OBJECTS: 1}
        self._settle(segment, segment.size, {} if segment.own else counts)
        self._succeed()

    def _key(self, segment: Segment) -> str:
        segment_id, now = segment.segment_id, datetime.now(UTC)
        intent = self._cursors.intent(self.name, segment_id) or self._find(segment, now)
        key = self._sink.key_for(segment_id, now)
        if intent and (intent == key or self._sink.exists(intent)):
            return intent
        if intent:  # it was tried in an earlier hour and nothing arrived
            self._sink.discard(intent)
        self._cursors.intend(self.name, segment_id, key)
        return key

    def _find(self, segment: Segment, now: datetime) -> str | None:
        # Whatever was tried since the notes began stands in them; only what is older may have been stored unnoted.
        return self._sink.find(segment.segment_id, now) if segment.created <= self._cursors.born else None


def _counts(receipt: Receipt, *, uncounted: int = 0) -> dict[str, int]:
    return {
        PRODUCED: receipt.lines - uncounted,
        ACKNOWLEDGED: receipt.acknowledged - uncounted,
        DROPPED: receipt.dropped,
        IN_DOUBT: receipt.in_doubt,
        **{DROPPED_FOR + reason: lines for reason, lines in receipt.drops.items()},
        **receipt.notes,
    }


def _counts_of_own(receipt: Receipt) -> dict[str, int]:
    """Of the forwarder's own lines none is counted, but what a receipt says of lines that were held before is."""
    return _counts(receipt, uncounted=receipt.lines) if receipt.held < 0 else {}
