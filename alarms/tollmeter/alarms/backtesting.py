"""What an alarm would have done: its definition evaluated over the minutes that the lake holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tollmeter.alarms.definition import Alarm, alarm_names, load_alarm
from tollmeter.alarms.evaluate import ALARM, datapoint, states
from tollmeter.model.errors import UnknownNameError, UsageError
from tollmeter.model.home import Home

_QUERY: Final = "minute_counts"
_COLUMNS: Final = {
    "llm.calls": "calls",
    "llm.errors": "errors",
    "llm.throttles": "throttles",
    "llm.partial": "partial_calls",
    "llm.unpriced_calls": "unpriced_calls",
}
"""Where the per-minute query holds each metric."""

_WEEK: Final = timedelta(days=7)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_END: Final = datetime(2200, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Firing:
    """One time in ALARM, UTC; `end` is None while it lasts at the end of the history. `peak` is in percent."""

    start: datetime
    end: datetime | None
    duration_s: float
    peak: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """One alarm over one span of history, UTC; `pages` counts firings of an alarm whose severity is page.

    `firings_per_week` takes a span of less than a day as a day.
    """

    alarm: str
    start: datetime | None
    end: datetime | None
    periods: int
    periods_with_data: int
    firings: tuple[Firing, ...]
    pages: int
    firings_per_week: float


@dataclass(frozen=True, slots=True)
class Minute:
    """Counts of one minute: the signal's numerator and denominator."""

    start: datetime
    share: int
    of: int


def backtest(
    home: Home,
    *,
    names: Iterable[str] | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    service: str = "",
    environment: str = "",
) -> list[Backtest]:
    """Each alarm (all that ship, unless named) over the lake's history.

    `since` and `until` default to the first and last minute with a call. An alarm watches one service in one
    environment; leaving those empty takes the whole lake as one.

    Raises:
        UnknownNameError: there is no alarm of that name, or the lake keeps no minutes of a metric it watches.
        SettingError: `since` or `until` is not a time.
        UsageError: `since` is not before `until`.
    """
    from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine
    from tollmeter.sql.named import load

    alarms = [load_alarm(name) for name in names or alarm_names()]
    given = {"since": since or _EPOCH, "until": until or _END, "service": service, "environment": environment}
    bounds = load(_QUERY).bind(given)
    if since and until and not bounds["since"] < bounds["until"]:  # type: ignore[operator] # both are timestamps
        raise UsageError(f"from {bounds['since']} is not before to {bounds['until']}")
    with open_engine(ENGINE_DUCKDB, home) as engine:
        rows = engine.query(_QUERY, **bounds).to_pylist()
    first = bounds["since"] if since else None
    last = bounds["until"] if until else None
    return [evaluate(alarm, minutes_of(alarm, rows), first, last) for alarm in alarms]  # type: ignore[arg-type]


def minutes_of(alarm: Alarm, rows: Iterable[dict[str, Any]]) -> list[Minute]:
    """The rows of the per-minute query as the counts that an alarm watches.

    Raises:
        UnknownNameError: the query holds no column of a metric it watches.
    """
    for name in (alarm.signal.share, alarm.signal.of):
        if name not in _COLUMNS:
            raise UnknownNameError("per-minute history of metric", name, _COLUMNS)
    share, of = _COLUMNS[alarm.signal.share], _COLUMNS[alarm.signal.of]
    return [Minute(row["minute"], row[share], row[of]) for row in rows]


def evaluate(
    alarm: Alarm, minutes: list[Minute], since: datetime | None = None, until: datetime | None = None
) -> Backtest:
    """An alarm over minutes in order; periods between `since` and `until` without any are missing data."""
    if not minutes and not (since and until):
        return Backtest(alarm.name, since, until, 0, 0, (), 0, 0.0)
    step = timedelta(seconds=alarm.period_s)
    start = _floor(since or minutes[0].start, step)
    end = until or minutes[-1].start + timedelta(minutes=1)
    points = list(_points(alarm, minutes, start, end))
    firings = tuple(_firings(alarm, points))
    return Backtest(
        alarm=alarm.name,
        start=start,
        end=end,
        periods=len(points),
        periods_with_data=sum(value is not None for _, value in points),
        firings=firings,
        pages=len(firings) if alarm.severity == "page" else 0,
        firings_per_week=len(firings) / max((end - start) / _WEEK, 1 / 7),
    )


def _points(
    alarm: Alarm, minutes: list[Minute], start: datetime, end: datetime
) -> Iterator[tuple[datetime, float | None]]:
    step = timedelta(seconds=alarm.period_s)
    share, of = Counter[datetime](), Counter[datetime]()
    for minute in minutes:
        period = _floor(minute.start, step)
        share[period] += minute.share
        of[period] += minute.of
    while start < end:
        yield start, datapoint(alarm, share[start], of[start])
        start += step


def _firings(alarm: Alarm, points: list[tuple[datetime, float | None]]) -> Iterator[Firing]:
    step = timedelta(seconds=alarm.period_s)
    began, peak = None, 0.0
    for (period, value), state in zip(points, states(alarm, (value for _, value in points)), strict=True):
        # A period is judged when it is over.
        now = period + step
        if state == ALARM:
            began = began or now
            peak = max(peak, value or 0.0)
        elif began:
            yield Firing(began, now, (now - began).total_seconds(), peak)
            began, peak = None, 0.0
    if began:
        end = points[-1][0] + step
        yield Firing(began, None, (end - began).total_seconds(), peak)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % step
