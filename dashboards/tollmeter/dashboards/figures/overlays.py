"""What lies over a chart of time: lines where something happened, marks where a bucket stands out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollmeter.dashboards.figures.base import Figure, plain, shortened
from tollmeter.dashboards.prepare.annotations import Annotation, Kind
from tollmeter.dashboards.prepare.anomalies import Mark
from tollmeter.dashboards.window import Window

_COLOURS: Final[dict[Kind, str]] = {"deployment": "#7c8db5", "price": "#b07d2b", "alarm": "#d64550"}
_NAMES: Final[dict[Kind, str]] = {"deployment": "Deployment", "price": "Price change", "alarm": "Alarm"}
_MARK: Final = "#d64550"


def annotated(figure: Figure, notes: Sequence[Annotation], span: Window) -> Figure:
    """The figure with a thin vertical line at each moment, told on hover at its top."""
    if not notes:
        return figure
    times = [span.local(note.moment).isoformat() for note in notes]
    lines = [
        {
            "type": "line", "xref": "x", "yref": "paper", "x0": time, "x1": time, "y0": 0, "y1": 1,
            "line": {"color": _COLOURS[note.kind], "width": 1, "dash": "dash"}, "layer": "above",
        }
        for note, time in zip(notes, times, strict=True)
    ]  # fmt: skip
    tops = {
        "type": "scatter", "mode": "markers", "x": times, "y": [1] * len(notes), "yaxis": "y2", "showlegend": False,
        "name": "",
        "marker": {"symbol": "triangle-down", "size": 9, "color": [_COLOURS[note.kind] for note in notes]},
        "customdata": [f"{_NAMES[note.kind]}: {plain(shortened(note.text, 120))}" for note in notes],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    over = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    layout = figure["layout"] | {"shapes": [*figure["layout"].get("shapes", []), *lines], "yaxis2": over}
    return figure | {"data": [*figure["data"], tops], "layout": layout}


def marked(figure: Figure, marks: Sequence[Mark], scale: float = 1.0) -> Figure:
    """The figure with a ring on each bucket that stands out, told with what was expected; `scale` is the axis's."""
    if not marks:
        return figure
    rings = {
        "type": "scatter", "mode": "markers", "name": "unusual", "showlegend": True,
        "x": [mark.start.isoformat() for mark in marks], "y": [mark.actual * scale for mark in marks],
        "marker": {"symbol": "circle-open", "size": 13, "color": _MARK, "line": {"width": 2}},
        "customdata": [mark.text for mark in marks], "hovertemplate": "%{customdata}<extra>unusual</extra>",
    }  # fmt: skip
    return figure | {"data": [*figure["data"], rings]}
