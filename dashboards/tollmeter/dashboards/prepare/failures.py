"""What fails: rates and types, limits, retries, fallbacks, broken streams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from tollmeter.dashboards.dimensions import NOT_SET, dimension
from tollmeter.dashboards.prepare import cells, formats, units
from tollmeter.dashboards.prepare.charts import TOP, Chart, Point, measured, stacked
from tollmeter.dashboards.prepare.colours import ERROR_COLOUR, Palette
from tollmeter.dashboards.prepare.objective import Budget
from tollmeter.dashboards.prepare.ratios import share
from tollmeter.dashboards.prepare.spending import Href
from tollmeter.dashboards.prepare.tiles import Tile
from tollmeter.dashboards.prepare.units import Number
from tollmeter.dashboards.queries.cube import Figures, Sums
from tollmeter.dashboards.queries.failing import Fallback
from tollmeter.dashboards.window import Window

Row = dict[str, Any]
_Lines = dict[str, dict[datetime, Number | None]]

_SECOND_TRIES: Final = {
    "throttles": ("429s", "#ff9d4d"),
    "retries": ("retries", "#5b8ff9"),
    "fallbacks": ("fallbacks", "#bc6ff1"),
    "partial_calls": ("partial streams", "#45b8d6"),
}
_SERVED: Final = {
    "request_errors": ("answered with 5xx", ERROR_COLOUR),
    "client_disconnects": ("clients that left", "#45b8d6"),
}
_NEARLY: Final = 0.9


def headline(now: Figures, before: Figures, budget: Budget) -> tuple[Tile, ...]:
    """Failures of calls and requests, and what is left of the error budget."""
    return (
        _rate("errors-rate", "Error rate", ("errors", "calls"), now, before),
        _throttled(now, before),
        _retried(now, before),
        _partial(now, before),
        _rate("errors-5xx", "Requests with 5xx", ("request_errors", "requests"), now, before),
        _budget(budget),
    )


def _rate(name: str, label: str, share_of: tuple[str, str], now: Figures, before: Figures) -> Tile:
    """The share that one figure is of another, and how it changed; unknown where either is."""
    figure, whole = share_of
    part, total = getattr(now, figure), getattr(now, whole)
    rate, old = share(part, total), share(getattr(before, figure), getattr(before, whole))
    delta, tone = formats.change(rate, old, up="bad")
    if rate is None:
        return Tile(name, label, formats.NOTHING, "", "", delta, tone, "not known under these filters", "")
    told = f"{formats.count(part)} of {formats.count(total)} {whole}"
    return Tile(name, label, formats.percent(part, total), "", f"{rate:.6f}", delta, tone, told, told)


def _throttled(now: Figures, before: Figures) -> Tile:
    used = largest_used(now)
    note = "no provider told its limits" if used is None else f"limit used: {formats.share(used)}"
    tile = _rate("errors-throttled", "Throttled (429)", ("throttles", "calls"), now, before)
    return replace(tile, note=note, warn=used is not None and used >= _NEARLY)


def largest_used(found: Figures) -> float | None:
    """The largest share of a provider's limit on requests or tokens that a call reported as used; None if none did."""
    told = [used for used in (found.ratelimit_used_requests, found.ratelimit_used_tokens) if used is not None]
    return max(told, default=None)


def _retried(now: Figures, before: Figures) -> Tile:
    tile = _rate("errors-retried", "Retries", ("retries", "calls"), now, before)
    fell_back = now.fallbacks
    return tile if fell_back is None else replace(tile, note=f"{formats.count(fell_back)} calls were fallbacks")


def _partial(now: Figures, before: Figures) -> Tile:
    tile, left = (
        _rate("errors-partial", "Partial streams", ("partial_calls", "calls"), now, before),
        now.client_disconnects,
    )
    return tile if left is None else replace(tile, note=f"{formats.count(left)} clients left early")


def _budget(found: Budget) -> Tile:
    left = found.left
    text = formats.NOTHING if left is None else formats.share(left)
    note = f"{formats.count(found.failed)} of {formats.count(int(found.allowed))}, 30 days"
    told = f"{formats.share(found.target)} of requests over 30 days shall not be answered with 5xx"
    value = "" if left is None else f"{left:.6f}"
    low = left is not None and left < 1 - _NEARLY
    return Tile("errors-budget", "Error budget left", text, "", value, formats.NOTHING, "neutral", note, told, low)


def types_chart(rows: Sums, span: Window, palette: Palette, before: tuple[Sums, Window] | None = None) -> Chart:
    """Failed calls per bucket, stacked by type."""
    old = (_errors(before[0]), before[1]) if before else None
    return stacked(_errors(rows), span, palette, units.COUNT, dimension="error_type", before=old)


def _errors(rows: Sums) -> list[Point]:
    return [Point(row.bucket, row.name, row.errors) for row in rows.rows]


def rates_chart(rows: Sums, span: Window, palette: Palette, group: str) -> Chart:
    """Failed calls over all calls per bucket, a line for each of the values with most failures.

    A bucket without calls is a gap: nothing failed, and nothing worked.
    """
    lines: _Lines = {}
    for row in rows.rows:
        if row.name is not None:
            lines.setdefault(row.name, {})[span.place(row.bucket)] = share(row.errors, row.calls)
    shown = dict(list(lines.items())[:TOP])
    named = {name or NOT_SET: line for name, line in shown.items()}
    colours = {name or NOT_SET: palette.of(name) for name in shown}
    keys = {name or NOT_SET: name for name in shown}
    notes = [] if len(shown) >= rows.values_found or not group else [
        f"showing {len(shown)} of {rows.values_found} {dimension(group).plural}, those with most failures"
    ]  # fmt: skip
    return measured(named, span, colours, units.SHARE, keys=keys, dimension=group, notes=notes)


def headroom_chart(rows: Sums, span: Window, palette: Palette) -> Chart:
    """The largest share of a limit that was used per bucket, by provider; a gap where no call told of one."""
    lines: defaultdict[str, dict[datetime, Number | None]] = defaultdict(dict)
    for row in rows.rows:
        used, place = largest_used(row), span.place(row.bucket)
        if used is not None and row.name is not None:
            lines[row.name or NOT_SET][place] = max(used, lines[row.name or NOT_SET].get(place) or 0)
    colours = {name: palette.of("" if name == NOT_SET else name) for name in lines}
    silent = sorted({row.name for row in rows.rows if row.name} - lines.keys())
    notes = ["largest share used"] + ([f"{', '.join(silent)} tell nothing"] if silent else [])
    keys = {name: "" if name == NOT_SET else name for name in lines}
    return measured(lines, span, colours, units.SHARE, keys=keys, dimension="provider", notes=notes)


def second_tries_chart(rows: Sums, span: Window) -> Chart:
    """429s, retries, fallbacks and partial streams per bucket: lines, for one call may be several of them."""
    return _counts(_SECOND_TRIES, rows, span)


def served_chart(rows: Sums, span: Window) -> Chart:
    """Requests answered with 5xx, and clients that left, per bucket."""
    return _counts(_SERVED, rows, span)


def _counts(wanted: dict[str, tuple[str, str]], rows: Sums, span: Window) -> Chart:
    lines: _Lines = {}
    for figure, (name, _) in wanted.items():
        known = [row for row in rows.rows if getattr(row, figure) is not None]
        if known or not rows.rows:
            line: defaultdict[datetime, Number | None] = defaultdict(int, dict.fromkeys(span.starts(), 0))
            for row in known:
                line[span.place(row.bucket)] = (line[span.place(row.bucket)] or 0) + getattr(row, figure)
            lines[name] = line
    return measured(lines, span, dict(wanted.values()), units.COUNT)


def budget_chart(points: Sequence[tuple[datetime, float]], span: Window) -> Chart:
    """What was left of the error budget at the end of each bucket that had requests."""
    lines: _Lines = {"budget left": {span.place(moment): left for moment, left in points}}
    return measured(lines, span, {"budget left": "#269a99"}, units.SHARE)


def group_rows(now: Sums, before: Sums, href: Href) -> list[Row]:
    """One row per value of the dimension, most failures first."""
    earlier = {row.name: share(row.errors, row.calls) for row in before.rows}
    return [
        {
            "key": f"={row.name}",
            "name": row.name or NOT_SET,
            "href": href(row.name),
            "calls": row.calls,
            "errors": row.errors,
            "rate": share(row.errors, row.calls),
            **cells.change("change", share(row.errors, row.calls), earlier.get(row.name)),
            "throttles": row.throttles,
            "used": largest_used(row),
            "retries": row.retries,
            "fallbacks": row.fallbacks,
            "partial": row.partial_calls,
            "requests": row.requests,
            "request_errors": row.request_errors,
        }
        for row in now.rows
        if row.name is not None
    ]


def fallback_rows(found: Sequence[Fallback], href: Href) -> list[Row]:
    """Which model stood in for which."""
    return [
        {
            "key": f"{each.origin}>{each.provider}={each.model}",
            "origin": each.origin,
            "name": each.model,
            "href": href(each.model),
            "provider": each.provider,
            "calls": each.calls,
            "errors": each.errors,
            "failed": share(each.errors, each.calls),
            **cells.money("cost", each.cost, "unpriced"),
        }
        for each in found
    ]
