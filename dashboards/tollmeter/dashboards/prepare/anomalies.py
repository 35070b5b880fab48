"""Marks on charts where a bucket stands out of trend and season, with what was expected and what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tollmeter.dashboards.prepare.units import MONEY, Number, Unit
from tollmeter.dashboards.statistics.anomalies import HISTORY, Every, anomalies
from tollmeter.dashboards.window import Window, day_start

FLOOR_USD: Final = 0.10
"""A day or hour that is off by less than this is not worth a mark."""
FLOOR_CALLS: Final = 20.0
"""The same of calls."""
_NEEDED: Final[dict[Every, timedelta]] = {"day": timedelta(days=56), "hour": timedelta(days=28)}


@dataclass(frozen=True, slots=True)
class Mark:
    """A bucket that stands out: its start on the clocks of the zone, its value, and what is said of it."""

    start: datetime
    actual: float
    text: str


def history(span: Window) -> Window | None:
    """The span and what is read before it to tell what is usual; None where buckets are neither days nor hours."""
    if span.bucket not in HISTORY:
        return None
    first = span.local(span.start - _NEEDED[span.bucket]).date()
    return replace(span, start=day_start(first, span.zone))


def marks(
    values: Mapping[datetime, Number], long: Window, span: Window, floor: float, unit: Unit = MONEY
) -> tuple[Mark, ...]:
    """Marks within `span`, from sums by start of a bucket (UTC) of `long`, which reaches back; no bucket is 0.

    The bucket that is still filling is not judged, and neither are those before the first call.
    """
    if long.bucket not in HISTORY:
        return ()
    starts = long.starts()[: -1 if long.filling() else None]
    first = next((place for place, start in enumerate(starts) if values.get(start)), len(starts))
    known = starts[first:]
    series = [float(values.get(start, 0)) for start in known]
    found = anomalies(series, long.bucket, floor)
    return tuple(
        Mark(
            span.local(known[one.place]),
            one.actual,
            f"{unit.label(one.actual)}, expected {unit.label(round(one.expected, 6))}"
            f" (usual up to {unit.label(round(one.high, 6))})",
        )
        for one in found
        if known[one.place] >= span.start
    )
