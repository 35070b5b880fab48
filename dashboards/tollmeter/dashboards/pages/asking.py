"""How pages ask the cube: by the selection's window, group and filters, now and in the period before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.dimensions import dimension
from tollmeter.dashboards.queries.cube import Ask, Sums, sums
from tollmeter.dashboards.queries.plan import plan_sums

if TYPE_CHECKING:
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
    return lambda value: asked.link(asked.selection.with_filter(name, (value,)))


def grouped_by(asked: Asked) -> str:
    """The label of the dimension that everything is grouped by; empty where nothing is."""
    return dimension(asked.selection.group).label if asked.selection.group else ""
