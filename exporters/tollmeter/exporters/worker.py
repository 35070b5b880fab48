"""A thread for each feed: a sink that hangs holds nobody but itself."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from threading import Condition, Thread

from tollmeter.exporters.feed import Feed
from tollmeter.exporters.reader import Segment


class Worker:
    """Gives one feed its turns, one at a time; `more` says whether the last one left something to deliver now.

    The thread is a daemon: one that hangs in a sink does not keep the process. What it was sending is then in doubt.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.more = False
        self._state = Condition()
        self._offer: Sequence[Segment] | None = None
        self._hurry = False
        self._since = 0.0
        self._stopped = False
        self._thread = Thread(target=self._work, name=f"tollmeter-{feed.name}", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self._offer is not None

    @property
    def busy_s(self) -> float:
        """How long the turn under way has taken so far; 0 between turns."""
        return time.monotonic() - self._since if self.busy else 0.0

    @property
    def hands(self) -> Sequence[Segment]:
        """The segments of the turn under way: what is remembered of them must stay."""
        return self._offer or ()

    def offer(self, segments: Sequence[Segment], *, hurry: bool) -> None:
        """Start a turn on these segments, unless one is under way."""
        with self._state:
            if self._offer is None:
                self._since = time.monotonic()
                self._offer, self._hurry = segments, hurry
                self._state.notify_all()

    def wait(self, deadline: float) -> bool:
        """Wait for the turn to end, until the deadline (monotonic) at most; whether it has."""
        with self._state:
            return self._state.wait_for(lambda: self._offer is None, max(0.0, min(deadline - time.monotonic(), 3600.0)))

    def stop(self) -> None:
        """Take no more turns; one under way goes on."""
        with self._state:
            self._stopped = True
            self._state.notify_all()

    def _work(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._offer is not None or self._stopped)
                if self._offer is None:
                    return
                segments, hurry = self._offer, self._hurry
            try:
                more = self.feed.turn(segments, hurry=hurry)
            except sqlite3.ProgrammingError:  # it outlived the shift: its notes are closed, and it is in doubt
                return
            with self._state:
                self.more, self._offer = more, None
                self._state.notify_all()
