"""What sinks of metrics share: lines in, points by minute out, never twice and never as of now."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tollmeter.exporters.derive.decode import decoded
from tollmeter.exporters.derive.dimensions import DimensionBudget
from tollmeter.exporters.derive.metrics import Aggregator, Pairs, Points
from tollmeter.exporters.sinks.base import EARLY, INVALID, LATE, NOTHING, InDoubtError, Receipt

if TYPE_CHECKING:
    from tollmeter.model.events import Event
    from tollmeter.model.metric_names import Alias
    from tollmeter.model.settings import Settings

logger: Final = logging.getLogger("tollmeter")
FOLDED: Final = "folded_"
"""With the field behind it: label values beyond the budget that were sent as `other`."""

_DAY_S: Final = 86400.0
_MAX_COUNTED: Final = 10_000


class MetricSink(ABC):
    """A line sink that sends metric points; a subclass says how, and how old they may be.

    Args:
        settings: for the interval.
        budget: which label values are kept.
        aliases: further names some metrics are sent under.
    """

    name: str
    durable = False
    batch_bytes = 4 << 20
    oldest_s: float = 14 * _DAY_S
    farthest_s: float = 7200.0

    def __init__(self, settings: Settings, budget: DimensionBudget, aliases: Iterable[Alias]) -> None:
        self.interval_s = settings.metric_interval_s
        self.budget = budget
        self.aggregator = Aggregator(budget.admit, aliases)
        self._series: dict[str, set[Pairs]] = {}
        self._unsaved = False

    @abstractmethod
    def fits(self, points: Points) -> bool:
        """Whether all points go in one call."""

    @abstractmethod
    def post(self, points: Points) -> None:
        """Send points in one call, in bounded time.

        Raises:
            InDoubtError: they may have arrived.
            Exception: none arrived.
        """

    def close(self) -> None:  # noqa: B027  a sink that keeps nothing open has nothing to close
        """Let go of what is open."""

    def flush(self, *, final: bool) -> Receipt:
        """Nothing is held."""
        del final
        return NOTHING

    def send(self, lines: list[bytes]) -> Receipt:
        """Send the points of the lines, in as many calls as they need; stops at the first that fails.

        Raises:
            Exception: the first call failed, and nothing arrived.
        """
        done, folded = Receipt(acknowledged=0), Counter[str]()
        waiting = [lines]
        while waiting:
            part = waiting.pop()
            self.budget.folded.clear()
            events, drops = self._timely(part)
            points = self.aggregator.points(events)
            if not self.fits(points) and len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
                continue
            sent = self._post(points, len(events), drops, first=not done.lines)
            done = _sum(done, sent)
            if sent.lines:
                folded += self.budget.folded
                self._count_series(points)
            if sent.error:
                break
        self._save_budget()
        notes = {FOLDED + field: count for field, count in folded.items()}
        return Receipt(done.acknowledged, done.drops, done.in_doubt, 0, done.error, notes)

    def _save_budget(self) -> None:
        try:
            self.budget.save()
        except OSError as error:  # the points have gone: whatever is raised from here would send them again
            if not self._unsaved:
                self._unsaved = True
                logger.warning("tollmeter: the list of label values cannot be kept: %s", error)

    def _count_series(self, points: Points) -> None:
        for key in (*points.sums, *points.values):
            known = self._series.setdefault(key.name, set())
            if len(known) < _MAX_COUNTED:
                known.add(key.dimensions)
        self.budget.count_series({name: len(known) for name, known in self._series.items()})

    def _post(self, points: Points, events: int, drops: Counter[str], *, first: bool) -> Receipt:
        try:
            if len(points):
                self.post(points)
        except InDoubtError as error:
            return Receipt(0, drops, in_doubt=events, error=f"in doubt: {error}")
        except Exception as error:
            if first:
                raise
            return Receipt(0, error=f"{type(error).__name__}: {error}")
        return Receipt(events, drops)

    def _timely(self, lines: list[bytes]) -> tuple[list[Event], Counter[str]]:
        events, invalid = decoded(lines)
        now = time.time()
        timely: list[Event] = []
        drops = Counter({INVALID: invalid} if invalid else {})
        for event in events:
            age = now - event.timestamp.timestamp()
            if age > self.oldest_s:
                drops[LATE] += 1
            elif age < -self.farthest_s:
                drops[EARLY] += 1
            else:
                timely.append(event)
        return timely, drops


def _sum(one: Receipt, other: Receipt) -> Receipt:
    drops = Counter(one.drops) + Counter(other.drops)
    return Receipt(one.acknowledged + other.acknowledged, drops, one.in_doubt + other.in_doubt, 0, other.error)
