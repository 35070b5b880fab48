"""The minutes of the lake that alarms watch, and from when each was known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tollmeter.alarms.definition import Alarm
from tollmeter.alarms.evaluate import rule_of
from tollmeter.alarms.periods import EPOCH, MINUTE, Minute
from tollmeter.model.errors import SettingError, UnknownNameError, UsageError
from tollmeter.model.home import Home

ARRIVAL_EVENT: Final = "event"
ARRIVAL_LAKE: Final = "lake"
ARRIVALS: Final = (ARRIVAL_EVENT, ARRIVAL_LAKE)
"""When a minute is known: once it is over, or from when its events were in the lake."""

_QUERY: Final = "minute_counts"
_COLUMNS: Final = {
    "llm.calls": "calls",
    "llm.errors": "errors",
    "llm.throttles": "throttles",
    "llm.partial": "partial_calls",
    "llm.unpriced_calls": "unpriced_calls",
}
"""Where the per-minute query holds each metric."""

_END: Final = datetime(2200, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class History:
    """Rows of the per-minute query, oldest first, and the span asked for, UTC: None where an end was left open.

    Rows begin before the span, by what the first evaluation looks back.
    """

    rows: list[dict[str, Any]]
    since: datetime | None
    until: datetime | None


def read_history(
    home: Home,
    alarms: Iterable[Alarm],
    *,
    since: str | datetime | None,
    until: str | datetime | None,
    service: str,
    environment: str,
) -> History:
    """What the lake holds of a span, of one service in one environment, or of all where those are empty.

    Raises:
        SettingError: `since` or `until` is not a time.
        UsageError: `since` is not before `until`.
    """
    from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine
    from tollmeter.sql.named import load

    given = {"since": since or EPOCH, "until": until or _END, "service": service, "environment": environment}
    bounds: dict[str, Any] = load(_QUERY).bind(given)
    first, last = bounds["since"] if since else None, bounds["until"] if until else None
    if first and last and not first < last:
        raise UsageError(f"from {first} is not before to {last}")
    if first:
        bounds["since"] = first - max((_looks_back(alarm) for alarm in alarms), default=MINUTE)
    with open_engine(ENGINE_DUCKDB, home) as engine:
        return History(engine.query(_QUERY, **bounds).to_pylist(), first, last)


def minutes_of(alarm: Alarm, rows: Iterable[dict[str, Any]], arrival: str = ARRIVAL_EVENT) -> list[Minute]:
    """The rows of the per-minute query as the counts that an alarm watches.

    Raises:
        SettingError: `arrival` is none of `ARRIVALS`.
        UnknownNameError: the query holds no column of a metric it watches.
    """
    if arrival not in ARRIVALS:
        raise SettingError("arrival", arrival, "one of " + ", ".join(ARRIVALS))
    for name in (alarm.signal.share, alarm.signal.of):
        if name not in _COLUMNS:
            raise UnknownNameError("per-minute history of metric", name, _COLUMNS)
    share, of = _COLUMNS[alarm.signal.share], _COLUMNS[alarm.signal.of]
    return [Minute(row["minute"], row[share], row[of], _known_from(row, arrival)) for row in rows]


def _known_from(row: dict[str, Any], arrival: str) -> datetime:
    over: datetime = row["minute"] + MINUTE
    return over if arrival == ARRIVAL_EVENT else max(over, row["arrived_at"])


def _looks_back(alarm: Alarm) -> timedelta:
    return timedelta(seconds=alarm.period_s * rule_of(alarm).range_periods)
