"""Where a question is answered from: the smallest source with its dimensions, and which hours or days are whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from tollmeter.dashboards.dimensions import dimension
from tollmeter.dashboards.window import day_start, to_local
from tollmeter.model.names import (
    TABLE_ROLLUP_CALLS,
    TABLE_ROLLUP_CALLS_DAILY,
    TABLE_ROLLUP_LATENCY,
    TABLE_ROLLUP_LATENCY_DAILY,
    TABLE_ROLLUP_SESSIONS,
    TABLE_ROLLUP_SPEND,
)

if TYPE_CHECKING:
    from tollmeter.dashboards.access.viewer import Viewer
    from tollmeter.dashboards.selection import Filters
    from tollmeter.dashboards.window import Window

Source = Literal["hours", "days", "spend", "sessions", "rows"]
Grain = Literal["all", "minute", "hour", "day", "month"]

SEPARATOR: Final = "\x1f"
"""What stands before and after each value of a list parameter."""

OF_CALLS: Final = frozenset({"model", "request_model", "provider", "status", "error_type", "stream"})
"""Dimensions that requests do not have."""

_HOUR, _DAY, _MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
_NEVER: Final = date(2200, 1, 1)
_OF_DAYS: Final = ("all", "day", "month")
_WITH_TENANT: Final[tuple[tuple[Source, str], ...]] = (
    ("spend", TABLE_ROLLUP_SPEND),
    ("sessions", TABLE_ROLLUP_SESSIONS),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A source, and the span cut: whole hours or days from it, rows before `since_whole` and from `until_whole` on."""

    source: Source
    since_whole: datetime
    until_whole: datetime
    since_day: date = _NEVER
    until_day: date = _NEVER

    def parameters(self, span: Window, grain: Grain) -> dict[str, object]:
        """The parameters that say so to a query."""
        whole = self.since_whole <= span.start and self.until_whole >= span.end
        return {
            "source": self.source,
            "since": span.start,
            "since_whole": self.since_whole,
            "until_whole": self.until_whole,
            "until": span.end,
            "rows": "skipped" if whole and self.source != "rows" else "read",
            "bucket": grain,
            "zone": span.zone,
            "hours_begin": str(hours_begin(span)),
            "since_day": self.since_day,
            "until_day": self.until_day,
        }


def plan_sums(span: Window, grain: Grain, asked: Iterable[str], viewer: Viewer) -> Plan:
    """Where sums come from, by the names of the dimensions they are grouped and filtered by."""
    names = frozenset(asked)
    if found := _without_tenant(span, grain, names, viewer, (TABLE_ROLLUP_CALLS_DAILY, TABLE_ROLLUP_CALLS)):
        return found
    if grain in _OF_DAYS:
        for source, table in _WITH_TENANT:
            if _carries(table, names):
                return _days(span, source) or _rows(span)
    return _rows(span)


def plan_quantiles(span: Window, grain: Grain, asked: Iterable[str], viewer: Viewer) -> Plan:
    """Where percentiles come from, likewise."""
    tables = (TABLE_ROLLUP_LATENCY_DAILY, TABLE_ROLLUP_LATENCY)
    return _without_tenant(span, grain, frozenset(asked), viewer, tables) or _rows(span)


def listed(values: Iterable[str]) -> str:
    r"""A list as one parameter.

    >>> listed(["a", ""])
    '\x1fa\x1f\x1f'
    """
    # What holds the separator would match other values than itself.
    return SEPARATOR + "".join(value + SEPARATOR for value in values if SEPARATOR not in value)


def conditions(filters: Filters) -> dict[str, str]:
    """Filters as parameters."""
    return {name: listed(values) for name, values in filters if values}


def hours_begin(span: Window) -> int:
    """The minute of UTC at which hours of the span's zone begin: 30 in Kolkata."""
    local = to_local(span.start, span.zone)
    return round((span.start - local) / _MINUTE) % 60


def _carries(table: str, names: frozenset[str]) -> bool:
    return all(table in dimension(name).tables for name in names)


def _without_tenant(
    span: Window, grain: Grain, names: frozenset[str], viewer: Viewer, tables: tuple[str, str]
) -> Plan | None:
    """Days, else hours, of the rollups that have no tenants; those hours begin with hours of UTC."""
    by_day, by_hour = tables
    if viewer.tenants is not None:
        return None
    if grain in _OF_DAYS and _carries(by_day, names) and (found := _days(span, "days")):
        return found
    return _hours(span) if grain != "minute" and not hours_begin(span) and _carries(by_hour, names) else None


def _rows(span: Window) -> Plan:
    return Plan("rows", span.end, span.end)


def _hours(span: Window) -> Plan:
    since, until = _up(span.start), _down(span.end)
    if span.end > span.now:  # of the hour that is being filled there are no rows yet but those up to now
        until = _up(span.end)
    return Plan("hours", since, until) if since < until else _rows(span)


def _days(span: Window, source: Source) -> Plan | None:
    since, until = _first_day(span.start, span.zone), to_local(span.end, span.zone).date()
    if span.end > span.now:
        until = _first_day(span.end, span.zone)
    if since >= until:
        return None
    return Plan(source, day_start(since, span.zone), day_start(until, span.zone), since, until)


def _first_day(moment: datetime, zone: str) -> date:
    """The first day of the zone that begins at a moment or after it."""
    day = to_local(moment, zone).date()
    return day if day_start(day, zone) >= moment else day + _DAY


def _down(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _up(moment: datetime) -> datetime:
    return _down(moment) if _down(moment) == moment else _down(moment) + _HOUR
