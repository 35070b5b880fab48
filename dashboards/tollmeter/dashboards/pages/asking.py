"""How pages ask the cube: by the selection's window, group and filters, now and in the period before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.components.graph import HEIGHT
from tollmeter.dashboards.dimensions import dimension
from tollmeter.dashboards.queries.cube import Ask, Sums, sums
from tollmeter.dashboards.queries.plan import plan_sums

Row = dict[str, Any]
ALL: Final = "All"
_SHORT_LEGEND: Final = 4
_LEGEND_LINE: Final = 14

if TYPE_CHECKING:
    from tollmeter.dashboards.prepare.charts import Chart
    from tollmeter.dashboards.window import Window
    from tollmeter.dashboards.wire import Asked


def ask_of(asked: Asked, **more: Any) -> Ask:
    """The question of a selection; `more` are fields of `Ask` that differ."""
    chosen = asked.selection
    return replace(Ask(asked.window, asked.viewer, chosen.group, chosen.filters), **more)


def whole(asked: Asked, **more: Any) -> Ask:
    """The same of the whole period at once, ungrouped unless told otherwise."""
    return ask_of(asked, **{"bucket": "all", "group": ""} | more)


def compared(asked: Asked, ask: Ask) -> tuple[Sums, Window] | None:
    """The sums of the period before and its window, where the reader compares."""
    return (earlier(asked, ask), asked.before) if asked.selection.compare else None


def earlier(asked: Asked, ask: Ask) -> Sums:
    """The same sums in the period before."""
    return sums(asked.lake, replace(ask, window=asked.before))


def with_requests(ask: Ask) -> Ask:
    """The same by the hour where days do not know what became of requests, nor of limits."""
    source = plan_sums(ask.window, ask.grain, ask.asked(), ask.viewer).source
    return replace(ask, bucket="hour") if source in ("spend", "sessions") else ask


def filtering(asked: Asked, name: str) -> Callable[[str], str]:
    """The address of the selection narrowed to one value of a dimension."""
    return lambda value: asked.link(asked.selection.with_filter(name, (value,))) if name else ""


def grouped(rows: list[Row], group: str) -> list[Row]:
    """The rows of a table by a dimension; without one its only row stands for all."""
    return rows if group else [row | {"name": ALL} for row in rows]


def label_of(group: str) -> str:
    """The label of a dimension that is grouped by, or of all where there is none."""
    return dimension(group).label if group else ALL


def failing_group(asked: Asked) -> str:
    """What failures are grouped by: by model it is the one asked for, as no model answered a call that failed."""
    return "request_model" if asked.selection.group == "model" else asked.selection.group


def height_for(chart: Chart) -> int:
    """The height of a chart over time in pixels: a long legend must leave room for what it names."""
    return HEIGHT + max(0, len(chart.series) - _SHORT_LEGEND) * _LEGEND_LINE
