"""Charts over time: stacked bars of sums, lines of what is measured."""

from __future__ import annotations

from typing import Final

from tollmeter.dashboards.figures.base import PALE, Figure, drill, layout, plain, shortened
from tollmeter.dashboards.prepare.charts import Chart, Series

_FAINT: Final = 0.45
_NAME: Final = 24
"""Characters of a legend's names: with longer ones it leaves no room for the chart; hovering tells more."""


def bars(chart: Chart) -> Figure:
    """Stacked bars; the bucket that is still filling is hatched, the period before is one dotted line of totals."""
    traces = [_bars(chart, series) for series in chart.series]
    traces += [_dotted(chart, series) for series in chart.before]
    return {"data": traces, "layout": _layout(chart) | {"barmode": "stack", "bargap": 0.25}}


def lines(chart: Chart) -> Figure:
    """Straight lines between measured points, gaps where nothing was measured; the still-filling end is dotted."""
    traces = [_dotted(chart, series) | {"showlegend": False} for series in chart.before]
    traces += [trace for series in chart.series for trace in _line(chart, series)]
    return {"data": traces, "layout": _layout(chart)}


def _bars(chart: Chart, series: Series) -> Figure:
    last = len(chart.starts) - 1
    open_ = [chart.filling and index == last for index in range(len(chart.starts))]
    pattern = {"shape": ["/" if flag else "" for flag in open_], "fillmode": "overlay", "fgopacity": _FAINT, "size": 6}
    return {
        "type": "bar",
        "name": plain(shortened(series.name, _NAME)),
        "x": _times(chart),
        # A pixel is coarser than a float; the exact sums stand in the labels and in the tiles.
        "y": _scaled(chart, series),
        "customdata": series.labels,
        "hovertemplate": _hover(series),
        "marker": {"color": series.colour, "pattern": pattern, "line": {"width": 0}},
        **drill(chart.dimension, series.key),
    }


def _line(chart: Chart, series: Series) -> list[Figure]:
    values = _scaled(chart, series)
    settled = [*values[:-1], None] if chart.filling else values
    line = {"color": series.colour, "width": 2}
    base = {
        "type": "scatter",
        "legendgroup": series.name,
        "name": plain(shortened(series.name, _NAME)),
        "x": _times(chart),
        "connectgaps": False,
        **drill(chart.dimension, series.key),
    }
    drawn = base | {"mode": "lines", "y": settled, "line": line, "hoverinfo": "skip"}
    # Samples are marks of their own: a lone one between gaps stays visible, and hover snaps to what was measured.
    samples = base | {
        "mode": "markers",
        "y": values,
        "marker": {"size": 4, "color": series.colour},
        "showlegend": False,
        "customdata": series.labels,
        "hovertemplate": _hover(series),
    }
    if not chart.filling:
        return [drawn, samples]
    tail: list[float | None] = [None] * len(values)
    tail[-2:] = values[-2:]
    dotted = drawn | {"y": tail, "line": line | {"dash": "dot"}, "showlegend": False}
    return [drawn, dotted, samples]


def _dotted(chart: Chart, series: Series) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(shortened(series.name, _NAME)),
        "x": _times(chart),
        "y": _scaled(chart, series),
        "line": {"color": series.colour, "width": 1.5, "dash": "dot"},
        "opacity": PALE,
        "connectgaps": False,
        "customdata": series.labels,
        "hovertemplate": _hover(series),
    }


def _hover(series: Series) -> str:
    return "%{customdata}<extra>" + plain(shortened(series.name, 60)) + "</extra>"


def _scaled(chart: Chart, series: Series) -> list[float | None]:
    return [None if value is None else float(value) * chart.unit.scale for value in series.values]


def _times(chart: Chart) -> list[str]:
    return [start.isoformat() for start in chart.starts]


def _range(chart: Chart) -> Figure:
    """Every bucket stands on the axis, also where the first and last are empty; charts of one window share it."""
    if len(chart.starts) < 2:  # noqa: PLR2004
        return {}
    half = (chart.starts[1] - chart.starts[0]) / 2
    return {"range": [(chart.starts[0] - half).isoformat(), (chart.starts[-1] + half).isoformat()]}


def _layout(chart: Chart) -> Figure:
    unit = chart.unit
    number = {"tickprefix": unit.prefix, "ticksuffix": unit.suffix, "rangemode": "tozero"}
    number |= {"tickformat": unit.axis} if unit.axis else {}
    time = {"type": "date", "hoverformat": chart.hover} | _range(chart)
    return layout(xaxis=time, yaxis=number, hovermode="x unified", showlegend=True)
