"""How long answers take: percentiles over time and by value of the dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tollmeter.dashboards.dimensions import NOT_SET, dimension
from tollmeter.dashboards.prepare import cells, formats, units
from tollmeter.dashboards.prepare.charts import TOP, Chart, measured
from tollmeter.dashboards.prepare.colours import QUANTILE_COLOURS, Palette
from tollmeter.dashboards.prepare.formats import Tone
from tollmeter.dashboards.prepare.spending import Href
from tollmeter.dashboards.prepare.tiles import Tile
from tollmeter.dashboards.prepare.units import Number, Unit
from tollmeter.dashboards.queries.cube import Quantile, Quantiles
from tollmeter.dashboards.window import Window
from tollmeter.model.derived import METRIC_DURATION, METRIC_LATENCY, METRIC_SPEED, METRIC_TTFT

Row = dict[str, Any]
_Lines = dict[str, dict[datetime, Number | None]]


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured: the metric's name, what it is called, what it means, and whether more is worse."""

    key: str
    name: str
    label: str
    meaning: str
    up: Tone = "bad"

    def unit(self, longest: float) -> Unit:
        """How its values are written, the largest being so long."""
        return units.RATE if self.name == METRIC_SPEED else units.duration_unit(longest)

    def text(self, value: float | None) -> str:
        """One value."""
        return self.unit(0).label(value)


METRICS: Final = {
    metric.key: metric
    for metric in (
        Metric("latency", METRIC_LATENCY, "Latency", "from sending a model call to the end of its answer"),
        Metric("ttft", METRIC_TTFT, "First token", "from sending a model call to its first token, where it streams"),
        Metric("speed", METRIC_SPEED, "Output speed", "output tokens per second after the first", up="good"),
        Metric("request", METRIC_DURATION, "Request", "from a request's first byte to the last of its response"),
    )
}
DEFAULT_METRIC: Final = "latency"


def headline(now: Mapping[str, Quantiles], before: Mapping[str, Quantiles]) -> tuple[Tile, ...]:
    """Percentiles of the whole period; slower is bad news."""
    wanted = (
        ("latency", "p50", "p50 latency"),
        ("latency", "p95", "p95 latency"),
        ("latency", "p99", "p99 latency"),
        ("ttft", "p95", "p95 first token"),
        ("speed", "p50", "p50 output speed"),
        ("request", "p95", "p95 request"),
    )
    return tuple(
        _tile(METRICS[key], share, label, _whole(now[key]), _whole(before[key])) for key, share, label in wanted
    )


def _whole(found: Quantiles) -> Quantile | None:
    return found.rows[0] if found.rows else None


def _tile(metric: Metric, share: str, label: str, now: Quantile | None, before: Quantile | None) -> Tile:
    value = getattr(now, share) if now else None
    delta, tone = formats.change(value, getattr(before, share) if before else None, up=metric.up)
    things = "requests" if metric.name == METRIC_DURATION else "calls"
    note = f"{formats.count(now.samples)} {things}" if now else f"no {things} measured"
    exact = "" if value is None else repr(value)
    name = f"latency-{share}-{metric.key}"
    return Tile(name, label, metric.text(value), "", exact, delta, tone, note, metric.meaning)


def percentiles(metric: Metric, rows: Quantiles, span: Window, before: tuple[Quantiles, Window] | None = None) -> Chart:
    """p50, p95 and p99 per bucket; a bucket in which nothing was measured is a gap."""
    lines = _lines(rows)
    old = (_lines(before[0]), before[1]) if before else None
    notes = (f"{formats.count(sum(row.samples for row in rows.rows))} measured",)
    return measured(lines, span, QUANTILE_COLOURS, metric.unit(_longest(lines)), before=old, notes=notes)


def by_group(metric: Metric, rows: Quantiles, span: Window, palette: Palette, group: str) -> Chart:
    """p95 per bucket, a line for each of the values with most calls.

    Those beyond the first nine are not merged into one line: together they are nobody's p95.
    """
    lines: _Lines = {}
    for row in rows.rows:
        if row.name is not None:
            lines.setdefault(row.name, {})[row.bucket] = row.p95
    shown = {name: lines[name] for name in list(lines)[:TOP]}
    named = {name or NOT_SET: line for name, line in shown.items()}
    colours = {name or NOT_SET: palette.of(name) for name in shown}
    keys = {name or NOT_SET: name for name in shown}
    notes = [] if len(shown) >= rows.values_found else [
        f"showing {len(shown)} of {rows.values_found} {dimension(group).plural}, those with most calls"
    ]  # fmt: skip
    unit = metric.unit(_longest(named))
    return measured(named, span, colours, unit, keys=keys, dimension=group, notes=("p95", *notes))


def latency_rows(
    now: Mapping[str, Quantiles], before: Quantiles, trend: Quantiles, span: Window, href: Href
) -> list[Row]:
    """One row per value of the dimension, slowest first: percentiles of every metric, and the trend of one p95.

    `now` and `before` are of the whole period, `trend` has buckets.
    """
    found = {key: {row.name: row for row in each.rows} for key, each in now.items()}
    earlier = {row.name: row for row in before.rows}
    names = [row.name for row in sorted(now["latency"].rows, key=lambda row: -row.p95) if row.name is not None]
    return [
        {
            "key": f"={name}",
            "name": name or NOT_SET,
            "href": href(name),
            "samples": found["latency"][name].samples,
            **{share: getattr(found["latency"][name], share) for share in ("p50", "p95", "p99")},
            **cells.change("change", found["latency"][name].p95, _of(earlier.get(name), "p95")),
            "ttft_p50": _of(found["ttft"].get(name), "p50"),
            "ttft_p95": _of(found["ttft"].get(name), "p95"),
            "speed_p50": _of(found["speed"].get(name), "p50"),
            "trend": _trend(trend, name, span),
        }
        for name in names
    ]


def _of(row: Quantile | None, share: str) -> float | None:
    return getattr(row, share) if row else None


def _trend(rows: Quantiles, name: str, span: Window) -> list[float | None]:
    found = {span.place(row.bucket): row.p95 for row in rows.rows if row.name == name}
    return [found.get(start) for start in span.starts()]


def _lines(rows: Quantiles) -> _Lines:
    return {share: {row.bucket: getattr(row, share) for row in rows.rows} for share in QUANTILE_COLOURS}


def _longest(lines: Mapping[str, Mapping[datetime, Number | None]]) -> float:
    return max((float(value) for line in lines.values() for value in line.values() if value is not None), default=0.0)
