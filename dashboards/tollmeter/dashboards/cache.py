"""A small cache of answers: keyed by what was asked and the snapshot it was asked of, bounded in number and age."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Cache(Generic[Answer]):
    """Least recently used answers, forgotten after `seconds`; safe to share between threads.

    >>> cache = Cache[int](size=2, seconds=60)
    >>> cache.get("a", lambda: 1), cache.get("a", lambda: 2)
    (1, 1)
    """

    def __init__(self, size: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._seconds, self._clock = size, seconds, clock
        self._held: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Answer]) -> Answer:
        """The answer held for `key`, else what `make` returns; two threads may both make, none waits for the other."""
        with self._lock:
            held = self._held.get(key)
            if held and self._clock() - held[0] < self._seconds:
                self._held.move_to_end(key)
                return held[1]
        answer = make()
        with self._lock:
            self._held[key] = (self._clock(), answer)
            self._held.move_to_end(key)
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        return answer
