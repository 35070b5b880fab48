"""Plotly figures as plain dicts, and the one place where a graph is made.

Colours of text, axes and grid come from the style sheet, so that light and dark need no second figure.
"""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.prepare import Chart, Series

Figure = dict[str, Any]

CONFIG: Final[Any] = {
    # Plotly 7 offers every viewer to upload the chart's data to a third party unless told otherwise.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
}
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
HEIGHT: Final = 320
_SECONDS_FROM_MS: Final = 10_000
_FAINT: Final = 0.45


def graph(name: str, **props: Any) -> Any:
    """A Dash graph that keeps its data on this machine; pages make no other."""
    from dash import dcc

    return dcc.Graph(id=name, config=CONFIG, figure=empty(), className="tm-graph", style={"height": HEIGHT}, **props)


def empty() -> Figure:
    """A frame without data."""
    return {"data": [], "layout": _layout() | {"xaxis": {"visible": False}, "yaxis": {"visible": False}}}


def spend_figure(chart: Chart) -> Figure:
    """Stacked bars of spend; the bucket that is still filling is hatched."""
    traces = [_bars(chart, series) for series in chart.series]
    layout = _layout(chart) | {"barmode": "stack", "bargap": 0.25}
    layout["yaxis"] |= {"tickprefix": "$", "rangemode": "tozero"}
    layout["showlegend"] = True
    return {"data": traces, "layout": layout}


def latency_figure(chart: Chart) -> Figure:
    """Straight lines between measured points, gaps where nothing was measured; the still-filling end is dotted."""
    unit, scale = _time_unit(chart)
    traces = [trace for series in chart.series for trace in _line(chart, series, scale)]
    layout = _layout(chart)
    layout["yaxis"] |= {"ticksuffix": f" {unit}", "rangemode": "tozero"}
    layout["showlegend"] = True
    return {"data": traces, "layout": layout}


def _time_unit(chart: Chart) -> tuple[str, float]:
    """Seconds where milliseconds would need five digits."""
    largest = max((float(value) for series in chart.series for value in series.values if value is not None), default=0)
    return ("s", 1e-3) if largest >= _SECONDS_FROM_MS else ("ms", 1.0)


def _bars(chart: Chart, series: Series) -> Figure:
    last = len(chart.starts) - 1
    open_ = [chart.filling and index == last for index in range(len(chart.starts))]
    pattern = {"shape": ["/" if flag else "" for flag in open_], "fillmode": "overlay", "fgopacity": _FAINT, "size": 6}
    return {
        "type": "bar",
        "name": series.name,
        "x": _times(chart),
        # A pixel is coarser than a float; the exact sums stand in the labels and in the tiles.
        "y": [None if value is None else float(value) for value in series.values],
        "customdata": series.labels,
        "hovertemplate": "%{customdata}<extra>" + _plain(series.name) + "</extra>",
        "marker": {"color": series.colour, "pattern": pattern, "line": {"width": 0}},
    }


def _line(chart: Chart, series: Series, scale: float) -> list[Figure]:
    values = [None if value is None else float(value) * scale for value in series.values]
    settled = [*values[:-1], None] if chart.filling else values
    line = {"color": series.colour, "width": 2}
    base = {
        "type": "scatter",
        "legendgroup": series.name,
        "name": series.name,
        "x": _times(chart),
        "connectgaps": False,
    }
    drawn = base | {"mode": "lines", "y": settled, "line": line, "hoverinfo": "skip"}
    # Samples are marks of their own: a lone one between gaps stays visible, and hover snaps to what was measured.
    samples = base | {
        "mode": "markers",
        "y": values,
        "marker": {"size": 4, "color": series.colour},
        "showlegend": False,
        "customdata": series.labels,
        "hovertemplate": "%{customdata}<extra>" + series.name + "</extra>",
    }
    if not chart.filling:
        return [drawn, samples]
    tail: list[float | None] = [None] * len(values)
    tail[-2:] = values[-2:]
    dotted = drawn | {"y": tail, "line": line | {"dash": "dot"}, "showlegend": False}
    return [drawn, dotted, samples]


def _times(chart: Chart) -> list[str]:
    return [start.isoformat() for start in chart.starts]


def _range(chart: Chart | None) -> Figure:
    """Every bucket stands on the axis, also where the first and last are empty; both charts share it."""
    if chart is None or len(chart.starts) < 2:  # noqa: PLR2004
        return {}
    half = (chart.starts[1] - chart.starts[0]) / 2
    return {
        "range": [(chart.starts[0] - half).isoformat(), (chart.starts[-1] + half).isoformat()],
        "hoverformat": chart.hover,
    }


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _layout(chart: Chart | None = None) -> Figure:
    axis = {"zeroline": False, "automargin": True, "ticklabelstandoff": 4, "fixedrange": True, "title": None}
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"family": FONT, "size": 12},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": -0.16, "x": 0, "traceorder": "normal"},
        "showlegend": False,
        "xaxis": axis
        | {
            "type": "date",
            "showgrid": False,
        }
        | _range(chart),
        "yaxis": axis | {"showgrid": True},
    }
