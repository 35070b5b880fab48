"""Where widgets stand: a grid of 24 columns, as CloudWatch has it; Datadog's has half of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tollmeter.dashboards.platforms.boards import Chart, Table

COLUMNS: Final = 24
_SIZES: Final = {"number": (4, 4), "chart": (12, 6), "table": (24, 8)}


class Place(NamedTuple):
    """A widget's column, row, width and height."""

    x: int
    y: int
    width: int
    height: int


def size(widget: Chart | Table) -> tuple[int, int]:
    """Width and height of a widget."""
    if isinstance(widget, Table):
        return _SIZES["table"]
    return _SIZES["number" if widget.view == "number" else "chart"]


def placed(widgets: Iterable[Chart | Table], top: int) -> Iterator[tuple[Chart | Table, Place]]:
    """Widgets from left to right, and a new row below the highest where one does not fit."""
    x, y, bottom = 0, top, top
    for widget in widgets:
        width, height = size(widget)
        if x + width > COLUMNS:
            x, y = 0, bottom
        yield widget, Place(x, y, width, height)
        x, bottom = x + width, max(bottom, y + height)


def bottom(places: Iterable[Place]) -> int:
    """The row below the lowest."""
    return max((place.y + place.height for place in places), default=0)
