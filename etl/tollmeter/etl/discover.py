"""Raw objects: what is known of one before it is read, and the upload hour that its key tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Final

_EXPANSION: Final = 8  # JSON lines of wide events compress about 7 times
_PLAIN: Final = (".jsonl", ".json")
# The forwarder's layout, and Firehose's own: https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
_HOUR: Final = re.compile(
    r"(?P<root>(?:.*/)?)(?:dt=(\d{4})-(\d\d)-(\d\d)/hour=(\d\d)|(\d{4})/(\d\d)/(\d\d)/(\d\d))/", re.ASCII
)


@dataclass(frozen=True, slots=True)
class RawObject:
    """One raw object: its key, its stored size in bytes, when it was written (UTC).

    The key is the path relative to the home's `raw/`, the path of a file elsewhere, or an `s3://` address.
    """

    key: str
    size: int
    modified: datetime

    @property
    def expanded(self) -> int:
        """A guess at its size in bytes once decompressed."""
        return self.size if PurePosixPath(self.key).suffix in _PLAIN else self.size * _EXPANSION


@dataclass(frozen=True, slots=True)
class UploadHour:
    """An hour of uploads: what its keys begin with, what those of all hours beside it begin with, its start (UTC)."""

    prefix: str
    root: str
    start: datetime


def hour_of(key: str) -> UploadHour | None:
    """The upload hour that a key tells; None where it tells none.

    >>> hour_of("dt=2026-11-01/hour=07/a.jsonl.zst").start.isoformat()
    '2026-11-01T07:00:00+00:00'
    >>> hour_of("s3://b/firehose/2026/11/01/07/x").root
    's3://b/firehose/'
    """
    found = _HOUR.match(key)
    if not found:
        return None
    numbers = [int(text) for text in found.groups()[1:] if text is not None]
    try:
        start = datetime(numbers[0], numbers[1], numbers[2], numbers[3], tzinfo=UTC)
    except ValueError:
        return None
    return UploadHour(found[0], found["root"], start)


def floor_hour(moment: datetime) -> datetime:
    """The start of the hour of a moment."""
    return moment.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Span:
    """Upload hours from `since`, and before `until`; None is open. Objects whose key tells no hour are in any span."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, key: str) -> bool:
        """Whether an object is in it."""
        hour = hour_of(key)
        if hour is None:
            return True
        return (self.since is None or hour.start >= floor_hour(self.since)) and (
            self.until is None or hour.start < self.until
        )

    def from_hour(self, start: datetime | None) -> Span:
        """The part of it that does not lie before an hour."""
        if start is None or (self.since and self.since >= start):
            return self
        return Span(start, self.until)


def back(moment: datetime, hours: int) -> datetime:
    """The start of the hour that lies some hours before a moment."""
    return floor_hour(moment) - timedelta(hours=hours)
