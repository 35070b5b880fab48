"""The tables of data health: services, runs, quarantine and losses as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.health_states import age_text, dropped
from tollmeter.dashboards.queries.health import Health, RunSeen
from tollmeter.dashboards.window import Window

MOST_RUNS: Final = 200


def services(found: Health, now: datetime) -> list[dict[str, Any]]:
    """Each service: how long ago its newest call began, how long that took to land, how well its calls are known."""
    return [
        {
            "service": one.service,
            "heard": f"{age_text(now - one.last_at)} ago",
            "landing": age_text(one.last_ingested_at - one.last_at),
            "calls": one.calls,
            "unpriced": one.unpriced_calls,
            "estimated": one.estimated_calls,
            "missing": one.missing_usage_calls,
            "inconsistent": one.inconsistent_calls,
        }
        for one in found.services
    ]


def runs(found: Health, span: Window) -> list[dict[str, Any]]:
    """The newest runs of each component and sink, newest first."""
    return [
        {
            "id": one.event_id,
            "began": span.local(one.started_at).isoformat(sep=" ", timespec="seconds"),
            "component": one.component,
            "sink": one.sink,
            "outcome": one.error_type or one.outcome if one.outcome == "error" else one.outcome,
            "ok": one.outcome != "error",
            "rows": rows_of(one),
            "duration": one.duration_ms,
            "lag": one.lag_ms,
            "counts": counts_text(one),
        }
        for one in found.runs[:MOST_RUNS]
    ]


def rows_of(run: RunSeen) -> int | None:
    """What a run got done: rows landed by the ETL, events acknowledged by a sink."""
    return run.counts.get("landed", run.counts.get("acknowledged"))


def counts_text(run: RunSeen) -> str:
    """What else it counted, in words."""
    told = [f"{name.replace('_', ' ')} {formats.count(value)}" for name, value in run.counts.items() if value]
    return ", ".join(told)


def losses(found: Health) -> list[tuple[str, str, str, str]]:
    """What was lost: where, why, how many, and whether the service or a sink says so; the most first."""
    inside = [(service, reason, count, "service") for (service, reason), count in found.losses.items()]
    sinks = [(sink, reason, count, "sink") for sink, reason, count in dropped(found)]
    doubt = [
        (one.sink, "may have arrived; not sent again", int(one.total), "sink")
        for one in found.totals
        if one.metric == "tollmeter.in_doubt" and one.total
    ]
    ordered = sorted((*inside, *sinks, *doubt), key=lambda row: (-row[2], row))
    return [(who, reason, formats.count(count), by) for who, reason, count, by in ordered]


def files(found: Health) -> list[tuple[str, str, str, str, str]]:
    """Each table: rows, files, size, snapshots."""
    return [
        (
            one.table,
            formats.count(one.rows),
            formats.count(one.files),
            f"{formats.compact(one.bytes)}B",
            formats.count(one.snapshots),
        )
        for one in found.files
    ]
