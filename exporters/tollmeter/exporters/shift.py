"""One holding of the forwarder's lock: the feeds, and the rounds they make."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from threading import Event
from typing import Final

from tollmeter.exporters.cursor import Cursors
from tollmeter.exporters.feed import Feed, LineFeed, SegmentFeed, logger
from tollmeter.exporters.health import Health
from tollmeter.exporters.reader import Segment, SpoolReader, count_lines
from tollmeter.exporters.report import Left, Report, Standing
from tollmeter.exporters.self_report import SelfReport
from tollmeter.exporters.sinks.base import SegmentSink, Sink
from tollmeter.exporters.worker import Worker
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

_BEAT_S: Final = 0.5
_HANGING_S: Final = 60.0
"""A call longer than any sink's own bound: the sink counts as failing."""


class Shift:
    """Rounds over the spool until it is let go; `health` is told of each."""

    def __init__(
        self, home: Home, settings: Settings, reader: SpoolReader, cursors: Cursors, sinks: Sequence[Sink]
    ) -> None:
        self.self_report = SelfReport(home.spool, settings, cursors)
        self.health = Health(settings)
        self._max_lag_s = settings.sink_max_lag_s
        self._reader = reader
        self._cursors = cursors
        self._feeds = [feed_of(sink, cursors) for sink in sinks]
        self._workers = [Worker(feed) for feed in self._feeds]
        self._segments: list[Segment] = []
        self._undeletable: set[str] = set()
        self._before = cursors.totals()
        self._began = time.monotonic()
        self._beaten = float("-inf")
        reader.sweep()
        cursors.forget(segment for segment in cursors.known() if not reader.exists(segment))

    def drain(
        self,
        *,
        stop: Event | None = None,
        deadline: float = float("inf"),
        patience_s: float = float("inf"),
        closed_only: bool = False,
        hurry: bool = False,
    ) -> None:
        """Make rounds until no feed has more to deliver now, `stop` is set or the deadline (monotonic) has passed.

        A round waits `patience_s` for its feeds, then goes on with those that are done.
        """
        while self._round(min(deadline, time.monotonic() + patience_s), closed_only=closed_only, hurry=hurry):
            if time.monotonic() > deadline or (stop and stop.is_set()):
                return

    def done(self, *, hand_over: bool) -> bool:
        """Whether nothing is left to wait for: no service has a segment open, and every sink has passed all.

        With `hand_over` open segments are left to the next forwarder.
        """
        if any(worker.busy for worker in self._workers) or any(self._cursors.held().values()):
            return False
        theirs = [segment for segment in self._theirs() if segment.closed or not hand_over]
        return all(segment.closed for segment in theirs) and all(feed.passed(s) for feed in self._feeds for s in theirs)

    def stop(self) -> None:
        """Give no more turns."""
        for worker in self._workers:
            worker.stop()

    def end(self) -> Report:
        """Stop, and say what happened since the lock was taken; what a sink still holds is in doubt."""
        self.stop()
        for worker in self._workers:
            if not worker.busy:
                worker.feed.forget_held()
        return self.report()

    def standings(self) -> dict[str, Standing]:
        """How each sink stands, leaving out the forwarder's own events."""
        theirs, held, now = self._theirs(), self._cursors.held(), time.time()
        return {worker.feed.name: _standing(worker, theirs, held, now) for worker in self._workers}

    def report(self) -> Report:
        """What happened since the lock was taken."""
        counts = {name: total - self._before.get(name, 0) for name, total in self._cursors.totals().items()}
        return Report(
            sinks=tuple(feed.name for feed in self._feeds),
            counts={name: count for name, count in counts.items() if count},
            held=self._cursors.held(),
            lag_ms={name: standing.lag_ms for name, standing in self.standings().items()},
            errors={feed.name: feed.error for feed in self._feeds if feed.error},
            left=left_behind(self._feeds, self._theirs()),
            waiting=len(self._segments),
            seconds=time.monotonic() - self._began,
        )

    def _theirs(self) -> list[Segment]:
        return [segment for segment in self._segments if not segment.own]

    def _round(self, deadline: float, *, closed_only: bool, hurry: bool) -> bool:
        self._adopt()
        self._segments = self._reader.segments(closed_only=closed_only)
        for worker in self._workers:
            worker.offer(self._segments, hurry=hurry)
        done = [worker for worker in self._workers if worker.wait(deadline)]
        self._give_up([worker.feed for worker in done])
        self._delete()
        self._beat()
        return any(worker.more for worker in done)

    def _beat(self) -> None:
        if (now := time.monotonic()) - self._beaten >= _BEAT_S:
            self._beaten = now
            self.health.beat(self.standings())

    def _adopt(self) -> None:
        adoption = self._reader.adopt()
        counts = {
            "segments_adopted": adoption.segments,
            "torn_lines": adoption.torn_lines,
            "torn_bytes": adoption.torn_bytes,
            "adoptions_failed": adoption.failures,
        }
        if any(counts.values()):
            self._cursors.add(counts)

    def _give_up(self, resting: Sequence[Feed]) -> None:
        stored = [feed for feed in self._feeds if feed.durable]
        now = time.time()
        for segment in self._segments:
            if segment.closed and all(feed.passed(segment) for feed in stored):
                for feed in resting:
                    if isinstance(feed, LineFeed) and not feed.durable and feed.overdue(segment, self._max_lag_s, now):
                        feed.give_up(segment)

    def _delete(self) -> None:
        in_hand = {segment.segment_id for worker in self._workers for segment in worker.hands}
        free = [s for s in self._segments if s.closed and s.segment_id not in in_hand]
        gone = {s.segment_id for s in free if all(feed.passed(s) for feed in self._feeds) and self._deleted(s)}
        self._cursors.forget(gone)
        self._segments = [segment for segment in self._segments if segment.segment_id not in gone]

    def _deleted(self, segment: Segment) -> bool:
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:  # another user's folder: it stays, with the note that all have passed it
            if segment.segment_id not in self._undeletable:
                self._undeletable.add(segment.segment_id)
                self._cursors.add({"deletions_failed": 1})
                logger.warning("tollmeter: segment %s cannot be deleted: %s", segment.path, error)
            return False
        return True


def left_behind(feeds: Sequence[Feed], segments: Sequence[Segment]) -> dict[str, Left]:
    """What each feed has not passed; nothing of those that passed all."""

    @cache
    def lines(segment: Segment, offset: int) -> int:
        try:
            return count_lines(segment, offset)
        except OSError:  # closed or deleted meanwhile, or unreadable: its bytes are told
            return 0

    now = time.time()
    return {
        feed.name: Left(
            sum(lines(segment, feed.offset(segment)) for segment in segments if not feed.passed(segment)),
            *waiting,
        )
        for feed in feeds
        if any(waiting := feed.waiting(segments, now))
    }


def _standing(worker: Worker, segments: Sequence[Segment], held: Mapping[str, int], now: float) -> Standing:
    feed, busy_s = worker.feed, worker.busy_s
    waiting_bytes, lag_s = feed.waiting(segments, now)
    return Standing(
        durable=feed.durable,
        lag_ms=1000 * lag_s,
        waiting_bytes=waiting_bytes,
        held=held.get(feed.name, 0),
        error=feed.error,
        failing_s=max(feed.failing_s, busy_s if busy_s > _HANGING_S else 0.0),
    )


def feed_of(sink: Sink, cursors: Cursors) -> Feed:
    """The feed for a sink of its kind."""
    return SegmentFeed(sink, cursors) if isinstance(sink, SegmentSink) else LineFeed(sink, cursors)
