"""Answers that were given before: bounded in bytes and age, and each question asked once however many wait for it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import CancelledError

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.sql.cancelling import Cancel

_LOOK_S: Final = 0.1
_KEY_BYTES: Final = 512  # of what is kept beside a table's own bytes, about


@dataclass(slots=True)
class _Flight:
    """A question that is being asked."""

    ended: threading.Event = field(default_factory=threading.Event)
    answer: pa.Table | None = None
    error: Exception | None = None


class Answers:
    """Least recently used answers to questions, at most `max_bytes` of them, forgotten after `max_age_s`.

    Safe to share between threads.
    """

    def __init__(self, max_bytes: int, max_age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes, self._max_age_s, self._clock = max_bytes, max_age_s, clock
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[float, pa.Table]] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """What the answers take."""
        return self._bytes

    def get(self, key: Hashable, ask: Callable[[], pa.Table], cancel: Cancel | None = None) -> pa.Table:
        """The answer held for `key`, else that of whoever is asking already, else what `ask` returns.

        Raises:
            CancelledError: `cancel` was called; one who waits for another's asking leaves that alone.
        """
        while True:
            with self._lock:
                if (held := self._fresh(key)) is not None:
                    return held
                flight = self._flights.get(key)
                mine = flight is None
                if flight is None:
                    flight = self._flights[key] = _Flight()
            if mine:
                return self._fly(key, flight, ask)
            if (answer := _waited(flight, cancel)) is not None:
                return answer

    def _fresh(self, key: Hashable) -> pa.Table | None:
        made_at, answer = self._held.get(key, (0.0, None))
        if answer is None:
            return None
        if self._clock() - made_at >= self._max_age_s:
            self._drop(key)
            return None
        self._held.move_to_end(key)
        return answer

    def _fly(self, key: Hashable, flight: _Flight, ask: Callable[[], pa.Table]) -> pa.Table:
        try:
            flight.answer = answer = ask()
        except Exception as error:
            flight.error = error
            raise
        else:
            with self._lock:
                self._keep(key, answer)
            return answer
        finally:
            with self._lock:
                del self._flights[key]
            flight.ended.set()

    def _keep(self, key: Hashable, answer: pa.Table) -> None:
        if _size(answer) > self._max_bytes:
            return
        self._drop(key)
        self._held[key] = (self._clock(), answer)
        self._bytes += _size(answer)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._held)))

    def _drop(self, key: Hashable) -> None:
        if held := self._held.pop(key, None):
            self._bytes -= _size(held[1])


def _waited(flight: _Flight, cancel: Cancel | None) -> pa.Table | None:
    """The answer of another's asking; None where they gave up, so that it is to be asked anew."""
    while not flight.ended.wait(_LOOK_S):
        if cancel:
            cancel.check()
    if flight.error and not isinstance(flight.error, CancelledError):
        raise flight.error
    return flight.answer


def _size(answer: pa.Table) -> int:
    return int(answer.nbytes) + _KEY_BYTES
