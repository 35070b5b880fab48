"""Cost: what was spent on whom, on which kinds of tokens, what caches saved, and what has no price or no owner."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components import card, grid, tiles
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures import time
from tollmeter.dashboards.pages import cost_cards, overlays
from tollmeter.dashboards.pages.asking import (
    ask_of,
    compared,
    earlier,
    filtering,
    grouped,
    height_for,
    label_of,
    whole,
)
from tollmeter.dashboards.prepare import caching, spending, token_parts, units
from tollmeter.dashboards.prepare.charts import stacked
from tollmeter.dashboards.prepare.groups import points
from tollmeter.dashboards.queries import unit_costs as queries
from tollmeter.dashboards.queries.cube import sums, total
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire

_TILES: Final = (
    "Spend", "Cost per request", "Cost per session", "Cost per user", "Saved by caches", "Unpriced calls",
)  # fmt: skip
_ROWS: Final = 500


def layout() -> Any:
    """The frame of the page."""
    from dash import html

    return html.Div(
        [
            card.bare("cost-headline", "Headline", tiles.skeleton_row(_TILES)),
            card.grid_of(
                card.card("cost-spend", "Spend over time"),
                overlays.month_card("cost-month"),
                card.card("cost-groups", "Who spent it", wide=True),
                card.card("cost-kinds", "Tokens by kind"),
                card.card("cost-parts", "What the money bought"),
                card.card("cost-hits", "Input from caches"),
                card.card("cost-caches", "What caches saved"),
                card.card("cost-unpriced", "Without a price", height=160),
                card.card("cost-unallocated", "Without an owner", height=160),
                card.card("cost-routes", "Cost per request, by route", height=200),
                card.card("cost-events", "Cost per business event", height=200),
                card.card("cost-tools", "Per-use fees", height=160),
                card.card("cost-commitments", "Capacity paid by the hour", height=160),
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect its cards."""
    wire.card("cost-headline", _headline)
    wire.card("cost-spend", _spend)
    overlays.register_month(wire, "cost-month")
    wire.card("cost-groups", _groups)
    wire.cards(("cost-kinds", "cost-parts"), _tokens)
    wire.cards(("cost-hits", "cost-caches"), _caches)
    cost_cards.register(wire)
    wire.drill("cost-spend-chart")


def _headline(asked: Asked) -> Shown:
    now, before = whole(asked), whole(asked, window=asked.before)
    found = spending.headline(
        total(asked.lake, now), total(asked.lake, before),
        queries.unit_counts(asked.lake, now), queries.unit_counts(asked.lake, before),
    )  # fmt: skip
    return Shown(tiles.tile_row(found))


def _spend(asked: Asked) -> Shown:
    ask, group = ask_of(asked), asked.selection.group
    found, before = sums(asked.lake, ask), compared(asked, ask)
    old = (points(before[0], "cost_usd"), before[1]) if before else None
    chart = stacked(
        points(found, "cost_usd"), asked.window, asked.palette(group), units.MONEY, dimension=group, before=old,
        found=found.values_found,
    )  # fmt: skip
    label = f"Spend over time by {label_of(group).lower()}"
    figure = overlays.with_unusual(asked, overlays.with_events(asked, time.bars(chart)))
    return Shown(graph("cost-spend-chart", figure, label, height_for(chart)), chart.caption)


def _groups(asked: Asked) -> Shown:
    group = asked.selection.group
    now = sums(asked.lake, whole(asked, group=group, top=_ROWS))
    before = earlier(asked, whole(asked, group=group, top=_ROWS))
    rows = spending.group_rows(now, before, total(asked.lake, whole(asked)), filtering(asked, group))
    columns = [
        grid.link("name", label_of(group), "href", 220, pinned="left"),
        grid.money("cost", "Spend", 110, sort="desc"),
        grid.share("share", "Share", 85),
        grid.change("change", "Δ spend", 90, headerTooltip="spend against the period before"),
        grid.count("calls", "Calls", 85),
        grid.count("unpriced", "Unpriced", 95, headerTooltip="calls whose cost is unknown, failed ones included"),
        grid.count("requests", "Requests", 95),
        grid.money("per_call", "Per call", 115, headerTooltip="spend over calls whose cost is known"),
        grid.money("per_request", "Per request", 105),
        grid.count("input_tokens", "Input tokens", 115),
        grid.count("output_tokens", "Output tokens", 120),
        grid.count("reasoning_tokens", "Reasoning", 100, headerTooltip="part of the output tokens"),
        grid.share("cached", "Cached", 90, headerTooltip="share of input tokens read from caches"),
        grid.money("savings", "Saved", 95, headerTooltip="what cache reads would have cost more"),
        grid.money("fees", "Fees", 90, headerTooltip="per-use fees, part of spend"),
        grid.share("errors", "Failed", 85),
        grid.count("estimated", "Estimated", 100, headerTooltip="calls whose usage was estimated"),
    ]
    caption = f"by {label_of(group).lower()} · Δ against the period before"
    return Shown(grid.grid("cost-groups-grid", columns, grouped(rows, group), key="key"), caption)


def _tokens(asked: Asked) -> tuple[Shown, Shown]:
    ask = ask_of(asked, group="")
    chart = token_parts.kinds_chart(sums(asked.lake, ask), asked.window, compared(asked, ask))
    figure = graph("cost-kinds-chart", time.bars(chart), "Tokens over time by kind")
    found = total(asked.lake, whole(asked))
    columns = [
        grid.text("name", "Kind", 130, flex=2, tooltipField="note"),
        grid.count("tokens", "Tokens", 105),
        grid.share("token_share", "of all", 80, headerTooltip="share of all tokens"),
        grid.money("cost", "Cost", 90),
        grid.share("cost_share", "of spend", 95),
        grid.money("rate", "per million", 105),
    ]
    rows = token_parts.part_rows(found)
    return Shown(figure, chart.caption), Shown(
        grid.grid("cost-parts-grid", columns, rows, key="name"), "adds up to spend"
    )


def _caches(asked: Asked) -> tuple[Shown, Shown]:
    ask, group = ask_of(asked, group=""), asked.selection.group
    chart = caching.hit_chart(sums(asked.lake, ask), asked.window, compared(asked, ask))
    figure = graph("cost-hits-chart", time.lines(chart), "Shares of input tokens read from and written to caches")
    found = sums(asked.lake, whole(asked, group=group, top=_ROWS))
    columns = [
        grid.link("name", label_of(group), "href", 160, flex=2),
        grid.share("hit", "Read", 80),
        grid.share("written", "Written", 85),
        grid.money("savings", "Saved", 95, sort="desc"),
        grid.money("writes", "Writes cost", 100),
        grid.count("own_hits", "Own cache", 95, headerTooltip="calls that the service's own cache answered"),
    ]
    rows = grouped(caching.cache_rows(found, filtering(asked, group)), group)
    table = grid.grid("cost-caches-grid", columns, rows, key="key")
    return Shown(figure, chart.caption), Shown(table, "what reads would have cost more; writes are part of spend")


PAGE: Final = Page("cost", "Cost", "cost", layout, register)
