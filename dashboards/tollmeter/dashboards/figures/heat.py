"""Latencies in logarithmic steps: a heat map over time, and a distribution."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.figures.base import Figure, layout
from tollmeter.dashboards.prepare.heat import Distribution, Heat

_HUE: Final = "139,124,246"
_SCALE: Final = [[0, f"rgba({_HUE},0.14)"], [1, f"rgba({_HUE},1)"]]
_LINES: Final = {"p50": "#94a3b8", "p95": "#8b7cf6", "p99": "#d16ba5"}


def heat_map(heat: Heat) -> Figure:
    """Cells by bucket of time and step; darker is more, none is empty."""
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [start.isoformat() for start in heat.starts],
        "y": [heat.first + row + 0.5 for row in range(len(heat.counts))],
        "z": heat.shades,
        "zmin": 0,
        "zmax": 1,
        "colorscale": _SCALE,
        "showscale": False,
        "xgap": 1,
        "hoverongaps": False,
        "customdata": heat.labels,
        "hovertemplate": "%{x}<br>%{customdata}<extra></extra>",
    }
    axis = _steps_axis(heat.marks)
    if heat.counts:
        axis |= {"range": [heat.first, heat.first + len(heat.counts)]}
    return {"data": [trace], "layout": layout(xaxis={"type": "date", "hoverformat": heat.hover}, yaxis=axis)}


def distribution(found: Distribution) -> Figure:
    """Bars by step, and where the percentiles lie."""
    trace = {
        "type": "bar",
        "x": [found.first + step + 0.5 for step in range(len(found.counts))],
        "y": found.counts,
        "customdata": found.labels,
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {"color": f"rgba({_HUE},0.55)", "line": {"width": 0}},
    }
    shapes = [
        {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": _LINES[name], "width": 2, "dash": "dot"}}
        for name, place, _ in found.quantiles
    ]  # fmt: skip
    notes = [
        {"x": place, "y": 1 - 0.09 * index, "yref": "paper", "text": f"{name} {text}", "showarrow": False,
         "xanchor": "left", "xshift": 4, "font": {"size": 11}}
        for index, (name, place, text) in enumerate(found.quantiles)
    ]  # fmt: skip
    return {
        "data": [trace],
        "layout": layout(xaxis=_steps_axis(found.marks), bargap=0.08, shapes=shapes, annotations=notes),
    }


def _steps_axis(marks: tuple[tuple[float, str], ...]) -> Figure:
    return {"tickvals": [place for place, _ in marks], "ticktext": [text for _, text in marks], "showgrid": True}
