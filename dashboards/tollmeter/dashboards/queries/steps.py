"""How many values of a latency fall into each logarithmic step, by bucket of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tollmeter.dashboards.queries.plan import OF_CALLS, conditions, plan_quantiles
from tollmeter.dashboards.window import to_utc
from tollmeter.model.derived import METRIC_DURATION, METRIC_LATENCY

if TYPE_CHECKING:
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.queries.cube import Ask

STEP_BUCKETS: Final = 8
"""Buckets of the latency rollup in one step: each step is 17 % above the one before."""


@dataclass(frozen=True, slots=True)
class Step:
    """Values of one step in one bucket of time (its start, UTC): those in (1.02^(8 step), 1.02^(8 step + 8)]."""

    bucket: datetime
    step: int
    count: int


def steps(lake: Lake, ask: Ask, metric: str = METRIC_LATENCY) -> tuple[Step, ...]:
    """The steps of a metric that the rollups of latency have; requests have none where models are asked for.

    Raises:
        QueryError: the lake could not answer.
    """
    names = ask.asked()
    if metric == METRIC_DURATION and names & OF_CALLS:
        return ()
    plan = plan_quantiles(ask.window, ask.grain, names, ask.viewer)
    given = {**plan.parameters(ask.window, ask.grain), **conditions(ask.filters)}
    rows = lake.rows(ask.viewer, "latency_steps", metric=metric, **given)
    return tuple(Step(_start(row["bucket"], ask), row["step"], row["samples"]) for row in rows)


def _start(told: datetime, ask: Ask) -> datetime:
    """Start of a bucket, UTC; the first one of a span begins where the span does."""
    start = to_utc(told, ask.window.zone) if ask.grain in ("day", "month") else told
    return max(start, ask.window.start)
