"""From records to what is drawn: every rule of honest charts stands here, as pure functions without Dash.

- An empty bucket is 0 for sums and a gap for quantiles, and stays on the axis.
- At most nine models are drawn apart; the rest is summed as `other`, and the caption says so.
- A model keeps its colour on every chart and under every filter.
- A model without any price is named, not drawn as 0.
- A bucket that can still grow is marked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from tollmeter.dashboards import formats
from tollmeter.dashboards.filters import BUCKET_NAMES, Window
from tollmeter.dashboards.formats import Tone
from tollmeter.dashboards.records import Call, Latency, Spend, Summary
from tollmeter.model.names import COST_PRICED, STATUS_ERROR, STATUS_OK

TOP: Final = 9
OTHER: Final = "other"
OTHER_COLOUR: Final = "#98a2b3"
# No red, which is for errors, and none of the colours of the quantiles.
PALETTE: Final = (
    "#5b8ff9",
    "#5ad8a6",
    "#f6bd16",
    "#45b8d6",
    "#ff9d4d",
    "#269a99",
    "#9fb40f",
    "#c49a6c",
    "#ff99c3",
    "#4f6fae",
    "#a7c957",
    "#8d6e63",
    "#0e7490",
    "#bc6ff1",
    "#7fb069",
    "#e0a458",
    "#6d83f2",
    "#2dd4bf",
    "#b5838d",
    "#d4b106",
    "#64748b",
    "#f4978e",
    "#3f7d20",
    "#a18cd1",
)
_HOVER: Final = {bucket: "%Y-%m-%d" if name == "day" else "%Y-%m-%d %H:%M" for bucket, name in BUCKET_NAMES.items()}
LATENCY_COLOURS: Final = {"p50": "#94a3b8", "p95": "#8b7cf6", "p99": "#d16ba5"}


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one layer of bars: a value per bucket, None where there is nothing to say."""

    name: str
    values: tuple[Decimal | float | None, ...]
    labels: tuple[str, ...]
    colour: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over the buckets of a window; `hover` is d3's time format, `caption` stands beside the title."""

    starts: tuple[datetime, ...]
    hover: str
    series: tuple[Series, ...]
    filling: bool
    caption: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline number: as shown, as a machine reads it, its change, and a second line."""

    id: str
    label: str
    text: str
    unit: str
    value: str
    delta: str
    tone: Tone
    note: str
    help: str
    warn: bool = False


def colours(models: Sequence[str]) -> dict[str, str]:
    """A colour per model, by order of first appearance in the lake, so that a filter changes none.

    >>> colours(["a", "b"])["b"] == PALETTE[1]
    True
    """
    return {model: PALETTE[index % len(PALETTE)] for index, model in enumerate(models)} | {OTHER: OTHER_COLOUR}


def spend_chart(rows: Sequence[Spend], span: Window, palette: Mapping[str, str]) -> Chart:
    """Spend per bucket, stacked by model: empty buckets are 0, models beyond nine are summed as `other`."""
    starts = span.starts()
    priced = [row for row in rows if row.cost is not None]
    top, rest = ranked(priced)
    cells: defaultdict[tuple[str, datetime], Decimal] = defaultdict(Decimal)
    for row in priced:
        cells[row.model if row.model in top else OTHER, _place(row.bucket, span)] += row.cost or 0
    names = [*top, OTHER] if rest else list(top)
    series = [
        _series(name, [cells[name, start] for start in starts], palette.get(name, OTHER_COLOUR), span) for name in names
    ]
    shown = f"showing {len(top)} of {len(top) + rest} models" if rest else ""
    caption = _caption(span, shown, _without_price(rows, priced))
    return Chart(tuple(starts), _HOVER[span.bucket], tuple(series), span.filling(), caption)


def ranked(rows: Sequence[Spend]) -> tuple[tuple[str, ...], int]:
    """The nine models that cost most, dearest first, and how many more there are; `other` never stands for one."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        totals[row.model] += row.cost or 0
    names = sorted(totals, key=lambda name: (-totals[name], name))
    keep = len(names) if len(names) <= TOP + 1 else TOP
    return tuple(names[:keep]), len(names) - keep


def latency_chart(rows: Sequence[Latency], span: Window) -> Chart:
    """Quantiles of latency per bucket: a bucket without calls is a gap, for 0 ms would be a lie."""
    starts = span.starts()
    found = {_place(row.bucket, span): row for row in rows}
    series = []
    for name, colour in LATENCY_COLOURS.items():
        values = [getattr(found[start], name) if start in found else None for start in starts]
        labels = _labels([formats.duration(value) for value in values], span)
        series.append(Series(name, tuple(values), labels, colour))
    calls = sum(row.calls for row in rows)
    caption = _caption(span, f"{formats.count(calls)} timed calls")
    return Chart(tuple(starts), _HOVER[span.bucket], tuple(series), span.filling(), caption)


def tiles(now: Summary, before: Summary) -> tuple[Tile, ...]:
    """The headline row; a rise in cost, errors or latency is bad news, in traffic it is just news."""
    return (
        _spend(now, before),
        _requests(now, before),
        _tokens(now, before),
        _errors(now, before),
        *_times(now, before),
    )


def grid_rows(calls: Sequence[Call]) -> list[dict[str, object]]:
    """Calls as rows of the table: numbers stay numbers for sorting, money is exact text beside its sort key."""
    return [
        {
            "event_id": call.event_id,
            "timestamp": call.timestamp.isoformat(sep=" ", timespec="milliseconds"),
            "model": call.model,
            "route": call.route,
            "tenant": call.tenant,
            "status": call.error_type if call.status == STATUS_ERROR and call.error_type else call.status,
            "ok": call.status == STATUS_OK,
            "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens,
            "cost": formats.money(call.cost) if call.cost is not None else call.cost_status or formats.NOTHING,
            "cost_key": float(call.cost) if call.cost is not None else None,
            "cost_exact": f"{call.cost:f} USD, {call.cost_status}" if call.cost is not None else call.cost_status,
            "priced": call.cost is not None and call.cost_status == COST_PRICED,
            "latency_ms": call.latency_ms,
            "ttft_ms": call.ttft_ms,
        }
        for call in calls
    ]


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


def _series(name: str, values: Sequence[Decimal], colour: str, span: Window) -> Series:
    return Series(name, tuple(values), _labels([formats.money(value) for value in values], span), colour)


def _labels(texts: list[str], span: Window) -> tuple[str, ...]:
    if span.filling() and texts[-1] != formats.NOTHING:
        texts[-1] += " so far"
    return tuple(texts)


def _place(bucket: datetime, span: Window) -> datetime:
    return span.start + (bucket - span.start) // span.bucket * span.bucket


def _without_price(rows: Sequence[Spend], priced: Sequence[Spend]) -> str:
    names = sorted({row.model for row in rows} - {row.model for row in priced})
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""  # noqa: PLR2004
    return f"no cost known for {', '.join(names[:2])}{more}" if names else ""


def _caption(span: Window, *details: str) -> str:
    return " · ".join(part for part in (f"per {BUCKET_NAMES[span.bucket]}, UTC", *details) if part)
