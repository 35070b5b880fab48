"""How the data itself is: what arrives and when, what does not, and what is known of what has."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tollmeter.dashboards.queries.event_days import Row
from tollmeter.dashboards.queries.seen import simulated_fields

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake

_MOST_LOSSES: Final = 5000


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """One service: its newest call, when that landed, and how well its calls are known."""

    service: str
    last_at: datetime
    last_ingested_at: datetime
    calls: int
    unpriced_calls: int
    estimated_calls: int
    missing_usage_calls: int
    inconsistent_calls: int


@dataclass(frozen=True, slots=True)
class PipelineTotal:
    """What runs told of one metric of the registry; `total` of a counter, `largest` of a gauge."""

    metric: str
    component: str
    sink: str
    runs: int
    total: Decimal | None
    largest: Decimal | None
    last_minute: datetime


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One run of the ETL, or one interval of a sink of the forwarder."""

    started_at: datetime
    event_id: str
    component: str
    sink: str
    outcome: str
    error_type: str
    duration_ms: float | None
    lag_ms: float | None
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Lines in quarantine for one reason, with the newest of them as they were read."""

    reason: str
    lines: int
    objects: int
    last_seen: datetime
    examples: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFiles:
    """One table of the lake as its catalog knows it."""

    table: str
    rows: int
    files: int
    bytes: int
    days: int
    snapshots: int


@dataclass(frozen=True, slots=True)
class Health:
    """All that the page of data health shows of one span."""

    services: tuple[ServiceSeen, ...] = ()
    totals: tuple[PipelineTotal, ...] = ()
    runs: tuple[RunSeen, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    losses: dict[tuple[str, str], int] = field(default_factory=dict)
    simulated: tuple[str, ...] = ()
    files: tuple[TableFiles, ...] = ()

    def total(self, metric: str) -> int:
        """The sum of one counter over components and sinks."""
        return sum(int(one.total or 0) for one in self.totals if one.metric == metric)


def health(lake: Lake, viewer: Viewer, since: datetime, until: datetime, files: tuple[TableFiles, ...] = ()) -> Health:
    """What happened to the data in a span (UTC)."""
    span = {"since": since, "until": until}
    return Health(
        services=tuple(ServiceSeen(**row) for row in lake.rows(viewer, "services_seen", **span)),
        totals=tuple(PipelineTotal(**row) for row in lake.rows(viewer, "pipeline_totals", **span)),
        runs=tuple(_run(row) for row in lake.rows(viewer, "runs_recent", **span)),
        quarantined=_quarantined(lake, viewer, span),
        losses=_losses(lake.rows(viewer, "losses", **span, limit=_MOST_LOSSES)),
        simulated=_simulated(lake.rows(viewer, "simulated_fields", **span)),
        files=files,
    )


def _simulated(found: list[Row]) -> tuple[str, ...]:
    tags = [row["simulated"] for row in found if row["simulated"]]
    return tuple(dict.fromkeys(name for tag in tags for name in simulated_fields(tag)))


def _run(row: Row) -> RunSeen:
    counts = json.loads(row["counts"] or "{}")
    told: Row = row | {"counts": {name: int(value) for name, value in counts.items()}}
    return RunSeen(**told)


def _quarantined(lake: Lake, viewer: Viewer, span: Row) -> tuple[Quarantined, ...]:
    reasons = lake.rows(viewer, "data_health", **span)
    if not reasons:
        return ()
    examples = lake.rows(viewer, "quarantine_examples", **span)
    return tuple(
        Quarantined(**row, examples=tuple(one for one in examples if one["reason"] == row["reason"])) for row in reasons
    )


def _losses(found: list[Row]) -> dict[tuple[str, str], int]:
    """Events lost inside services, by service and reason."""
    counted: Counter[tuple[str, str]] = Counter()
    for row in found:
        for reason, lost in json.loads(row["losses"] or "{}").items():
            counted[row["service"], reason] += int(lost)
    return dict(counted)
