"""The overview's numbers and charts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tollmeter.dashboards.prepare import formats, units
from tollmeter.dashboards.prepare.charts import Chart, Point, measured, stacked
from tollmeter.dashboards.prepare.colours import QUANTILE_COLOURS, palette
from tollmeter.dashboards.prepare.tiles import Tile
from tollmeter.dashboards.prepare.units import Number
from tollmeter.dashboards.queries.records import Latency, Spend, Summary
from tollmeter.dashboards.window import Window

_Lines = dict[str, dict[datetime, Number | None]]
_NAMED: Final = 2


def headline(now: Summary, before: Summary) -> tuple[Tile, ...]:
    """The headline row; a rise in cost, errors or latency is bad news, in traffic it is just news."""
    return (
        _spend(now, before),
        _requests(now, before),
        _tokens(now, before),
        _errors(now, before),
        *_times(now, before),
    )


def _spend(now: Summary, before: Summary) -> Tile:
    delta, tone = formats.change(now.spend, before.spend, up="bad")
    value = "" if now.spend is None else f"{now.spend:f}"
    note = f"unpriced calls: {formats.count(now.unpriced_calls)}"
    text, unit = formats.money(now.spend), "USD" if now.spend is not None else ""
    exact = (
        f"{value or 'no priced call,'} USD over priced calls; unpriced are calls of unknown cost, failed ones included"
    )
    # A failed call rarely tells its usage; more unpriced calls than failed ones is a gap in the price list.
    warn = now.unpriced_calls > now.failed_calls
    return Tile("spend", "Spend", text, unit, value, delta, tone, note, exact, warn)


def _requests(now: Summary, before: Summary) -> Tile:
    delta, tone = formats.change(now.requests, before.requests, up="neutral")
    note = f"{formats.compact(now.calls)} model calls"
    exact = f"{formats.count(now.requests)} requests, {formats.count(now.calls)} model calls"
    return Tile("requests", "Requests", formats.compact(now.requests), "", str(now.requests), delta, tone, note, exact)


def _tokens(now: Summary, before: Summary) -> Tile:
    total, old = now.input_tokens + now.output_tokens, before.input_tokens + before.output_tokens
    delta, tone = formats.change(total, old, up="neutral")
    parts = (("in", now.input_tokens), ("out", now.output_tokens), ("cached", now.cache_read_tokens))
    note = " · ".join(f"{formats.compact(value)} {name}" for name, value in parts)
    exact = ", ".join(f"{formats.count(value)} {name}" for name, value in parts) + "; cached is part of in"
    return Tile("tokens", "Tokens", formats.compact(total), "", str(total), delta, tone, note, exact)


def _errors(now: Summary, before: Summary) -> Tile:
    rates = [item.failed_calls / item.calls if item.calls else None for item in (now, before)]
    delta, tone = formats.change(rates[0], rates[1], up="bad")
    note = f"{formats.count(now.failed_calls)} of {formats.compact(now.calls)} calls"
    value = "" if rates[0] is None else f"{rates[0]:.6f}"
    text = formats.percent(now.failed_calls, now.calls)
    return Tile("errors", "Error rate", text, "", value, delta, tone, note, "failed model calls over all model calls")


def _times(now: Summary, before: Summary) -> tuple[Tile, Tile]:
    pairs = (
        ("latency", "p95 latency", now.p95_latency_ms, before.p95_latency_ms, "call sent to end of answer"),
        ("ttft", "p95 first token", now.p95_ttft_ms, before.p95_ttft_ms, "call sent to first token"),
    )
    made = []
    for name, label, value, old, note in pairs:
        delta, tone = formats.change(value, old, up="bad")
        exact = formats.NOTHING if value is None else f"{value:,.3f} ms"
        made.append(
            Tile(
                name, label, formats.duration(value), "", "" if value is None else repr(value), delta, tone, note, exact
            )
        )
    return made[0], made[1]


def spend_chart(
    rows: Sequence[Spend], span: Window, models: Sequence[str], before: tuple[Sequence[Spend], Window] | None = None
) -> Chart:
    """Spend per bucket, stacked by model; models without any price are named, not drawn as 0."""
    old = (_points(before[0]), before[1]) if before else None
    notes = (_without_price(rows),)
    return stacked(_points(rows), span, palette(models), units.MONEY, dimension="model", before=old, notes=notes)


def latency_chart(
    rows: Sequence[Latency], span: Window, before: tuple[Sequence[Latency], Window] | None = None
) -> Chart:
    """Quantiles of latency per bucket."""
    lines = _quantiles(rows)
    longest = max((value for line in lines.values() for value in line.values() if value is not None), default=0)
    old = (_quantiles(before[0]), before[1]) if before else None
    notes = (f"{formats.count(sum(row.calls for row in rows))} timed calls",)
    unit = units.duration_unit(float(longest))
    return measured(lines, span, QUANTILE_COLOURS, unit, before=old, notes=notes)


def _points(rows: Sequence[Spend]) -> list[Point]:
    return [Point(row.bucket, row.model, row.cost) for row in rows]


def _quantiles(rows: Sequence[Latency]) -> _Lines:
    return {name: {row.bucket: getattr(row, name) for row in rows} for name in QUANTILE_COLOURS}


def _without_price(rows: Sequence[Spend]) -> str:
    names = sorted({row.model for row in rows} - {row.model for row in rows if row.cost is not None})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"no cost known for {', '.join(names[:_NAMED])}{more}" if names else ""
