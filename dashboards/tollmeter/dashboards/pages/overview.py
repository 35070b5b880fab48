"""Overview: the headline, where the money goes, how fast the answers come."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components import card, notices, tiles
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures import time
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare import overview as prepare
from tollmeter.dashboards.queries import overview as queries
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire

_TILES: Final = ("Spend", "Requests", "Tokens", "Error rate", "p95 latency", "p95 first token")


def layout() -> Any:
    """The frame of the page."""
    from dash import html

    return html.Div(
        [
            card.bare("overview-headline", "Headline", tiles.skeleton_row(_TILES)),
            card.grid_of(
                card.card("overview-spend", "Spend over time"),
                card.card("overview-latency", "Latency of model calls"),
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect its cards."""
    wire.card("overview-headline", _headline)
    wire.card("overview-spend", _spend)
    wire.card("overview-latency", _latency)
    wire.drill("overview-spend-chart")


def _headline(asked: Asked) -> Shown:
    now = queries.summary(asked.lake, asked.viewer, asked.selection, asked.window)
    before = queries.summary(asked.lake, asked.viewer, asked.selection, asked.before)
    return Shown(tiles.tile_row(prepare.headline(now, before)))


def _spend(asked: Asked) -> Shown:
    rows = queries.spend(asked.lake, asked.viewer, asked.selection, asked.window)
    before = queries.spend(asked.lake, asked.viewer, asked.selection, asked.before) if asked.selection.compare else None
    models = queries.extent(asked.lake, asked.viewer).models
    chart = prepare.spend_chart(rows, asked.window, models, (before, asked.before) if before is not None else None)
    if not chart.series:
        return Shown(notices.nothing_here("No priced call in this period."), chart.caption)
    return Shown(graph("overview-spend-chart", time.bars(chart), "Spend over time by model"), chart.caption)


def _latency(asked: Asked) -> Shown:
    rows = queries.latency(asked.lake, asked.viewer, asked.selection, asked.window)
    before = (
        queries.latency(asked.lake, asked.viewer, asked.selection, asked.before) if asked.selection.compare else None
    )
    chart = prepare.latency_chart(rows, asked.window, (before, asked.before) if before is not None else None)
    label = f"Latency percentiles over time, {formats.count(sum(row.calls for row in rows))} calls"
    return Shown(graph("overview-latency-chart", time.lines(chart), label), chart.caption)


PAGE: Final = Page("", "Overview", "overview", layout, register)
