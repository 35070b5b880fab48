"""How a page's questions become parameters of named queries: filters, who may see what, days that an id may be of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tollmeter.dashboards.selection import Filters

Row = dict[str, Any]
Days = tuple[date, date]

BETWEEN: Final = "\x1f"
_UUID7: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_DAY: Final = timedelta(days=1)


def listed(values: Iterable[str] | None) -> str:
    r"""Values as one parameter, each between two separators; None, which means any, is empty.

    No values at all are no less a list: nothing is among them.

    >>> listed(None), listed([]), listed(["a", ""])
    ('', '\x1f', '\x1fa\x1f\x1f')
    """
    return "" if values is None else BETWEEN + "".join(value + BETWEEN for value in values)


def filtered(filters: Filters, known: Iterable[str] | None = None) -> dict[str, str]:
    """Filters as parameters by the name of their dimension; only the known ones where a query does not take all."""
    names = None if known is None else set(known)
    return {name: listed(values) for name, values in filters if values and (names is None or name in names)}


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
