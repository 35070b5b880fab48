"""The month as one rising line: what was spent by the end of each day, beside the month before and the budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from tollmeter.dashboards.prepare import formats, units
from tollmeter.dashboards.prepare.charts import Chart, measured
from tollmeter.dashboards.prepare.units import Number
from tollmeter.dashboards.queries.cube import Sums
from tollmeter.dashboards.window import Window

SPENT: Final = "spent"
_COLOURS: Final = {SPENT: "#5b8ff9"}


def month_chart(now: Sums, span: Window, before: tuple[Sums, Window]) -> Chart:
    """Spend of a whole month added up day by day, to today; the month before is dotted.

    `span` is the whole month: days that are still to come stand on the axis too. A day without spend adds nothing, and
    the line goes on level.
    """
    line = cumulative(now, span)
    earlier = (_named(cumulative(*before)), before[1])
    spent = max((value for value in line.values()), default=None)
    until = Decimal(sum(_amounts(before[0], before[1], _elapsed(span)).values()))
    delta, _ = formats.change(spent, until, up="bad")
    note = f"{formats.money(spent)} so far, {delta} against the same days of the month before"
    return measured(_named(line), span, _COLOURS, units.MONEY, before=earlier, notes=(note,))


def cumulative(rows: Sums, span: Window) -> dict[datetime, Decimal]:
    """The sum up to the end of each day that has begun, by its start."""
    amounts = _amounts(rows, span, None)
    total, line = Decimal(0), {}
    for start in span.starts():
        if start > span.now:
            break
        total += amounts[start]
        line[start] = total
    return line


def _amounts(rows: Sums, span: Window, days: int | None) -> defaultdict[datetime, Decimal]:
    """Spend by day; of the first so many days, or all."""
    wanted = set(span.starts()[:days])
    amounts: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for row in rows.rows:
        if span.place(row.bucket) in wanted:
            amounts[span.place(row.bucket)] += row.cost_usd or 0
    return amounts


def _elapsed(span: Window) -> int:
    return sum(start <= span.now for start in span.starts())


def _named(line: Mapping[datetime, Decimal]) -> dict[str, dict[datetime, Number | None]]:
    return {SPENT: dict(line)}
