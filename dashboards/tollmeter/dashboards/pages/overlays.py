"""What pages share: what happened and what is unusual over a chart of spend, and the month against its budget."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from tollmeter.alarms.budgets import read_budgets
from tollmeter.dashboards.components import card
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures import time
from tollmeter.dashboards.figures.base import Figure
from tollmeter.dashboards.figures.forecast import with_forecast
from tollmeter.dashboards.figures.overlays import annotated, marked
from tollmeter.dashboards.prepare import forecast as prepare
from tollmeter.dashboards.prepare.annotations import happened
from tollmeter.dashboards.prepare.anomalies import FLOOR_USD, history, marks
from tollmeter.dashboards.prepare.month import month_chart
from tollmeter.dashboards.queries import cube
from tollmeter.dashboards.queries.changes import changes_seen
from tollmeter.dashboards.selection import LAST_MONTH, MONTH_TO_DATE, Selection
from tollmeter.dashboards.window import Window, span_of_days, window
from tollmeter.dashboards.wire import Asked, Shown, Wire

MONTH_TITLE: Final = "Month so far, and its end"


def with_events(asked: Asked, figure: Figure) -> Figure:
    """A chart over the window's time, with lines where a version was deployed or a price changed."""
    notes = happened(changes_seen(asked.lake, asked.viewer, asked.window), asked.window)
    return annotated(figure, notes, asked.window)


def with_unusual(asked: Asked, figure: Figure) -> Figure:
    """A chart of the window's spend, with rings on days or hours whose total stands out."""
    long = history(asked.window)
    if long is None:
        return figure
    return marked(figure, marks(_spend(asked, long), long, asked.window, FLOOR_USD))


def month_card(name: str) -> Any:
    """The frame of the month's card; `name` starts with the page's."""
    return card.card(name, MONTH_TITLE, help_text="spend of the month under the filters, with a forecast to its end")


def register_month(wire: Wire, name: str) -> None:
    """Fill the month's card, whatever the range: of what the filters leave."""
    wire.card(name, lambda asked: _month(asked, name))


def _month(asked: Asked, name: str) -> Shown:
    """Always this month, whatever range is chosen: a budget is one of a month."""
    from dash import html

    now, zone = asked.window.now, asked.window.zone
    so_far, last = (window(Selection(range=name), now, zone) for name in (MONTH_TO_DATE, LAST_MONTH))
    spent, before = (cube.sums(asked.lake, _ask(asked, replace(span, bucket="day"))) for span in (so_far, last))
    chart = month_chart(spent, _whole_month(so_far), (before, replace(last, bucket="day")))
    days = prepare.history(now, zone)
    budget = prepare.budget_for(read_budgets(asked.lake.settings.budgets), asked.selection.filters)
    found = prepare.outlook(_spend(asked, days), days, budget)
    body = [
        html.P(found.sentence, id=f"{name}-sentence", className="tm-sentence tm-small"),
        graph(f"{name}-chart", with_forecast(time.lines(chart), found), f"Spend of the month by day. {found.sentence}"),
    ]
    return Shown(html.Div(body), chart.caption)


def _whole_month(so_far: Window) -> Window:
    first, _ = so_far.days()
    last = first.replace(day=monthrange(first.year, first.month)[1])
    return replace(span_of_days(first, last, so_far.now, so_far.zone), bucket="day")


def _ask(asked: Asked, span: Window) -> cube.Ask:
    """The spend of a span under the filters, whatever it is grouped by."""
    return replace(asked.ask(), window=span, group="", bucket=None)


def _spend(asked: Asked, span: Window) -> dict[datetime, Decimal]:
    """Spend by start of the span's buckets under the filters, whatever it is grouped by."""
    sums: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for row in cube.sums(asked.lake, _ask(asked, span)).rows:
        sums[span.place(row.bucket)] += row.cost_usd or 0
    return sums
