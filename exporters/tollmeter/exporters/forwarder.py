"""The forwarder: takes over what dead writers left, feeds every sink at its own pace, deletes what all have passed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Final

from tollmeter.exporters.cursor import Cursors
from tollmeter.exporters.feed import Feed, LineFeed, SegmentFeed, logger
from tollmeter.exporters.lock import exclusive
from tollmeter.exporters.reader import Segment, SpoolReader
from tollmeter.exporters.report import Report
from tollmeter.exporters.self_report import SelfReport
from tollmeter.exporters.sinks import open_sinks
from tollmeter.exporters.sinks.base import SegmentSink, Sink
from tollmeter.exporters.worker import Worker
from tollmeter.model.errors import TransientError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings

FOLDER: Final = "forward"
_CURSORS: Final = "cursors.sqlite"
_LOCK: Final = "lock"
_PAUSE_AFTER_FAULT_S: Final = 5.0


class Forwarder:
    """Ships the spool of one home to the sinks the settings name, or to those given.

    Raises:
        SettingError: no sink is named.
        UnknownNameError: there is no sink of that name.
        MissingExtraError: a sink needs a package that is not installed.
    """

    def __init__(self, home: Home, settings: Settings, *, sinks: Sequence[Sink] | None = None) -> None:
        self._home = home
        self._settings = settings
        self._sinks = list(sinks) if sinks is not None else open_sinks(home, settings)
        self._reader = SpoolReader(home.spool)

    def run_once(self, *, final: bool = False) -> Report:
        """Forward until nothing is left that can be forwarded now; with `final`, only segments that are closed.

        Raises:
            LockedError: another forwarder works on this home.
            TransientError: the spool cannot be listed, or the state not be written.
        """
        with self._shift() as shift:
            shift.drain(closed_only=final, hurry=True)
            if shift.self_report.tell(shift.lag_ms(), force=False):
                shift.self_report.close()
                shift.drain(closed_only=final, hurry=True)
            return shift.end()

    def run(self, stop: Event, *, grace_s: float = 5.0) -> Report:
        """Forward until `stop` is set, then once more for at most `grace_s` seconds.

        Raises:
            LockedError: another forwarder works on this home.
        """
        with self._shift() as shift:
            while not stop.is_set():
                stop.wait(self._step(shift, stop))
            self._step(shift, deadline=time.monotonic() + grace_s)
            shift.self_report.tell(shift.lag_ms(), force=False)
            return shift.end()

    def _step(self, shift: Shift, stop: Event | None = None, deadline: float = float("inf")) -> float:
        patience_s = self._settings.forward_interval_s if stop else float("inf")
        try:
            shift.drain(stop=stop, deadline=deadline, patience_s=patience_s, hurry=stop is None)
            shift.self_report.tick(shift.lag_ms)
        except (OSError, sqlite3.Error) as error:  # a full disk, a folder out of reach: it may pass
            logger.warning("tollmeter: forwarding pauses: %s: %s", type(error).__name__, error)
            return _PAUSE_AFTER_FAULT_S
        return self._settings.forward_interval_s

    @contextmanager
    def _shift(self) -> Iterator[Shift]:
        state = self._home.state / FOLDER
        with _transient(), ExitStack() as stack:
            stack.enter_context(exclusive(state / _LOCK))
            cursors = Cursors(state / _CURSORS)
            stack.callback(cursors.close)
            for sink in self._sinks:
                stack.callback(sink.close)
            shift = Shift(self._home, self._settings, self._reader, cursors, self._sinks)
            stack.callback(shift.self_report.close)
            stack.callback(shift.stop)
            yield shift


class Shift:
    """One holding of the lock: the feeds, and the rounds they make."""

    def __init__(
        self, home: Home, settings: Settings, reader: SpoolReader, cursors: Cursors, sinks: Sequence[Sink]
    ) -> None:
        self.self_report = SelfReport(home.spool, settings, cursors)
        self._max_lag_s = settings.sink_max_lag_s
        self._reader = reader
        self._cursors = cursors
        self._feeds = [_feed(sink, cursors) for sink in sinks]
        self._workers = [Worker(feed) for feed in self._feeds]
        self._segments: list[Segment] = []
        self._before = cursors.totals()
        self._began = time.monotonic()
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

    def lag_ms(self) -> dict[str, float]:
        """Age of the oldest event each sink has not passed, leaving out the forwarder's own events."""
        theirs = [segment for segment in self._segments if not segment.own]
        now = time.time()
        return {feed.name: 1000 * feed.lag_s(theirs, now) for feed in self._feeds}

    def report(self) -> Report:
        """What happened since the lock was taken."""
        counts = {name: total - self._before.get(name, 0) for name, total in self._cursors.totals().items()}
        return Report(
            sinks=tuple(feed.name for feed in self._feeds),
            counts={name: count for name, count in counts.items() if count},
            held=self._cursors.held(),
            lag_ms=self.lag_ms(),
            errors={feed.name: feed.error for feed in self._feeds if feed.error},
            waiting=len(self._segments),
            seconds=time.monotonic() - self._began,
        )

    def _round(self, deadline: float, *, closed_only: bool, hurry: bool) -> bool:
        self._adopt()
        self._segments = self._reader.segments(closed_only=closed_only)
        for worker in self._workers:
            worker.offer(self._segments, hurry=hurry)
        done = [worker for worker in self._workers if worker.wait(deadline)]
        self._give_up([worker.feed for worker in done])
        self._delete()
        return any(worker.more for worker in done)

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
        passed = [s for s in free if all(feed.passed(s) for feed in self._feeds)]
        for segment in passed:
            segment.path.unlink(missing_ok=True)
        gone = {segment.segment_id for segment in passed}
        self._cursors.forget(gone)
        self._segments = [segment for segment in self._segments if segment.segment_id not in gone]


@contextmanager
def _transient() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise TransientError(f"the forwarder cannot work: {error}") from error


def _feed(sink: Sink, cursors: Cursors) -> Feed:
    return SegmentFeed(sink, cursors) if isinstance(sink, SegmentSink) else LineFeed(sink, cursors)
