"""What the lake has seen: how far it reaches, which values dimensions have, what was made up."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from tollmeter.dashboards.queries import cube
from tollmeter.dashboards.queries.records import Extent
from tollmeter.sql.named import load

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.window import Window

SIMULATED_TAG: Final = "tollmeter.simulated"
MOST_VALUES: Final = 100


def extent(lake: Lake, viewer: Viewer) -> Extent:
    """How far the lake reaches."""
    row = lake.rows(viewer, "extent")[0]
    return Extent(row["first_call"], row["last_call"], row["last_ingested"])


def values(lake: Lake, ask: cube.Ask) -> list[str]:
    """The values of the dimension asked for, those with most calls first; an empty one where calls have none."""
    found = cube.sums(lake, ask).rows
    return list(dict.fromkeys(row.name for row in found if row.name is not None))


def in_order_of_appearance(lake: Lake, viewer: Viewer, dimension: str) -> list[str]:
    """The values that had most calls over all time, by first call; empty for a dimension that no rollup carries."""
    if dimension not in _by_first_call():
        return []
    return [row["name"] for row in lake.rows(viewer, "values_seen", by=dimension)]


def simulated(lake: Lake, viewer: Viewer, span: Window) -> tuple[str, ...]:
    """The fields that were made up in calls of a period."""
    rows = lake.rows(viewer, "simulated_fields", since=span.start, until=span.end)
    tags = [row["simulated"] for row in rows if row["simulated"]]
    return tuple(dict.fromkeys(field for tag in tags for field in simulated_fields(tag)))


def simulated_fields(tag: str) -> list[str]:
    """The fields that the tag of a simulated row names.

    >>> simulated_fields('"tollmeter.simulated":"model,route, latency_ms"')
    ['model', 'route', 'latency_ms']
    """
    value = str(json.loads("{" + tag + "}").get(SIMULATED_TAG, ""))
    return [part for part in re.split(r"[,;\s]+", value) if part]


def _by_first_call() -> list[str]:
    return next(one.type.split("|") for one in load("values_seen").parameters if one.name == "by")
