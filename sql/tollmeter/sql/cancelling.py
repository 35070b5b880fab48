"""A way to end a statement from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tollmeter.model.errors import CancelledError

_WAITS_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class _Running:
    """One statement that can be ended."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop, self._lock, self._ended = stop, threading.Lock(), threading.Event()

    def end(self) -> None:
        """Tell it to end until it has: what is said between its registering and its first step goes unheard."""
        for wait_s in _WAITS_S:
            with self._lock:
                if self._ended.is_set():
                    return
                self._stop()
            if self._ended.wait(wait_s):
                return

    def has_ended(self) -> None:
        """It has; after this nothing is told any more, for it might reach the next statement."""
        with self._lock:
            self._ended.set()


class Cancel:
    """Handed to an engine with a statement; `now` ends the statement, and refuses those that come later.

    >>> cancel = Cancel()
    >>> cancel.now()
    >>> with cancel.stoppable(lambda: None):
    ...     pass
    Traceback (most recent call last):
    tollmeter.model.errors.CancelledError: the query was cancelled
    """

    def __init__(self) -> None:
        self._called = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[_Running, None] = {}

    @property
    def called(self) -> bool:
        """Whether it was asked for."""
        return self._called.is_set()

    def check(self) -> None:
        """Raises CancelledError if it was asked for."""
        if self.called:
            raise CancelledError("the query was cancelled")

    def wait(self, seconds: float) -> bool:
        """Wait until it is asked for, at most so long; returns whether it was."""
        return self._called.wait(seconds)

    def now(self) -> None:
        """End what runs, wait for its end for some seconds at most, and let nothing begin any more."""
        with self._lock:
            self._called.set()
            running = list(self._running)
        for each in running:
            each.end()

    @contextmanager
    def stoppable(self, stop: Callable[[], None]) -> Iterator[None]:
        """Around a statement: `stop` ends it from another thread, and does no harm before it runs or after it.

        Raises:
            CancelledError: it was asked for before or meanwhile, whatever the statement itself says of its end.
        """
        running = _Running(stop)
        with self._lock:
            self.check()
            self._running[running] = None
        try:
            yield
        except Exception as error:
            if self.called:
                raise CancelledError("the query was cancelled") from error
            raise
        finally:
            with self._lock:
                del self._running[running]
            running.has_ended()


@contextmanager
def stoppable(cancel: Cancel | None, stop: Callable[[], None]) -> Iterator[None]:
    """As `Cancel.stoppable`, where there may be none."""
    if cancel is None:
        yield
        return
    with cancel.stoppable(stop):
        yield
