"""What the reader asked for: a time range and models, as carried by the page's URL.

The URL holds explicit choices alone (`?range=24h&model=a,b`), in relative form, so that a shared link stays true
tomorrow; defaults are never written to it. All times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

PRESETS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "mtd": None,
    "90d": timedelta(days=90),
}
CUSTOM: Final = "custom"
DEFAULT_RANGE: Final = "30d"

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BUCKET_NAMES: Final = {_MINUTE: "minute", _HOUR: "hour", _DAY: "day"}
# Longest span a bucket serves, and the bucket: some 200 bars are still told apart.
_BUCKETS: Final = ((2 * _HOUR, _MINUTE), (8 * _DAY, _HOUR))
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the lake holds UTC without zone


@dataclass(frozen=True, slots=True)
class Selection:
    """Choices of the reader: a preset, or `custom` with first and last day, and models (none chosen means all)."""

    range: str = DEFAULT_RANGE
    since: date | None = None
    until: date | None = None
    models: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def search(self) -> str:
        """The query string of the URL; empty when all is default.

        >>> Selection(range="24h", models=("gpt-4o", "a,b")).search()
        '?range=24h&model=gpt-4o,a%2Cb'
        """
        parts = []
        if self.range == CUSTOM:
            parts.append(f"from={self.since}&to={self.until}")
        elif self.range != DEFAULT_RANGE:
            parts.append(f"range={self.range}")
        if self.models:
            parts.append("model=" + ",".join(quote(model, safe="/:") for model in self.models))
        return "?" + "&".join(parts) if parts else ""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC time without zone, cut into buckets; `now` tells which bucket is still filling."""

    start: datetime
    end: datetime
    bucket: timedelta
    now: datetime

    def starts(self) -> list[datetime]:
        """Start of every bucket; empty buckets stay on the axis."""
        count = -((self.start - self.end) // self.bucket)
        return [self.start + index * self.bucket for index in range(count)]

    def filling(self) -> bool:
        """Whether the last bucket can still grow."""
        starts = self.starts()
        return bool(starts) and starts[-1] <= self.now < starts[-1] + self.bucket


def parse_search(search: str | None) -> Selection:
    """The selection a URL carries; what it cannot understand is named in `problems` and left out.

    >>> parse_search("?range=24h&model=gpt-4o,a%2Cb").models
    ('gpt-4o', 'a,b')
    >>> parse_search("?range=yesterday").problems
    ("range 'yesterday' is not known: use 1h, 24h, 7d, 30d, mtd, 90d",)
    """
    pairs = dict(part.split("=", 1) for part in (search or "").lstrip("?").split("&") if "=" in part)
    models = tuple(unquote(model) for model in pairs.get("model", "").split(",") if model)
    chosen = unquote(pairs.get("range", DEFAULT_RANGE)).lower()
    selection = Selection(models=tuple(dict.fromkeys(models)))
    if "from" in pairs or "to" in pairs:
        return _with_dates(selection, unquote(pairs.get("from", "")), unquote(pairs.get("to", "")))
    if chosen in PRESETS:
        return replace(selection, range=chosen)
    return replace(selection, problems=(f"range {chosen!r} is not known: use {', '.join(PRESETS)}",))


def with_days(selection: Selection, since: str, until: str) -> Selection:
    """The same models over whole days, both inclusive."""
    return _with_dates(replace(selection, problems=()), since, until)


def with_models(selection: Selection, models: tuple[str, ...]) -> Selection:
    """The same time with other models; none means all."""
    return replace(selection, models=models, problems=())


def _with_dates(selection: Selection, since: str, until: str) -> Selection:
    try:
        first, last = date.fromisoformat(since[:10]), date.fromisoformat(until[:10])
    except ValueError:
        return replace(selection, problems=(f"from={since!r} to={until!r} are not days such as 2026-01-31",))
    first, last = min(first, last), max(first, last)
    return replace(selection, range=CUSTOM, since=first, until=last)


def window(selection: Selection, now: datetime) -> Window:
    """The span to show: whole buckets, the last one being that of `now`, so that no first bucket is cut.

    The end is the next full minute, so that reloads within a minute ask the lake the same question.

    >>> span = window(Selection(range="30d"), datetime(2026, 11, 23, 10, 37, 5))
    >>> str(span.start), str(span.end), len(span.starts())
    ('2026-10-25 00:00:00', '2026-11-23 10:38:00', 30)
    """
    end = _floor(now, _MINUTE) + _MINUTE
    if selection.range == CUSTOM and selection.since and selection.until:
        start = datetime.combine(selection.since, datetime.min.time())
        end = datetime.combine(selection.until + _DAY, datetime.min.time())
        return Window(start, end, bucket_for(end - start), now)
    span = PRESETS[selection.range]
    if span is None:
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return Window(start, end, bucket_for(end - start), now)
    bucket = bucket_for(span)
    return Window(_floor(now, bucket) + bucket - span, end, bucket, now)


def previous(span: Window, selection: Selection) -> Window:
    """The period before, of equal length: deltas compare like with like, also while a month is still filling."""
    length = span.end - span.start
    start = span.start - length
    if selection.range == "mtd":
        start = (span.start - _DAY).replace(day=1)
    return Window(start, min(start + length, span.start), span.bucket, span.now)


def bucket_for(length: timedelta) -> timedelta:
    """The bucket that keeps a span readable.

    >>> bucket_for(timedelta(hours=24))
    datetime.timedelta(seconds=3600)
    """
    return next((bucket for longest, bucket in _BUCKETS if length <= longest), _DAY)


def utc_now() -> datetime:
    """The time now, UTC, without zone as in the lake."""
    return datetime.now(UTC).replace(tzinfo=None)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % step
