"""On which days an event may be, told by its id: the lake has no index, and a day is what it is cut by."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

Row = dict[str, Any]
Days = tuple[date, date]

_UUID7: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_DAY: Final = timedelta(days=1)


def days_of_id(event_id: str) -> Days | None:
    """The days (UTC) that an event may be of, from the time in its UUIDv7; None where the id tells none.

    An id is made when a call ends, its day is that of its beginning: a day before and one after are looked at as well.

    >>> days_of_id("019aa0c8-5c00-7000-8000-000000000000")
    (datetime.date(2025, 11, 19), datetime.date(2025, 11, 21))
    >>> days_of_id("6f1c1a5e-0d5f-5d0e-9a39-6f3a1d1f7b11") is None
    True
    """
    match = _UUID7.fullmatch(event_id)
    if match is None:
        return None
    day = datetime.fromtimestamp(int(match[1] + match[2], 16) / 1000, UTC).date()
    return around(day)


def around(day: date, after: int = 1) -> Days:
    """A day with the one before and some after it."""
    return day - _DAY, day + after * _DAY
