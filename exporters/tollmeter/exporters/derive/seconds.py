"""Seconds for the points of old minutes: Datadog keeps one value for a metric, its tags, the host and a second."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING, Final, NamedTuple

from tollmeter.exporters.derive.metrics import MINUTE_S

if TYPE_CHECKING:
    from tollmeter.exporters.derive.metrics import Key

_MAX_MINUTES: Final = 50_000
_random = SystemRandom()


class _Taken(NamedTuple):
    """The next second of a minute, and the whole of the points that share its last one."""

    second: int
    whole: float | None = None


class Seconds:
    """Gives each point of a minute a second of its own; all that come once but one are taken share the last.

    A shared point is sent again as the whole of those before it, for of two with one time the later alone is kept.
    Minutes begin at a random second, so that forwarders under one Agent seldom meet.
    """

    def __init__(self) -> None:
        self._taken: OrderedDict[Key, _Taken] = OrderedDict()
        self._before: dict[Key, _Taken | None] = {}

    def begin(self) -> None:
        """What is taken from now on may be given back."""
        self._before.clear()

    def give_back(self) -> None:
        """Nothing that was taken since `begin` was sent."""
        for key, before in self._before.items():
            self._taken.pop(key, None)
            if before is not None:
                self._taken[key] = before
        self._before.clear()

    def take(self, key: Key, value: float, joined: Callable[[float, float], float]) -> tuple[int, float]:
        """The time of a point, in epoch seconds, and what to send there; `joined` makes one of two values."""
        before = self._taken.pop(key, None)
        self._before.setdefault(key, before)
        second, whole = before or _Taken(_random.randrange(MINUTE_S // 2))
        if second < MINUTE_S - 1:
            self._taken[key] = _Taken(second + 1)
        else:
            value = value if whole is None else joined(whole, value)
            self._taken[key] = _Taken(second, value)
        if len(self._taken) > _MAX_MINUTES:
            self._taken.popitem(last=False)
        return key.minute + second, value
