"""The one place where a graph is made: its data stays on this machine."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.figures.base import Figure

CONFIG: Final[Any] = {
    # Plotly 7 offers every viewer to upload the chart's data to a third party unless told otherwise.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    # Maps would fetch their outlines from Plotly's servers.
    "topojsonURL": "",
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
}
HEIGHT: Final = 320


def graph(name: str, figure: Figure, label: str, height: int = HEIGHT) -> Any:
    """A Dash graph; `label` says in words what it shows, for those who do not see it. Pages make no other."""
    from dash import dcc, html

    plot = dcc.Graph(id=name, config=CONFIG, figure=figure, className="tm-graph", style={"height": height})
    return html.Div(plot, role="img", className="tm-figure", **aria(label))
