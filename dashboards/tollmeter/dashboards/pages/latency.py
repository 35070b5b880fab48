"""Latency: how long answers take, over time, by value of the dimension, and how it is distributed."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components import card, grid, notices, tiles
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.components.switch import switch
from tollmeter.dashboards.figures import heat as figures
from tollmeter.dashboards.figures import time
from tollmeter.dashboards.pages.asking import ask_of, filtering, grouped, height_for, label_of, whole
from tollmeter.dashboards.prepare import heat, latencies
from tollmeter.dashboards.prepare.latencies import DEFAULT_METRIC, METRICS, Metric
from tollmeter.dashboards.queries.cube import Quantiles, quantiles
from tollmeter.dashboards.queries.steps import steps
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire

OWN_METRIC: Final = "metric"
_TILES: Final = ("p50 latency", "p95 latency", "p99 latency", "p95 first token", "p50 output speed", "p95 request")
_ROWS: Final = 200
_LINES: Final = 9
_NONE: Final = Quantiles((), 0, "rows")


def layout() -> Any:
    """The frame of the page."""
    from dash import html

    return html.Div(
        [
            card.bare("latency-headline", "Headline", tiles.skeleton_row(_TILES)),
            card.bare("latency-switch", "What is measured", html.Div()),
            card.grid_of(
                card.card("latency-percentiles", "Percentiles over time"),
                card.card("latency-groups", "p95 over time, compared"),
                card.card("latency-heat", "Every value over time"),
                card.card("latency-distribution", "Distribution"),
                card.card("latency-table", "Slowest first", wide=True),
                card.card("latency-routes", "Requests, slowest routes first", wide=True),
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect its cards."""
    wire.card("latency-headline", _headline)
    wire.card("latency-switch", _switch)
    wire.card("latency-percentiles", _percentiles)
    wire.card("latency-groups", _groups)
    wire.cards(("latency-heat", "latency-distribution"), _steps)
    wire.card("latency-table", _table)
    wire.card("latency-routes", _routes)
    wire.drill("latency-groups-chart")


def _metric(asked: Asked) -> Metric:
    return METRICS.get(asked.selection.get(OWN_METRIC), METRICS[DEFAULT_METRIC])


def _headline(asked: Asked) -> Shown:
    now = {key: quantiles(asked.lake, whole(asked), metric.name) for key, metric in METRICS.items()}
    then = whole(asked, window=asked.before)
    before = {key: quantiles(asked.lake, then, metric.name) for key, metric in METRICS.items()}
    return Shown(tiles.tile_row(latencies.headline(now, before)))


def _switch(asked: Asked) -> Shown:
    chosen = _metric(asked)
    ways = [
        (
            metric.label,
            metric.meaning,
            asked.link(asked.selection.with_extra(OWN_METRIC, key * (key != DEFAULT_METRIC))),
        )
        for key, metric in METRICS.items()
    ]
    return Shown(switch("latency-metric", "what is measured", ways, chosen.label))


def _percentiles(asked: Asked) -> Shown:
    metric, ask = _metric(asked), ask_of(asked, group="")
    found = quantiles(asked.lake, ask, metric.name)
    if not found.rows:
        return _nothing(asked)
    compare = asked.selection.compare
    before = quantiles(asked.lake, ask_of(asked, group="", window=asked.before), metric.name) if compare else None
    old = (before, asked.before) if before else None
    chart = latencies.percentiles(metric, found, asked.window, old)
    label = f"{metric.label}: p50, p95 and p99 over time"
    return Shown(graph("latency-percentiles-chart", time.lines(chart), label), chart.caption)


def _nothing(asked: Asked) -> Shown:
    metric = _metric(asked)
    requests = metric.key == "request"
    told = "Requests have no model and no provider: drop these filters." if requests else "No call was measured."
    return Shown(notices.nothing_here(f"{metric.label}: {metric.meaning}. {told}"))


def _groups(asked: Asked) -> Shown:
    metric, group = _metric(asked), asked.selection.group
    if not group:
        return Shown(notices.nothing_here("Group by a dimension to compare its values."))
    found = quantiles(asked.lake, ask_of(asked, top=_LINES), metric.name)
    if not found.rows:
        return _nothing(asked)
    chart = latencies.by_group(metric, found, asked.window, asked.palette(group), group)
    label = f"{metric.label}: p95 over time by {label_of(group).lower()}"
    return Shown(graph("latency-groups-chart", time.lines(chart), label, height_for(chart)), chart.caption)


def _steps(asked: Asked) -> tuple[Shown, Shown]:
    metric = _metric(asked)
    found = steps(asked.lake, ask_of(asked, group=""), metric.name)
    if not found:
        return _nothing(asked), _nothing(asked)
    shown, spread = heat.heat_map(found, asked.window, metric.text), heat.distribution(found, metric.text)
    label = f"{metric.label}: how many values of each size"
    return (
        Shown(graph("latency-heat-chart", figures.heat_map(shown), f"{label}, over time"), shown.caption),
        Shown(graph("latency-distribution-chart", figures.distribution(spread), label), spread.caption),
    )


def _table(asked: Asked) -> Shown:
    group = asked.selection.group
    ask = whole(asked, group=group, top=_ROWS)
    calls = {key: metric for key, metric in METRICS.items() if key != "request"}
    now = {key: quantiles(asked.lake, ask, metric.name) for key, metric in calls.items()}
    before = quantiles(asked.lake, whole(asked, group=group, top=_ROWS, window=asked.before))
    trend = quantiles(asked.lake, ask_of(asked, top=_ROWS))
    rows = latencies.latency_rows(now, before, trend, asked.window, filtering(asked, group))
    columns = [
        grid.link("name", label_of(group), "href", 220, flex=2),
        grid.count("samples", "Calls", 80),
        grid.duration("p50", "p50", 85),
        grid.duration("p95", "p95", 85, sort="desc"),
        grid.duration("p99", "p99", 85),
        grid.change("change", "Δ p95", 90, headerTooltip="p95 against the period before"),
        grid.trend("trend", "p95 over time", 150),
        grid.duration("ttft_p50", "TTFT p50", 95, headerTooltip="time to first token: half of the streams"),
        grid.duration("ttft_p95", "TTFT p95", 95, headerTooltip="time to first token: 95 of 100 streams"),
        grid.rate("speed_p50", "Tokens/s", 95, headerTooltip="output tokens per second after the first, median"),
    ]
    note = "; failed ones under the model asked for" if group == "model" else ""
    caption = f"model calls by {label_of(group).lower()}{note}"
    return Shown(grid.grid("latency-table-grid", columns, grouped(rows, group), key="key"), caption)


def _routes(asked: Asked) -> Shown:
    metric = METRICS["request"]
    ask = whole(asked, group="route", top=_ROWS)
    found = {"latency": quantiles(asked.lake, ask, metric.name), "ttft": _NONE, "speed": _NONE}
    before = quantiles(asked.lake, whole(asked, group="route", top=_ROWS, window=asked.before), metric.name)
    trend = quantiles(asked.lake, ask_of(asked, group="route", top=_ROWS), metric.name)
    rows = latencies.latency_rows(found, before, trend, asked.window, filtering(asked, "route"))
    columns = [
        grid.link("name", "Route", "href", 220, flex=2),
        grid.count("samples", "Requests"),
        grid.duration("p50", "p50"),
        grid.duration("p95", "p95", sort="desc"),
        grid.duration("p99", "p99"),
        grid.change("change", "Δ p95", 90, headerTooltip="p95 against the period before"),
        grid.trend("trend", "p95 over time"),
    ]
    return Shown(grid.grid("latency-routes-grid", columns, rows, key="key"), metric.meaning)


PAGE: Final = Page("latency", "Latency", "latency", layout, register, own=(OWN_METRIC,))
