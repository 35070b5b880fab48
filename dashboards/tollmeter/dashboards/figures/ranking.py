"""A ranking as bars across, largest on top."""

from __future__ import annotations

from typing import Final

from tollmeter.dashboards.figures.base import Figure, drill, layout, plain, shortened
from tollmeter.dashboards.prepare.charts import Ranking

_NAME: Final = 26
_BAR, _EDGE = 30, 10
_ROOM: Final = 1.65


def height(ranking: Ranking) -> int:
    """Pixels that give every bar the same room, however many there are."""
    return _BAR * len(ranking.bars) + 2 * _EDGE


def across(ranking: Ranking) -> Figure:
    """Bars from left to right with value and share beside them; a click filters by the entity."""
    shown = ranking.bars
    trace = {
        "type": "bar",
        "orientation": "h",
        # By place, not by name: two names may read the same once shortened.
        "y": list(range(len(shown))),
        "x": [float(bar.value) * ranking.unit.scale for bar in shown],
        "text": [f"{bar.label} · {bar.share}" for bar in shown],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [[plain(shortened(bar.name, 80)), bar.label, bar.share] for bar in shown],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]} · %{customdata[2]}<extra></extra>",
        "marker": {"color": [bar.colour for bar in shown], "line": {"width": 0}},
        **drill(ranking.dimension, *[bar.key for bar in shown]),
    }
    names = [plain(shortened(bar.name, _NAME)) for bar in shown]
    longest = max((float(bar.value) * ranking.unit.scale for bar in shown), default=1.0)
    return {
        "data": [trace],
        "layout": layout(
            yaxis={
                "tickvals": list(range(len(shown))),
                "ticktext": names,
                "autorange": "reversed",
                "showgrid": False,
            },
            # Room for the label of the longest.
            xaxis={"visible": False, "range": [0, longest * _ROOM or 1]},
            bargap=0.35,
        ),
    }
