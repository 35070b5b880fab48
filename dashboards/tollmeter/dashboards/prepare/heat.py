"""Latencies as a heat map over time and as a distribution, from counts in logarithmic steps."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.charts import HOVER, caption_of
from tollmeter.dashboards.queries.steps import STEP_BUCKETS, Step
from tollmeter.dashboards.window import Window
from tollmeter.model.derived import LATENCY_GAMMA

_STEP: Final = math.log(LATENCY_GAMMA) * STEP_BUCKETS
_MARKS: Final = tuple(mantissa * 10.0**power for power in range(-1, 8) for mantissa in (1, 2, 5))
_MOST_MARKS: Final = 9
_ROUND: Final = re.compile(r"\.0+(?!\d)")

Format = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Heat:
    """Counts by bucket of time (columns) and step (rows, lowest first); None where nothing was measured.

    `starts` are on the clocks of the window's zone, `hover` is d3's format of them, `first` is the number of the lowest
    step; `marks` are positions on the axis of steps, with what stands there.
    `shades` are 0 to 1: the square root of the share of the fullest cell, for the eye tells small counts apart so.
    """

    starts: tuple[datetime, ...]
    hover: str
    first: int
    counts: tuple[tuple[int | None, ...], ...]
    shades: tuple[tuple[float | None, ...], ...]
    labels: tuple[tuple[str, ...], ...]
    marks: tuple[tuple[float, str], ...]
    caption: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values fell into each step; `quantiles` are positions on the axis of steps, with their names."""

    first: int
    counts: tuple[int, ...]
    labels: tuple[str, ...]
    marks: tuple[tuple[float, str], ...]
    quantiles: tuple[tuple[str, float, str], ...]
    caption: str


def heat_map(rows: Sequence[Step], span: Window, text: Format = formats.duration) -> Heat:
    """The heat map of a window; a bucket of time without values stays a gap."""
    starts = span.starts()
    cells: Counter[tuple[datetime, int]] = Counter()
    for row in rows:
        cells[span.place(row.bucket), row.step] += row.count
    steps = _steps(rows)
    totals: Counter[datetime] = Counter()
    for (start, _), count in cells.items():
        totals[start] += count
    most = max(cells.values(), default=1)
    counts = tuple(tuple(cells.get((start, step)) for start in starts) for step in steps)
    shades = tuple(tuple(math.sqrt(count / most) if count else None for count in row) for row in counts)
    labels = tuple(
        tuple(_cell(text, step, count, totals[start]) for start, count in zip(starts, row, strict=True))
        for step, row in zip(steps, counts, strict=True)
    )
    caption = caption_of(span, "darker is more")
    local = tuple(span.local(start) for start in starts)
    return Heat(local, HOVER[span.bucket], steps.start, counts, shades, labels, marks(steps, text), caption)


def distribution(rows: Sequence[Step], text: Format = formats.duration) -> Distribution:
    """All values of a window by size, empty steps between them included."""
    steps = _steps(rows)
    counts: Counter[int] = Counter()
    for row in rows:
        counts[row.step] += row.count
    total = counts.total()
    labels = tuple(_cell(text, step, counts[step], total) for step in steps)
    found = tuple((name, position(value), text(value)) for name, value in _quantiles(counts))
    caption = f"{formats.count(total)} values"
    return Distribution(steps.start, tuple(counts[step] for step in steps), labels, marks(steps, text), found, caption)


def position(value: float) -> float:
    """Where a value stands on the axis of steps.

    >>> round(position(math.exp(3 * math.log(LATENCY_GAMMA) * STEP_BUCKETS)), 6)
    3.0
    """
    return math.log(max(value, 0.001)) / _STEP


def marks(steps: range, text: Format = formats.duration) -> tuple[tuple[float, str], ...]:
    """Round values on the axis of steps, few enough to be read; zeros behind the point say nothing there.

    >>> [text for _, text in marks(range(27, 60))]
    ['100 ms', '200 ms', '500 ms', '1 s', '2 s', '5 s', '10 s']
    """
    inside = [value for value in _MARKS if steps.start <= position(value) <= steps.stop]
    thinned = inside if len(inside) <= _MOST_MARKS else [value for value in inside if _leads(value)]
    return tuple((position(value), _ROUND.sub("", text(value))) for value in thinned)


def _leads(value: float) -> bool:
    return math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9) or math.isclose(math.log10(value) % 1, 1, abs_tol=1e-9)


def _steps(rows: Sequence[Step]) -> range:
    found = [row.step for row in rows if row.count]
    return range(min(found), max(found) + 1) if found else range(0)


def _cell(text: Format, step: int, count: int | None, total: int) -> str:
    low, high = math.exp(step * _STEP), math.exp((step + 1) * _STEP)
    share = formats.percent(count or 0, total)
    return f"{text(low)} to {text(high)}: {formats.count(count or 0)} ({share})"


def _quantiles(counts: Counter[int]) -> list[tuple[str, float]]:
    """The middle of the step that each quantile falls into."""
    found, total = [], counts.total()
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
        up_to = 0
        for step in sorted(counts):
            up_to += counts[step]
            if up_to * 100 >= total * percent:
                found.append((name, math.exp((step + 0.5) * _STEP)))
                break
    return found
