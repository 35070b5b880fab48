"""The figure of one session: what it had cost after each call, and how long its prompts were."""

from __future__ import annotations

from typing import Final

from tollmeter.dashboards.figures.base import Figure, layout, plain
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.session_story import Story, Told
from tollmeter.model.names import STATUS_OK

_COST: Final = "#5b8ff9"
_CONTEXT: Final = "#5ad8a6"
_BAD: Final = "#e8684a"


def growth(story: Story) -> Figure:
    """Running cost as steps over the calls in order, context as bars below; what failed is red."""
    numbers = [one.number for one in story.told]
    words = [_words(one) for one in story.told]
    cost = {
        "type": "scatter", "mode": "lines+markers", "name": "running cost", "x": numbers,
        # A pixel is coarser than a float; the exact sums stand in the table.
        "y": [float(one.running_usd) for one in story.told],
        "line": {"color": _COST, "width": 2, "shape": "hv"},
        "marker": {"size": 5, "color": [_COST if one.call.status == STATUS_OK else _BAD for one in story.told]},
        "customdata": words, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    context = {
        "type": "bar", "name": "input tokens", "x": numbers, "yaxis": "y2",
        "y": [one.call.input_tokens for one in story.told], "marker": {"color": _CONTEXT},
        "customdata": words, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    axis = {"zeroline": False, "automargin": True, "fixedrange": True, "showgrid": True, "rangemode": "tozero"}
    figure = layout(
        yaxis=axis | {"domain": [0.5, 1.0], "tickprefix": "$", "title": None},
        xaxis={"dtick": None, "tickformat": "d", "title": {"text": "call"}, "anchor": "y2"},
        showlegend=True,
        legend={"y": 1.16},
        hovermode="closest",
    )
    figure["yaxis2"] = axis | {"domain": [0.0, 0.4], "title": None}
    return {"data": [cost, context], "layout": figure}


def _words(one: Told) -> str:
    call = one.call
    parts = (
        f"call {one.number}: {plain(call.model)}",
        f"{formats.money(call.cost_usd)}, {formats.money(one.running_usd)} so far",
        f"{formats.count(call.input_tokens)} tokens in" if call.input_tokens is not None else "tokens unknown",
        "" if call.status == STATUS_OK else plain(call.error_type or call.status),
    )
    return "<br>".join(part for part in parts if part)
