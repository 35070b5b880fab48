"""Overview: the headline, where the money goes, how fast and how reliably the answers come, what is left open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tollmeter.dashboards.components import card, notices, table, tiles
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures import ranking, time
from tollmeter.dashboards.pages import overlays
from tollmeter.dashboards.prepare import overview as prepare
from tollmeter.dashboards.queries import cube
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire
from tollmeter.model.derived import METRIC_LATENCY, METRIC_TTFT

_TILES: Final = ("Spend", "Requests", "Tokens", "Error rate", "p95 latency", "p95 first token")
_LINKS: Final = {"spend": "cost", "requests": "calls", "tokens": "cost", "errors": "errors", "latency": "latency",
                 "ttft": "latency"}  # fmt: skip
_OPEN: Final = ("tenant", "team", "feature")
_TOP: Final = 10


def layout() -> Any:
    """The frame of the page."""
    from dash import html

    return html.Div(
        [
            card.bare("overview-headline", "Headline", tiles.skeleton_row(_TILES)),
            card.grid_of(
                card.card("overview-spend", "Spend over time"),
                card.card("overview-cost", "Cost by group"),
                overlays.month_card("overview-month"),
                card.card("overview-latency", "Latency of model calls"),
                card.card("overview-errors", "Failed calls by type"),
                card.card("overview-tenants", "Top tenants"),
                card.card("overview-users", "Top users"),
                card.card("overview-open", "Left open", wide=True, height=180),
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect its cards."""
    wire.card("overview-headline", _headline)
    # Few readings at a time: a browser keeps six connections to a server, and one has to be left for cancelling.
    wire.cards(("overview-spend", "overview-cost"), lambda asked: (_spend(asked), _cost(asked)))
    overlays.register_month(wire, "overview-month")
    wire.cards(("overview-latency", "overview-errors"), lambda asked: (_latency(asked), _errors(asked)))
    wire.cards(
        ("overview-tenants", "overview-users", "overview-open"),
        lambda asked: (_top(asked, "tenant"), _top(asked, "user"), _open(asked)),
    )
    for name in ("spend", "cost", "errors", "tenants", "users"):
        wire.drill(f"overview-{name}-chart")


def _headline(asked: Asked) -> Shown:
    now, before = (cube.total(asked.lake, ask) for ask in (asked.ask(), asked.ask_before()))
    times = {
        name: (_p95(asked, asked.ask(), metric), _p95(asked, asked.ask_before(), metric))
        for name, metric in (("latency", METRIC_LATENCY), ("ttft", METRIC_TTFT))
    }
    start, end = asked.before.local(asked.before.start), asked.before.local(asked.before.end)
    then = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {asked.before.zone}"
    made = prepare.headline(now, before, times, then)
    return Shown(tiles.tile_row([replace(tile, href=_href(asked, _LINKS[tile.id])) for tile in made]))


def _p95(asked: Asked, ask: cube.Ask, metric: str) -> float | None:
    found = cube.quantiles(asked.lake, replace(ask, bucket="all"), metric).rows
    return found[0].p95 if found else None


def _spend(asked: Asked) -> Shown:
    group = asked.selection.group
    now = cube.sums(asked.lake, asked.ask(group, top=_TOP))
    before = (cube.sums(asked.lake, asked.ask_before()), asked.before) if asked.selection.compare else None
    chart = prepare.spend_chart(now, asked.window, asked.palette(group), group, before)
    if not chart.series:
        return Shown(notices.nothing_here("No priced call in this period."), chart.caption)
    label = f"Spend over time by {asked.group}" if group else "Spend over time"
    figure = overlays.with_unusual(asked, overlays.with_events(asked, time.bars(chart)))
    return Shown(graph("overview-spend-chart", figure, label), chart.caption)


def _cost(asked: Asked) -> Shown:
    group = asked.selection.group
    if not group:
        return Shown(notices.nothing_here("Charts are not grouped; choose what to group them by."))
    return _top(asked, group, "overview-cost-chart")


def _top(asked: Asked, dimension: str, name: str = "") -> Shown:
    found = cube.sums(asked.lake, asked.ask(dimension, bucket="all", top=_TOP))
    made = prepare.cost_ranking(found, asked.palette(dimension), dimension)
    if not made.bars:
        return Shown(notices.nothing_here("No priced call in this period."), made.caption)
    height = ranking.height(made)
    chart = graph(name or f"overview-{dimension}s-chart", ranking.across(made), f"Cost by {dimension}", height)
    return Shown(chart, made.caption)


def _latency(asked: Asked) -> Shown:
    now = cube.quantiles(asked.lake, asked.ask())
    before = (cube.quantiles(asked.lake, asked.ask_before()), asked.before) if asked.selection.compare else None
    chart = prepare.latency_chart(now, asked.window, before)
    return Shown(graph("overview-latency-chart", time.lines(chart), "Percentiles of latency over time"), chart.caption)


def _errors(asked: Asked) -> Shown:
    calls = cube.total(asked.lake, asked.ask()).calls
    now = cube.sums(asked.lake, asked.ask("error_type", top=_TOP, rank="errors"))
    before = (cube.sums(asked.lake, asked.ask_before()), asked.before) if asked.selection.compare else None
    chart = prepare.error_chart(now, calls, asked.window, asked.palette("error_type"), before)
    if not chart.series:
        return Shown(notices.nothing_here("No failed call in this period."), chart.caption)
    return Shown(graph("overview-errors-chart", time.bars(chart), "Failed calls over time by type"), chart.caption)


def _open(asked: Asked) -> Shown:
    total = cube.total(asked.lake, asked.ask())
    without = {name: _without(asked, name) for name in _OPEN if not asked.selection.values(name)}
    rows = prepare.unknowns(total, without)
    return Shown(table.table(("", "Calls", "of all calls", "Spend", "of spend"), rows))


def _without(asked: Asked, dimension: str) -> cube.Figures:
    """The figures of the calls that carry no value of a dimension."""
    return cube.total(asked.lake, replace(asked.ask(), filters=asked.selection.with_filter(dimension, ("",)).filters))


def _href(asked: Asked, path: str) -> str:
    from tollmeter.dashboards.pages import page_at

    return asked.link(path=path) if page_at(f"/{path}") else ""


PAGE: Final = Page("", "Overview", "overview", layout, register)
