"""The headline numbers, spend and latency of a selection, and what the lake holds at all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.queries.records import Extent, Latency, Spend, Summary
from tollmeter.model.errors import UsageError

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Selection
    from tollmeter.dashboards.window import Window

SIMULATED_TAG: Final = "tollmeter.simulated"


def extent(lake: Lake, viewer: Viewer) -> Extent:
    """What the lake holds over all time."""
    rows = lake.rows(viewer, "models_seen")
    if not rows:
        return Extent()
    return Extent(
        models=tuple(row["model"] for row in rows),
        first=min(row["first_call"] for row in rows),
        last=max(row["last_call"] for row in rows),
        ingested=max(row["last_ingested"] for row in rows),
    )


def summary(lake: Lake, viewer: Viewer, selection: Selection, span: Window) -> Summary:
    """The headline numbers of a period."""
    row = lake.rows(viewer, "overview", **_parameters(selection, span))[0]
    return Summary(
        spend=row["spend_usd"],
        calls=row["calls"],
        requests=row["requests"],
        failed_calls=row["errors"],
        unpriced_calls=row["unpriced_calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        p95_latency_ms=row["p95_latency_ms"],
        p95_ttft_ms=row["p95_ttft_ms"],
    )


def spend(lake: Lake, viewer: Viewer, selection: Selection, span: Window) -> list[Spend]:
    """What each model cost in each bucket."""
    rows = lake.rows(viewer, "spend_over_time", bucket=span.bucket, **_parameters(selection, span))
    return [Spend(row["bucket"], row["model"], row["cost_usd"], row["calls"]) for row in rows]


def latency(lake: Lake, viewer: Viewer, selection: Selection, span: Window) -> list[Latency]:
    """Quantiles of each bucket."""
    rows = lake.rows(viewer, "latency_over_time", bucket=span.bucket, **_parameters(selection, span))
    return [
        Latency(row["bucket"], row["p50_latency_ms"], row["p95_latency_ms"], row["p99_latency_ms"], calls=row["calls"])
        for row in rows
    ]


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


def values(lake: Lake, viewer: Viewer, name: str) -> list[str]:
    """The values of a dimension that calls have."""
    return list(extent(lake, viewer).models) if name == "model" else []


def _parameters(selection: Selection, span: Window) -> dict[str, Any]:
    others = [name for name, _ in selection.filters if name != "model"]
    if others:
        raise UsageError(f"these numbers can be filtered by model, not by {', '.join(others)}")
    return {"since": span.start, "until": span.end, "model": ",".join(selection.values("model"))}
