"""Charts over time and rankings, as what is drawn: the rules of honest charts stand here.

- An empty bucket is 0 for sums and a gap for quantiles and shares, and stays on the axis.
- At most nine entities are drawn apart; the rest is summed as `other`, and the caption says so.
- An entity keeps its colour on every chart and under every filter.
- A bucket that can still grow is marked; the period before is paled and dotted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from tollmeter.dashboards.dimensions import DIMENSIONS, NOT_SET
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.colours import OTHER, OTHER_COLOUR, Palette
from tollmeter.dashboards.prepare.units import Number, Unit
from tollmeter.dashboards.window import Window

TOP: Final = 9
TOTAL: Final = "total"
HOVER: Final = {"minute": "%Y-%m-%d %H:%M", "hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}


class Point(NamedTuple):
    """A value of one entity in one bucket (UTC), None where it is not known; a name of None is all entities beyond."""

    bucket: datetime
    name: str | None
    value: Decimal | int | None


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one layer of bars: a value per bucket, None where there is nothing to say.

    `key` is the value a click filters by; None where it stands for no single one.
    """

    name: str
    values: tuple[Number | None, ...]
    labels: tuple[str, ...]
    colour: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over the buckets of a window, on the clocks of its zone.

    `hover` is d3's time format, `caption` stands beside the title, `before` is the period before on the same axis,
    `dimension` is what a click filters by.
    """

    starts: tuple[datetime, ...]
    hover: str
    series: tuple[Series, ...]
    filling: bool
    caption: str
    unit: Unit
    before: tuple[Series, ...] = ()
    dimension: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One entity of a ranking: its value, and its share of the whole."""

    name: str
    value: Number
    label: str
    share: str
    colour: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Entities, largest first, the rest as `other`."""

    bars: tuple[Bar, ...]
    caption: str
    unit: Unit
    dimension: str = ""


def stacked(
    points: Iterable[Point],
    span: Window,
    palette: Palette,
    unit: Unit,
    *,
    dimension: str = "",
    found: int = 0,
    before: tuple[Iterable[Point], Window] | None = None,
    notes: Sequence[str] = (),
) -> Chart:
    """Sums per bucket, stacked by entity: empty buckets are 0, what is beyond nine entities is summed as `other`.

    `found` is how many entities there are where not all of them have points of their own. `before` is drawn as one
    dotted line of totals.
    """
    known = [point for point in points if point.value is not None]
    top, rest = ranked(_totals(known), found)
    cells: defaultdict[tuple[str | None, datetime], Decimal | int] = defaultdict(int)
    for point in known:
        cells[point.name if point.name in top else None, span.place(point.bucket)] += point.value or 0
    series = [
        _series(name, [cells[name, start] for start in span.starts()], palette, unit, span)
        for name in (*top, *([None] if rest else []))
    ]
    shown = f"showing {len(top)} of {len(top) + rest} {_noun(dimension)}" if rest else ""
    old = (_total(*before, span, unit),) if before else ()
    caption = caption_of(span, shown, *notes)
    return _chart(span, series, caption, unit, before=old, dimension=dimension)


def measured(
    lines: Mapping[str, Mapping[datetime, Number | None]],
    span: Window,
    colours: Mapping[str, str],
    unit: Unit,
    *,
    keys: Mapping[str, str] | None = None,
    dimension: str = "",
    before: tuple[Mapping[str, Mapping[datetime, Number | None]], Window] | None = None,
    notes: Sequence[str] = (),
) -> Chart:
    """Quantiles, means or shares per bucket, a line each: a bucket without a measurement is a gap.

    `lines` has a value by bucket start (UTC) for each name; `keys` the value that a click on a line filters by.
    """
    series = [
        Series(name, values, _labels(values, unit, span), colours[name], (keys or {}).get(name))
        for name, line in lines.items()
        for values in (_aligned(line, span, span),)
    ]
    old = _lines_before(before, span, colours, unit) if before else ()
    return _chart(span, series, caption_of(span, *notes), unit, before=old, dimension=dimension)


def ranking(
    totals: Mapping[str | None, Decimal | int | None],
    palette: Palette,
    unit: Unit,
    *,
    dimension: str = "",
    found: int = 0,
    notes: Sequence[str] = (),
) -> Ranking:
    """Entities by their sum, the nine largest apart and the rest as `other`; None names all that are not told apart."""
    known = {name: value for name, value in totals.items() if value}
    top, rest = ranked(known, found)
    whole = sum(known.values())
    bars = [
        Bar(_text(name), known[name], unit.label(known[name]), _share(known[name], whole), palette.of(name), name)
        for name in top
    ]
    if rest:
        other = sum(value for name, value in known.items() if name not in top)
        bars.append(Bar(OTHER, other, unit.label(other), _share(other, whole), OTHER_COLOUR))
    shown = f"showing {len(top)} of {len(top) + rest} {_noun(dimension)}" if rest else ""
    return Ranking(tuple(bars), " · ".join(part for part in (shown, *notes) if part), unit, dimension)


def ranked(totals: Mapping[str | None, Decimal | int], found: int = 0) -> tuple[tuple[str, ...], int]:
    """The nine largest, largest first, and how many more there are; `other` never stands for a single one.

    `found` is how many there are where those beyond some are one entry, whose name is None.

    >>> ranked({"a": 1, "b": 2}), ranked({"a": 1, None: 5}, 12)
    ((('b', 'a'), 0), (('a',), 11))
    """
    names = sorted((name for name in totals if name is not None), key=lambda name: (-totals[name], name))
    keep = len(names) if len(names) <= TOP + 1 and None not in totals else TOP
    kept = tuple(names[:keep])
    # An empty name is an entity too, though none that was found.
    more = max(found + ("" in kept), len(names) + (None in totals)) - len(kept)
    return kept, more if None in totals else len(names) - len(kept)


def caption_of(span: Window, *details: str) -> str:
    """What stands beside a chart's title: the bucket, the zone, and whatever else is to be said."""
    return " · ".join(part for part in (f"per {span.bucket}, {span.zone}", *details) if part)


def _chart(
    span: Window, series: Sequence[Series], caption: str, unit: Unit, *, before: tuple[Series, ...], dimension: str
) -> Chart:
    starts = tuple(span.local(start) for start in span.starts())
    return Chart(starts, HOVER[span.bucket], tuple(series), span.filling(), caption, unit, before, dimension)


def _totals(points: Iterable[Point]) -> dict[str | None, Decimal | int]:
    totals: defaultdict[str | None, Decimal | int] = defaultdict(int)
    for point in points:
        totals[point.name] += point.value or 0
    return totals


def _series(name: str | None, values: Sequence[Number], palette: Palette, unit: Unit, span: Window) -> Series:
    labels = _labels(values, unit, span)
    if name is None:
        return Series(OTHER, tuple(values), labels, OTHER_COLOUR)
    return Series(_text(name), tuple(values), labels, palette.of(name), name)


def _total(points: Iterable[Point], then: Window, span: Window, unit: Unit) -> Series:
    cells: defaultdict[datetime, Decimal | int] = defaultdict(int)
    for point in points:
        cells[then.place(point.bucket)] += point.value or 0
    values = _aligned({start: cells[start] for start in then.starts()}, then, span)
    return Series("previous period", values, tuple(unit.label(value) for value in values), OTHER_COLOUR)


def _lines_before(
    before: tuple[Mapping[str, Mapping[datetime, Number | None]], Window],
    span: Window,
    colours: Mapping[str, str],
    unit: Unit,
) -> tuple[Series, ...]:
    lines, then = before
    made = []
    for name, line in lines.items():
        values = _aligned(line, then, span)
        made.append(Series(f"{name}, before", values, tuple(unit.label(value) for value in values), colours[name]))
    return tuple(made)


def _aligned(line: Mapping[datetime, Number | None], own: Window, span: Window) -> tuple[Number | None, ...]:
    """A value for each bucket of `span`: those of the line's own window, first to first."""
    found = {own.place(moment): value for moment, value in line.items()}
    values = [found.get(start) for start in own.starts()][: len(span.starts())]
    return (*values, *[None] * (len(span.starts()) - len(values)))


def _labels(values: Sequence[Number | None], unit: Unit, span: Window) -> tuple[str, ...]:
    texts = [unit.label(value) for value in values]
    if texts and span.filling() and texts[-1] != formats.NOTHING:
        texts[-1] += " so far"
    return tuple(texts)


def _text(name: str) -> str:
    return name or NOT_SET


def _noun(dimension: str) -> str:
    return DIMENSIONS[dimension].plural if dimension in DIMENSIONS else "entries"


def _share(part: Number, whole: Number) -> str:
    return formats.share(float(part) / float(whole)) if whole else formats.NOTHING
