"""Errors and reliability: what fails and why, limits and headroom, second tries, and the error budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.components import card, grid, notices, tiles
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures import time
from tollmeter.dashboards.pages.asking import (
    ask_of,
    compared,
    earlier,
    failing_group,
    filtering,
    grouped,
    height_for,
    label_of,
    whole,
    with_requests,
)
from tollmeter.dashboards.prepare import failures, formats, objective
from tollmeter.dashboards.queries.cube import Sums, sums, total
from tollmeter.dashboards.queries.failing import fallbacks
from tollmeter.dashboards.queries.plan import OF_CALLS
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import window
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire
from tollmeter.model.names import STATUS_ERROR

if TYPE_CHECKING:
    from tollmeter.dashboards.window import Window

_TILES: Final = (
    "Error rate", "Throttled (429)", "Retried", "Partial streams", "Requests with 5xx", "Error budget left",
)  # fmt: skip
_ROWS: Final = 200
_LINES: Final = 9


def layout() -> Any:
    """The frame of the page."""
    from dash import html

    return html.Div(
        [
            card.bare("errors-headline", "Headline", tiles.skeleton_row(_TILES)),
            card.grid_of(
                card.card("errors-types", "Failed calls by type"),
                card.card("errors-rates", "Error rate, compared"),
                card.card("errors-headroom", "Rate limits used"),
                card.card("errors-tries", "429s, retries, fallbacks, partial streams"),
                card.card("errors-groups", "What fails most", wide=True),
                card.card("errors-served", "Requests that failed their client"),
                card.card("errors-budget", "Error budget, last 30 days"),
                card.card("errors-fallbacks", "Fallbacks: who stood in for whom", wide=True, height=160),
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect its cards."""
    wire.card("errors-headline", _headline)
    wire.card("errors-types", _types)
    wire.card("errors-rates", _rates)
    wire.card("errors-headroom", _headroom)
    wire.card("errors-tries", _tries)
    wire.card("errors-groups", _groups)
    wire.card("errors-served", _served)
    wire.card("errors-budget", _budget)
    wire.card("errors-fallbacks", _fallbacks)
    for chart in ("types", "rates", "headroom"):
        wire.drill(f"errors-{chart}-chart")


def _headline(asked: Asked) -> Shown:
    now, before = total(asked.lake, whole(asked)), total(asked.lake, whole(asked, window=asked.before))
    served, _ = _served_lately(asked)
    budget = objective.budget(asked.lake.settings.slo_target, served)
    return Shown(tiles.tile_row(failures.headline(now, before, budget)))


def _types(asked: Asked) -> Shown:
    failed = asked.selection.with_filter("status", (STATUS_ERROR,))
    ask = ask_of(asked, group="error_type", filters=failed.filters, rank="errors")
    found = sums(asked.lake, ask)
    if not found.rows:
        return Shown(notices.nothing_here("No call failed."))
    chart = failures.types_chart(found, asked.window, asked.palette("error_type"), compared(asked, ask))
    return Shown(
        graph("errors-types-chart", time.bars(chart), "Failed calls over time by type of error"), chart.caption
    )


def _rates(asked: Asked) -> Shown:
    group = failing_group(asked)
    found = sums(asked.lake, ask_of(asked, group=group, rank="errors", top=_LINES))
    chart = failures.rates_chart(found, asked.window, asked.palette(group), group)
    label = f"Share of calls that failed over time by {label_of(group).lower()}"
    return Shown(graph("errors-rates-chart", time.lines(chart), label, height_for(chart)), chart.caption)


def _headroom(asked: Asked) -> Shown:
    found = sums(asked.lake, with_requests(ask_of(asked, group="provider")))
    chart = failures.headroom_chart(found, asked.window, asked.palette("provider"))
    if not chart.series:
        return Shown(notices.nothing_here("No call told of a rate limit."))
    label = "Largest share of a provider's rate limit that was used, over time"
    return Shown(graph("errors-headroom-chart", time.lines(chart), label), chart.caption)


def _tries(asked: Asked) -> Shown:
    chart = failures.second_tries_chart(sums(asked.lake, ask_of(asked, group="")), asked.window)
    label = "429s, retries, fallbacks, partial streams over time"
    return Shown(graph("errors-tries-chart", time.lines(chart), label), chart.caption)


def _groups(asked: Asked) -> Shown:
    group = failing_group(asked)
    ask = whole(asked, group=group, rank="errors", top=_ROWS)
    rows = failures.group_rows(sums(asked.lake, ask), earlier(asked, ask), filtering(asked, group))
    columns = [
        grid.link("name", label_of(group), "href", 200, flex=2),
        grid.count("errors", "Failed", 85, sort="desc"),
        grid.share("rate", "Error rate", 95),
        grid.change("change", "Δ rate", 90, headerTooltip="error rate against the period before"),
        grid.count("calls", "Calls", 85),
        grid.count("throttles", "429s", 80),
        grid.share("used", "Limit used", 100, headerTooltip="largest share of a rate limit that was used"),
        grid.count("retries", "Retries", 85),
        grid.count("fallbacks", "Fallbacks", 95),
        grid.count("partial", "Partial", 85, headerTooltip="streams that broke off"),
        grid.count("requests", "Requests", 95),
        grid.count("request_errors", "5xx", 75, headerTooltip="requests answered with 5xx"),
    ]
    caption = f"by {label_of(group).lower()}" if group else ""
    return Shown(grid.grid("errors-groups-grid", columns, grouped(rows, group), key="key"), caption)


def _served(asked: Asked) -> Shown:
    found = sums(asked.lake, with_requests(ask_of(asked, group="")))
    chart = failures.served_chart(found, asked.window)
    if not chart.series:
        return Shown(notices.nothing_here("Requests have no model and no provider: drop these filters."))
    label = "Requests answered with 5xx, and clients that left"
    return Shown(graph("errors-served-chart", time.lines(chart), label), chart.caption)


def _budget(asked: Asked) -> Shown:
    target = asked.lake.settings.slo_target
    served, span = _served_lately(asked)
    found = objective.budget(target, served)
    if found.left is None:
        return Shown(notices.nothing_here("No request to judge by."))
    chart = failures.budget_chart(objective.left_over_time(target, served), span)
    allowed, requests = formats.count(int(found.allowed)), formats.count(found.total)
    caption = f"{formats.count(found.failed)} of {allowed} allowed 5xx among {requests} requests · target {target:.2%}"
    label = "What was left of the error budget over time"
    return Shown(graph("errors-budget-chart", time.lines(chart), label), caption)


def _served_lately(asked: Asked) -> tuple[Sums, Window]:
    """Requests of the last 30 days, whatever range is chosen; filters that requests do not have are left out."""
    span = window(Selection(range="30d"), asked.window.now, asked.window.zone)
    filters = tuple(pair for pair in asked.selection.filters if pair[0] not in OF_CALLS)
    ask = ask_of(asked, window=span, group="", filters=filters, bucket="day")
    return sums(asked.lake, with_requests(ask)), span


def _fallbacks(asked: Asked) -> Shown:
    rows = failures.fallback_rows(fallbacks(asked.lake, ask_of(asked)), filtering(asked, "model"))
    if not rows:
        return Shown(notices.nothing_here("No model stood in for another one."))
    columns = [
        grid.text("origin", "Instead of", 190, flex=2),
        grid.link("name", "answered", "href", 220, flex=2),
        grid.text("provider", "at", 110),
        grid.count("calls", "Calls", sort="desc"),
        grid.count("errors", "of them failed", 115),
        grid.share("failed", "Failed"),
        grid.money("cost", "Spend"),
    ]
    return Shown(grid.grid("errors-fallbacks-grid", columns, rows, key="key"))


PAGE: Final = Page("errors", "Errors", "errors", layout, register)
