"""What sums by one dimension do not tell of failures: which model stood in for which."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from tollmeter.dashboards.queries.plan import conditions

if TYPE_CHECKING:
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.queries.cube import Ask


@dataclass(frozen=True, slots=True)
class Fallback:
    """Calls of one model that stood in for another."""

    origin: str
    model: str
    provider: str
    calls: int
    errors: int
    cost: Decimal | None


def fallbacks(lake: Lake, ask: Ask) -> tuple[Fallback, ...]:
    """Which model stood in for which, most frequent first.

    Raises:
        QueryError: the lake could not answer.
    """
    given = {"since": ask.window.start, "until": ask.window.end, **conditions(ask.filters)}
    rows = lake.rows(ask.viewer, "fallback_pairs", **given)
    return tuple(
        Fallback(row["fallback_from"], row["model"], row["provider"], row["calls"], row["errors"], row["cost_usd"])
        for row in rows
    )
