"""Spend: the headline, and the table of the dimension that everything is grouped by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from tollmeter.dashboards.dimensions import NOT_SET
from tollmeter.dashboards.prepare import cells, formats
from tollmeter.dashboards.prepare.formats import Tone
from tollmeter.dashboards.prepare.ratios import per, share
from tollmeter.dashboards.prepare.tiles import Tile
from tollmeter.dashboards.queries.cube import Figures, Sum, Sums
from tollmeter.dashboards.queries.unit_costs import UnitCounts

Row = dict[str, Any]
Href = Callable[[str], str]

UNPRICED: Final = "unpriced"
_ROOMY: Final = 8
"""Characters of an amount beside which its tile has room for the currency."""


def headline(now: Figures, before: Figures, units: UnitCounts, units_before: UnitCounts) -> tuple[Tile, ...]:
    """What was spent, what one request, session and user cost, what caches saved, and what has no price."""
    return (
        _spend(now, before),
        _per_request(now, before),
        _per_session(units, units_before),
        _per_user(units, units_before),
        _savings(now, before),
        _unpriced(now, before),
    )


def _spend(now: Figures, before: Figures) -> Tile:
    tile = _money_tile("cost-spend", "Spend", now.cost_usd, before.cost_usd)
    return _told(tile, f"{formats.compact(now.calls)} model calls", "sum over calls whose cost is known")


def _per_request(now: Figures, before: Figures) -> Tile:
    if now.requests is None:
        each = [per(figures.cost_usd, figures.calls - figures.unpriced_calls) for figures in (now, before)]
        tile = _money_tile("cost-per-request", "Cost per call", *each)
        return _told(tile, "requests have no model", "spend over calls whose cost is known")
    each = [per(figures.cost_usd, figures.requests) for figures in (now, before)]
    told = "spend over requests served, those without a model call included"
    tile = _money_tile("cost-per-request", "Cost per request", *each)
    return _told(tile, f"{formats.compact(now.requests)} requests", told)


def _per_session(now: UnitCounts, before: UnitCounts) -> Tile:
    each = [per(units.sessions_cost, units.sessions) for units in (now, before)]
    told = "spend of calls that name a session, over the sessions named"
    tile = _money_tile("cost-per-session", "Cost per session", *each)
    return _told(tile, f"{formats.compact(now.sessions)} sessions", told)


def _per_user(now: UnitCounts, before: UnitCounts) -> Tile:
    each = [per(units.users_cost, units.users) for units in (now, before)]
    told = "spend of calls that name a user, over the users named"
    return _told(_money_tile("cost-per-user", "Cost per user", *each), f"{formats.compact(now.users)} users", told)


def _savings(now: Figures, before: Figures) -> Tile:
    tile = _money_tile("cost-savings", "Saved by caches", now.cache_savings_usd, before.cache_savings_usd, up="good")
    saved = share(now.cache_savings_usd, (now.cache_savings_usd or 0) + (now.cost_usd or 0))
    note = f"{formats.share(saved)} of full price" if saved is not None else "nothing came from a cache"
    return _told(tile, note, "what tokens read from caches would have cost more; writing them is part of spend")


def _unpriced(now: Figures, before: Figures) -> Tile:
    delta, tone = formats.change(now.unpriced_calls, before.unpriced_calls, up="bad")
    # A failed call rarely tells its usage; more unpriced calls than failed ones is a gap in the price list.
    answered = max(now.unpriced_calls - now.errors, 0)
    note = f"{formats.count(answered)} more than failed" if answered else "no more than failed"
    text = formats.percent(now.unpriced_calls, now.calls)
    told = f"{formats.count(now.unpriced_calls)} of {formats.count(now.calls)} calls have no known cost"
    return Tile(
        "cost-unpriced", "Unpriced calls", text, "", str(now.unpriced_calls), delta, tone, note, told, bool(answered)
    )


def _money_tile(name: str, label: str, now: Decimal | None, before: Decimal | None, *, up: Tone = "bad") -> Tile:
    delta, tone = formats.change(now, before, up=up)
    value, text = "" if now is None else f"{now:f}", formats.money(now)
    unit = "USD" if value and len(text) <= _ROOMY else ""
    return Tile(name, label, text, unit, value, delta, tone, "", "")


def _told(tile: Tile, note: str, meaning: str) -> Tile:
    return replace(tile, note=note, help=f"{tile.value or 'unknown'}{' USD' if tile.value else ''}: {meaning}")


def group_rows(now: Sums, before: Sums, whole: Figures, href: Href) -> list[Row]:
    """One row per value of the dimension, dearest first; what is beyond those told apart is one row at the end."""
    earlier = {row.name: row for row in before.rows}
    return [_group_row(row, earlier.get(row.name), whole, now, href) for row in now.rows]


def _group_row(row: Sum, before: Sum | None, whole: Figures, found: Sums, href: Href) -> Row:
    shown = len(found.rows) - 1
    name = row.name if row.name is not None else f"all {formats.count(found.values_found - shown)} others"
    compared = before.cost_usd if before else None
    # What own caches answered costs 0: beside it a model without a price would look free.
    cost = row.cost_usd or None if row.unpriced_calls else row.cost_usd
    priced = row.calls - row.unpriced_calls
    return {
        "key": "" if row.name is None else f"={row.name}",
        "name": name or NOT_SET,
        "href": "" if row.name is None else href(row.name),
        **cells.money("cost", cost, UNPRICED),
        "share": share(row.cost_usd, whole.cost_usd),
        **cells.change("change", row.cost_usd, compared),
        "calls": row.calls,
        "requests": row.requests,
        **cells.money("per_call", per(cost, priced), formats.NOTHING),
        **cells.money("per_request", per(cost, row.requests), formats.NOTHING),
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "cached": share(row.cache_read_tokens, row.input_tokens),
        **cells.money("savings", row.cache_savings_usd, formats.NOTHING),
        **cells.money("fees", row.fees_usd, formats.NOTHING),
        "errors": share(row.errors, row.calls),
        "unpriced": row.unpriced_calls,
        "estimated": row.estimated_calls,
    }
