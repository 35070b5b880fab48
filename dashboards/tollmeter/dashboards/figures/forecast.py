"""What is to come over a chart of the month: an expected line, dotted, with its band, and the budget."""

from __future__ import annotations

from typing import Final

from tollmeter.dashboards.figures.base import Figure, plain
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.forecast import Outlook

_COLOUR: Final = "#5b8ff9"
_BAND: Final = "rgba(91, 143, 249, 0.18)"
_BUDGET: Final = "#d16ba5"


def with_forecast(figure: Figure, found: Outlook) -> Figure:
    """A chart of sums by day of the month, with what is known of its end."""
    return figure | {"data": [*_band(found), *figure["data"], *_expected(found), *_budget(found)]}


def _band(found: Outlook) -> list[Figure]:
    if not found.days:
        return []
    edge = {
        "type": "scatter", "mode": "lines", "x": [day.isoformat() for day in found.days], "line": {"width": 0},
        "hoverinfo": "skip",
    }  # fmt: skip
    return [
        edge | {"y": list(found.low), "showlegend": False},
        edge | {"y": list(found.high), "fill": "tonexty", "fillcolor": _BAND, "name": "80 % band"},
    ]


def _expected(found: Outlook) -> list[Figure]:
    if not found.days:
        return []
    told = [
        f"{_told(value)}, 80 % between {_told(low)} and {_told(high)}"
        for value, low, high in zip(found.expected, found.low, found.high, strict=True)
    ]
    line = {
        "type": "scatter", "mode": "lines", "name": "expected", "x": [day.isoformat() for day in found.days],
        "y": list(found.expected), "line": {"color": _COLOUR, "width": 2, "dash": "dot"}, "customdata": told,
        "hovertemplate": "%{customdata}<extra>expected</extra>",
    }  # fmt: skip
    return [line]


def _budget(found: Outlook) -> list[Figure]:
    if found.budget is None:
        return []
    line = {
        "type": "scatter", "mode": "lines", "name": f"budget {plain(found.budget_name)}",
        "x": [found.first.isoformat(), found.last.isoformat()], "y": [found.budget] * 2,
        "line": {"color": _BUDGET, "width": 1.5, "dash": "dash"}, "hoverinfo": "skip",
    }  # fmt: skip
    return [line]


def _told(value: float) -> str:
    return formats.estimate(value)
