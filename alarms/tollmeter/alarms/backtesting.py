"""What an alarm would have done: its definition evaluated over the minutes that the lake holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tollmeter.alarms.definition import Alarm, alarm_names, load_alarm
from tollmeter.alarms.evaluate import ALARM
from tollmeter.alarms.history import ARRIVAL_EVENT, minutes_of, read_history
from tollmeter.alarms.periods import MINUTE, Evaluation, Minute, evaluations, full_minute
from tollmeter.model.home import Home

_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Firing:
    """One time in ALARM, UTC; `end` is None while it lasts at the end of the history. `peak` is in percent."""

    start: datetime
    end: datetime | None
    duration_s: float
    peak: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """One alarm over one span of history, UTC, evaluated every minute as CloudWatch does.

    `evaluations_with_data` counts those whose newest period held data; `pages` counts firings of an alarm whose
    severity is page. `firings_per_week` takes a span of less than a day as a day.
    """

    alarm: str
    start: datetime | None
    end: datetime | None
    evaluations: int
    evaluations_with_data: int
    firings: tuple[Firing, ...]
    pages: int
    firings_per_week: float


def backtest(
    home: Home,
    *,
    names: Iterable[str] | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    service: str = "",
    environment: str = "",
    arrival: str = ARRIVAL_EVENT,
) -> list[Backtest]:
    """Each alarm (all that ship, unless named) over the lake's history.

    `since` and `until` default to the first and last minute with a call. An alarm watches one service in one
    environment; leaving those empty takes the whole lake as one. `arrival` says when a minute is known: `event`, once
    it is over; `lake`, from when its events were in the lake.

    Raises:
        UnknownNameError: there is no alarm of that name, or the lake keeps no minutes of a metric it watches.
        SettingError: `since` or `until` is not a time, or `arrival` is not allowed.
        UsageError: `since` is not before `until`.
    """
    alarms = [load_alarm(name) for name in names or alarm_names()]
    found = read_history(home, alarms, since=since, until=until, service=service, environment=environment)
    return [evaluate(alarm, minutes_of(alarm, found.rows, arrival), found.since, found.until) for alarm in alarms]


def evaluate(
    alarm: Alarm, minutes: list[Minute], since: datetime | None = None, until: datetime | None = None
) -> Backtest:
    """An alarm over minutes in order; periods between `since` and `until` without any are missing data."""
    if not minutes and not (since and until):
        return Backtest(alarm.name, since, until, 0, 0, (), 0, 0.0)
    start = full_minute(since or minutes[0].start)
    end = until or minutes[-1].start + MINUTE
    tally = _Tally()
    for evaluation in evaluations(alarm, minutes, start + MINUTE, full_minute(end)):
        tally.add(evaluation)
    firings = tally.close()
    return Backtest(
        alarm=alarm.name,
        start=start,
        end=end,
        evaluations=tally.evaluations,
        evaluations_with_data=tally.with_data,
        firings=firings,
        pages=len(firings) if alarm.severity == "page" else 0,
        firings_per_week=len(firings) / max((end - start) / _WEEK, 1 / 7),
    )


@dataclass(slots=True)
class _Tally:
    """Counts evaluations as they come, and gathers those in ALARM to firings."""

    evaluations: int = 0
    with_data: int = 0
    _firings: list[Firing] = field(default_factory=list[Firing])
    _began: datetime | None = None
    _peak: float = 0.0
    _last: datetime | None = None

    def add(self, one: Evaluation) -> None:
        self.evaluations += 1
        self.with_data += one.value is not None
        self._last = one.at
        if one.verdict.state == ALARM:
            self._began = self._began or one.at
            self._peak = max(self._peak, one.value or 0.0)
        elif self._began:
            self._note(self._began, one.at)

    def close(self) -> tuple[Firing, ...]:
        if self._began:
            self._note(self._began, None)
        return tuple(self._firings)

    def _note(self, began: datetime, end: datetime | None) -> None:
        over = end or self._last or began
        self._firings.append(Firing(began, end, (over - began).total_seconds(), self._peak))
        self._began, self._peak = None, 0.0
