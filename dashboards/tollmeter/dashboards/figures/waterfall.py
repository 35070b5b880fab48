"""A waterfall: what led from one total to another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tollmeter.dashboards.figures.base import Figure, layout, plain
from tollmeter.dashboards.prepare.change import Bar

# More spend is bad news, on every page.
_COLOURS: Final = {"total": "#5b8ff9", "up": "#e5604d", "down": "#3aa76d", "none": "#98a2b3"}


def waterfall(bars: Sequence[Bar]) -> Figure:
    """Bars that hang where the one before ended, each with its amount; totals stand on the ground."""
    trace = {
        "type": "bar",
        "x": [bar.label for bar in bars],
        "base": [float(min(bar.start, bar.end)) for bar in bars],
        "y": [float(abs(bar.end - bar.start)) for bar in bars],
        "marker": {"color": [_COLOURS[bar.kind] for bar in bars], "line": {"width": 0}},
        "text": [bar.text for bar in bars],
        "textposition": "outside",
        "cliponaxis": False,
        "constraintext": "none",
        "customdata": [plain(f"{bar.text}: {bar.help}" if bar.help else bar.text) for bar in bars],
        "hovertemplate": "%{customdata}<extra>%{x}</extra>",
    }
    return {
        "data": [trace, *_steps(bars)],
        "layout": layout(
            yaxis={"tickprefix": "$", "rangemode": "tozero"},
            xaxis={"type": "category"},
            margin={"t": 24},
            bargap=0.35,
            hovermode="closest",
        ),
    }


def _steps(bars: Sequence[Bar]) -> list[Figure]:
    """Thin lines from where a bar ends to where the next begins."""
    line = {"color": "#98a2b3", "width": 1, "dash": "dot"}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [here.label, there.label],
            "y": [float(here.end)] * 2,
            "line": line,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for here, there in pairwise(bars)
    ]
