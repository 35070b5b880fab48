"""Spans and buckets in the one reporting time zone (setting `timezone`).

Moments are UTC without zone, as in the lake; days, hours and months begin where the reporting time zone says, so that a
bar of a day is the day of the bill and of the budget, through changes of daylight saving and in half-hour zones too.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from tollmeter.dashboards.selection import CUSTOM, LAST_MONTH, MONTH_TO_DATE, PRESETS, Selection

Bucket = Literal["minute", "hour", "day", "month"]

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Longest span a bucket serves, and the bucket: some 200 bars are still told apart.
_BUCKETS: Final[tuple[tuple[timedelta, Bucket], ...]] = (
    (2 * _HOUR, "minute"),
    (8 * _DAY + _HOUR, "hour"),
    (400 * _DAY, "day"),
)
_FIRST_DAY: Final = date(1970, 1, 2)
_LAST_DAY: Final = date(9998, 12, 31)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC time without zone, cut into buckets of the zone; `now` tells which is still filling."""

    start: datetime
    end: datetime
    bucket: Bucket
    now: datetime
    zone: str = "UTC"

    def starts(self) -> tuple[datetime, ...]:
        """Start of every bucket, UTC; empty buckets stay on the axis. The first begins at `start`, be it cut or not."""
        return _starts(self.start, self.end, self.bucket, self.zone)

    def place(self, moment: datetime) -> datetime:
        """Start of the bucket that holds a moment, both UTC; a moment outside goes to the nearest."""
        starts = self.starts()
        return starts[max(bisect_right(starts, moment) - 1, 0)]

    def local(self, moment: datetime) -> datetime:
        """A UTC moment on the clocks of the zone, without zone, as it stands on the axis."""
        return to_local(moment, self.zone)

    def filling(self) -> bool:
        """Whether the last bucket can still grow."""
        return bool(self.starts()) and self.starts()[-1] <= self.now < self.end

    def days(self) -> tuple[date, date]:
        """First and last day of the zone that the span touches."""
        return self.local(self.start).date(), self.local(self.end - timedelta.resolution).date()


def window(selection: Selection, now: datetime, zone: str = "UTC") -> Window:
    """The span of a selection at a moment (UTC without zone): whole buckets, the last one being that of `now`.

    The end is the next full minute, so that reloads within a minute ask the lake the same question.

    >>> span = window(Selection(range="30d"), datetime(2026, 11, 23, 10, 37, 5))
    >>> str(span.start), str(span.end), len(span.starts())
    ('2026-10-25 00:00:00', '2026-11-23 10:38:00', 30)
    """
    today = to_local(now, zone).date()
    if selection.range == CUSTOM and selection.since and selection.until:
        return span_of_days(selection.since, selection.until, now, zone)
    if selection.range == LAST_MONTH:
        last = today.replace(day=1) - _DAY
        return span_of_days(last.replace(day=1), last, now, zone)
    end = _floor_minute(now) + _MINUTE
    length = PRESETS[selection.range][1]
    if selection.range == MONTH_TO_DATE or length is None:
        return _cut(day_start(today.replace(day=1), zone), end, now, zone)
    bucket = bucket_for(length)
    if bucket == "day":
        return Window(day_start(today + _DAY - length, zone), end, bucket, now, zone)
    step = _MINUTE if bucket == "minute" else _HOUR
    return Window(_floor(now, bucket, zone) + step - length, end, bucket, now, zone)


def span_of_days(first: date, last: date, now: datetime, zone: str = "UTC") -> Window:
    """Whole days of the zone, both inclusive."""
    first, last = max(first, _FIRST_DAY), min(max(last, _FIRST_DAY), _LAST_DAY)
    return _cut(day_start(min(first, last), zone), day_start(last + _DAY, zone), now, zone)


def previous(span: Window, selection: Selection) -> Window:
    """The period before: as many hours or days just before, a month against the month before it.

    A bucket that is still filling is compared with as much of the one it stands against, and month to date with the
    same days of last month, so that deltas compare like with like.
    """
    first = span.local(span.start).date()
    if selection.range == LAST_MONTH:
        return replace(span, start=day_start((first - _DAY).replace(day=1), span.zone), end=span.start)
    if selection.range == MONTH_TO_DATE:
        return _days_from((first - _DAY).replace(day=1), span)
    if selection.range != CUSTOM and span.bucket in ("minute", "hour"):
        shift = len(span.starts()) * (_MINUTE if span.bucket == "minute" else _HOUR)
        return replace(span, start=span.start - shift, end=span.end - shift)
    last = span.days()[1]
    return _days_from(first - (last - first + _DAY), span)


def _days_from(first: date, span: Window) -> Window:
    """As many days from another one on, and of the last as much as the span has of its own."""
    begun, last = span.days()
    into = span.end - day_start(last, span.zone)
    end = day_start(first + (last - begun), span.zone) + into
    return replace(span, start=day_start(first, span.zone), end=min(end, span.start))


def bucket_for(length: timedelta) -> Bucket:
    """The bucket that keeps a span readable.

    >>> bucket_for(timedelta(hours=24))
    'hour'
    """
    for longest, bucket in _BUCKETS:
        if length <= longest:
            return bucket
    return "month"


def day_start(day: date, zone: str) -> datetime:
    """When a day of the zone begins, UTC without zone.

    >>> day_start(date(2026, 11, 23), "Asia/Kolkata")
    datetime.datetime(2026, 11, 22, 18, 30)
    """
    return to_utc(datetime.combine(day, datetime.min.time()), zone)


def to_local(moment: datetime, zone: str) -> datetime:
    """A UTC moment without zone on the clocks of a zone, without zone."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def to_utc(wall: datetime, zone: str) -> datetime:
    """What a zone's clocks show as UTC without zone; of an hour that comes twice the first."""
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def utc_now() -> datetime:
    """The time now, UTC, without zone as in the lake."""
    return datetime.now(UTC).replace(tzinfo=None)


def _cut(start: datetime, end: datetime, now: datetime, zone: str) -> Window:
    return Window(start, end, bucket_for(end - start), now, zone)


def _floor_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _floor(moment: datetime, bucket: Bucket, zone: str) -> datetime:
    if bucket == "minute":
        return _floor_minute(moment)
    if bucket == "hour":
        wall = to_local(moment, zone)
        return _floor_minute(moment) - timedelta(minutes=wall.minute)
    day = to_local(moment, zone).date()
    return day_start(day if bucket == "day" else day.replace(day=1), zone)


def _next(start: datetime, bucket: Bucket, zone: str) -> datetime:
    """Start of the bucket after the one that begins at `start`."""
    if bucket in ("minute", "hour"):
        return start + (_MINUTE if bucket == "minute" else _HOUR)
    day = to_local(start, zone).date()
    return day_start(day + _DAY if bucket == "day" else (day.replace(day=28) + 4 * _DAY).replace(day=1), zone)


@lru_cache(maxsize=256)
def _starts(start: datetime, end: datetime, bucket: Bucket, zone: str) -> tuple[datetime, ...]:
    starts: list[datetime] = []
    moment = start
    while moment < end:
        starts.append(moment)
        moment = _next(_floor(moment, bucket, zone), bucket, zone)
    return tuple(starts)
