"""Nothing of ours raises into the host: faults are counted by reason and logged once per reason."""

from __future__ import annotations

import functools
import logging
import os
import threading
import traceback
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from tollmeter.model.errors import SpendLimitError

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")

logger: Final = logging.getLogger("tollmeter")


class Losses:
    """Counts of what was lost, by reason; they ride on the next event that is written."""

    def __init__(self) -> None:
        # Counting may set off the garbage collector, and with it the end of a call, which counts in the same thread.
        self._lock = threading.RLock()
        self.counts: dict[str, int] = {}
        """Since the last event."""
        self._logged: set[str] = set()

    def add(self, reason: str, count: int = 1) -> None:
        """Count a loss."""
        with self._lock:
            self.counts[reason] = self.counts.get(reason, 0) + count

    def fault(self, where: str, error: BaseException) -> None:
        """Count a fault of our own; the first of its kind is logged with its traceback.

        What the exception says is left out: it may hold what a header or a prompt held.
        """
        reason = f"internal:{where}:{type(error).__name__}"[:128]
        self.add(reason)
        if reason not in self._logged:
            self._logged.add(reason)
            logger.warning(
                "tollmeter: %s failed; counted, further ones are not logged\n%s%s",
                where,
                "".join(traceback.format_tb(error.__traceback__)),
                type(error).__name__,
            )

    def forget_in_child(self) -> None:
        """After a fork: the parent tells its own losses, and a thread of it may have held the lock."""
        self._lock = threading.RLock()
        self.counts = {}

    def take(self) -> dict[str, int]:
        """The counts since the last call, which are forgotten here."""
        if not self.counts:
            return {}
        fresh: dict[str, int] = {}
        with self._lock:
            counts, self.counts = self.counts, fresh
        return counts

    def put_back(self, counts: dict[str, int]) -> None:
        """Counts whose event was itself lost."""
        for reason, count in counts.items():
            self.add(reason, count)


losses: Final = Losses()
"""Of this process."""

os.register_at_fork(after_in_child=losses.forget_in_child)


def guarded(default: D) -> Callable[[Callable[P, R]], Callable[P, R | D]]:
    """Wrap a function so that any exception but `SpendLimitError` is counted and `default` returned instead.

    >>> @guarded(default=0)
    ... def broken() -> int:
    ...     return 1 // 0
    >>> logger.disabled = True
    >>> broken()
    0
    >>> losses.take()
    {'internal:broken:ZeroDivisionError': 1}
    >>> logger.disabled = False
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | D]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | D:
            try:
                return function(*args, **kwargs)
            except SpendLimitError:
                raise  # the one thing that the application asked to be raised
            except Exception as error:  # noqa: BLE001  the host must not feel it; it is counted and logged
                losses.fault(function.__name__, error)
                return default

        return wrapper

    return decorate
