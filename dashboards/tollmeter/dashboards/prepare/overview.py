"""The overview's numbers and charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from tollmeter.dashboards.dimensions import DIMENSIONS
from tollmeter.dashboards.prepare import formats, units
from tollmeter.dashboards.prepare.charts import Chart, Point, Ranking, measured, ranking, stacked
from tollmeter.dashboards.prepare.colours import QUANTILE_COLOURS, Palette
from tollmeter.dashboards.prepare.tiles import Tile
from tollmeter.dashboards.prepare.units import Number
from tollmeter.dashboards.queries.cube import Figures, Quantile, Quantiles, Sum, Sums
from tollmeter.dashboards.window import Window

_NAMED: Final = 2
_Lines = dict[str, dict[datetime, Number | None]]


def headline(
    now: Figures, before: Figures, times: Mapping[str, tuple[float | None, float | None]], then: str = ""
) -> tuple[Tile, ...]:
    """The headline row; a rise in cost, errors or latency is bad news, in traffic it is just news.

    `times` are p95 now and before, in ms, of `latency` and `ttft`; `then` names the period before in words.
    """
    tiles = (_spend(now, before), _requests(now, before), _tokens(now, before), _errors(now, before), *_times(times))
    return tuple(replace(tile, before=f"against {then}") for tile in tiles) if then else tiles


def spend_chart(
    now: Sums, span: Window, palette: Palette, dimension: str, before: tuple[Sums, Window] | None = None
) -> Chart:
    """Spend per bucket, stacked by a dimension's values; those without any price are named, not drawn as 0."""
    old = (_points(before[0]), before[1]) if before else None
    notes = (_without_price(now.rows, dimension),)
    return stacked(
        _points(now), span, palette, units.MONEY, dimension=dimension, found=now.values_found, before=old, notes=notes
    )


def cost_ranking(found: Sums, palette: Palette, dimension: str) -> Ranking:
    """What each value of a dimension cost over the whole span."""
    totals = {row.name: row.cost_usd for row in found.rows}
    return ranking(totals, palette, units.MONEY, dimension=dimension, found=found.values_found)


def latency_chart(now: Quantiles, span: Window, before: tuple[Quantiles, Window] | None = None) -> Chart:
    """Percentiles of latency per bucket."""
    lines = _percentiles(now.rows)
    longest = max((value for line in lines.values() for value in line.values() if value is not None), default=0)
    old = (_percentiles(before[0].rows), before[1]) if before else None
    notes = (f"{formats.count(sum(row.samples for row in now.rows))} timed calls",)
    return measured(lines, span, QUANTILE_COLOURS, units.duration_unit(float(longest)), before=old, notes=notes)


def error_chart(
    now: Sums, calls: int, span: Window, palette: Palette, before: tuple[Sums, Window] | None = None
) -> Chart:
    """Failed calls per bucket, stacked by type of error."""
    points = [Point(row.bucket, row.name, row.errors) for row in now.rows if row.errors]
    old = ([Point(row.bucket, row.name, row.errors) for row in before[0].rows], before[1]) if before else None
    failed = sum(row.errors for row in now.rows)
    note = f"{formats.count(failed)} of {formats.count(calls)} calls, {formats.percent(failed, calls)}"
    return stacked(points, span, palette, units.COUNT, dimension="error_type", before=old, notes=(note,))


def unknowns(total: Figures, without: Mapping[str, Figures]) -> list[dict[str, object]]:
    """What the spend leaves open, as rows of a table: calls without a price, and spend nobody is named for.

    `without` has the figures of the calls that carry no value of a dimension, by dimension.
    """
    rows: list[dict[str, object]] = [
        _unknown("Calls without a price", total.unpriced_calls, total.calls, None, total),
        _unknown("Calls whose usage was estimated", total.estimated_calls, total.calls, None, total),
        _unknown("Calls whose usage is missing", total.missing_usage_calls, total.calls, None, total),
    ]
    for name, found in without.items():
        label = f"Spend without a {DIMENSIONS[name].label.lower()}"
        rows.append(_unknown(label, found.calls, total.calls, found.cost_usd or Decimal(0), total))
    return rows


def _unknown(label: str, calls: int | None, all_calls: int, cost: Decimal | None, total: Figures) -> dict[str, object]:
    share_of_spend = ""
    if cost is not None and total.cost_usd:
        share_of_spend = formats.share(float(cost / total.cost_usd))
    return {
        "label": label,
        "calls": formats.NOTHING if calls is None else formats.count(calls),
        "of_calls": formats.NOTHING if calls is None else formats.percent(calls, all_calls),
        "cost": "" if cost is None else formats.money(cost),
        "of_spend": share_of_spend,
        "open": bool(calls),
    }


def _points(found: Sums) -> list[Point]:
    return [Point(row.bucket, row.name, row.cost_usd) for row in found.rows]


def _percentiles(rows: Iterable[Quantile]) -> _Lines:
    held = list(rows)
    return {name: {row.bucket: getattr(row, name) for row in held} for name in QUANTILE_COLOURS}


def _without_price(rows: Sequence[Sum], dimension: str) -> str:
    if not dimension:
        return ""
    names = sorted({row.name or "" for row in rows} - {row.name or "" for row in rows if row.cost_usd is not None})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    shown = ", ".join(DIMENSIONS[dimension].text(name) for name in names[:_NAMED])
    return f"no cost known for {shown}{more}" if names else ""


def _spend(now: Figures, before: Figures) -> Tile:
    delta, tone = formats.change(now.cost_usd, before.cost_usd, up="bad")
    value = "" if now.cost_usd is None else f"{now.cost_usd:f}"
    note = f"unpriced calls: {formats.count(now.unpriced_calls)}"
    text, unit = formats.money(now.cost_usd), "USD" if now.cost_usd is not None else ""
    exact = (
        f"{value or 'no priced call,'} USD over priced calls; unpriced are calls of unknown cost, failed ones included"
    )
    # A failed call rarely tells its usage; more unpriced calls than failed ones is a gap in the price list.
    warn = now.unpriced_calls > now.errors
    return Tile("spend", "Spend", text, unit, value, delta, tone, note, exact, warn)


def _requests(now: Figures, before: Figures) -> Tile:
    if now.requests is None:
        delta, tone = formats.change(now.calls, before.calls, up="neutral")
        exact = "requests have no model, provider or prompt: with such a filter, model calls are counted"
        text = formats.compact(now.calls)
        return Tile("requests", "Model calls", text, "", str(now.calls), delta, tone, "requests: not known", exact)
    # Without a single call the period before had no requests that are known of either.
    old = before.requests if before.calls else before.requests or 0
    delta, tone = formats.change(now.requests, old, up="neutral")
    note = f"{formats.compact(now.calls)} model calls"
    exact = f"{formats.count(now.requests)} requests, {formats.count(now.calls)} model calls"
    return Tile("requests", "Requests", formats.compact(now.requests), "", str(now.requests), delta, tone, note, exact)


def _tokens(now: Figures, before: Figures) -> Tile:
    total, old = now.input_tokens + now.output_tokens, before.input_tokens + before.output_tokens
    delta, tone = formats.change(total, old, up="neutral")
    parts = (("in", now.input_tokens), ("out", now.output_tokens), ("cached", now.cache_read_tokens))
    note = " · ".join(f"{formats.compact(value)} {name}" for name, value in parts)
    exact = ", ".join(f"{formats.count(value)} {name}" for name, value in parts) + "; cached is part of in"
    return Tile("tokens", "Tokens", formats.compact(total), "", str(total), delta, tone, note, exact)


def _errors(now: Figures, before: Figures) -> Tile:
    rates = [item.errors / item.calls if item.calls else None for item in (now, before)]
    delta, tone = formats.change(rates[0], rates[1], up="bad")
    note = f"{formats.count(now.errors)} of {formats.compact(now.calls)} calls"
    value = "" if rates[0] is None else f"{rates[0]:.6f}"
    text = formats.percent(now.errors, now.calls)
    return Tile("errors", "Error rate", text, "", value, delta, tone, note, "failed model calls over all model calls")


def _times(times: Mapping[str, tuple[float | None, float | None]]) -> tuple[Tile, Tile]:
    return (
        _time("latency", "p95 latency", *times["latency"], "call sent to end"),
        _time("ttft", "p95 first token", *times["ttft"], "call sent to first token"),
    )


def _time(name: str, label: str, value: float | None, old: float | None, note: str) -> Tile:
    delta, tone = formats.change(value, old, up="bad")
    exact = formats.NOTHING if value is None else f"{value:,.3f} ms"
    plain = "" if value is None else repr(value)
    return Tile(name, label, formats.duration(value), "", plain, delta, tone, note, exact)
