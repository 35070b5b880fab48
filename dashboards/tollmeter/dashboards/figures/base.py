"""What every figure shares; colours of text, axes and grid come from the style sheet, for light and dark alike."""

from __future__ import annotations

from typing import Any, Final

Figure = dict[str, Any]

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
PALE: Final = 0.5


def layout(**parts: Any) -> Figure:
    """The layout of a figure; parts given replace or, where both are dicts, extend those of all."""
    axis = {"zeroline": False, "automargin": True, "ticklabelstandoff": 4, "fixedrange": True, "title": None}
    base: Figure = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"family": FONT, "size": 12},
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "legend": {
            "orientation": "h",
            "y": -0.2,
            "x": 0,
            "traceorder": "normal",
            "font": {"size": 11},
            "itemwidth": 30,
        },
        "showlegend": False,
        "xaxis": axis | {"showgrid": False},
        "yaxis": axis | {"showgrid": True},
    }
    for name, part in parts.items():
        base[name] = base[name] | part if isinstance(part, dict) and isinstance(base.get(name), dict) else part
    return base


def empty() -> Figure:
    """A frame without data."""
    return {"data": [], "layout": layout(xaxis={"visible": False}, yaxis={"visible": False})}


def plain(text: str) -> str:
    """Text in which Plotly finds no markup.

    >>> plain("<b>a & b</b>")
    '&lt;b>a &amp; b&lt;/b>'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;")


def shortened(text: str, most: int = 40) -> str:
    """A name that leaves room for the chart; its end is kept, where versions stand.

    >>> shortened("abcdefghij", 5)
    'abc…j'
    """
    if len(text) <= most:
        return text
    tail = max(most // 4, 1)
    return f"{text[: most - tail - 1]}…{text[-tail:]}"


def drill(dimension: str, *keys: str | None) -> Figure:
    """What a click filters by, as a trace's `meta`: one value for the trace, or one for each of its points."""
    values = [key for key in keys if key is not None]
    return {"meta": {"drill": dimension, "values": list(keys)}} if dimension and values else {}
