"""Variants of an experiment, or versions of a prompt: which there are, and the sums that comparisons are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from tollmeter.dashboards.queries.event_days import Days, Row
from tollmeter.dashboards.queries.plan import conditions
from tollmeter.dashboards.statistics.experiments import Sample

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Filters

By = Literal["experiment", "prompt"]


@dataclass(frozen=True, slots=True)
class Subject:
    """An experiment with its variants, or a prompt with its versions."""

    subject: str
    variants: int
    calls: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class VariantTotals:
    """What one variant was asked and cost; `shared_users` got another variant too."""

    variant: str
    calls: int
    errors: int
    unpriced_calls: int
    users: int
    shared_users: int
    sessions: int
    first_at: datetime
    last_at: datetime
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant: its totals, and a sample of each measure by the measure's name."""

    totals: VariantTotals
    samples: dict[str, Sample]


def experiments(lake: Lake, viewer: Viewer, since: datetime, until: datetime) -> list[Subject]:
    """The experiments of a span, most calls first."""
    return [Subject(**row) for row in lake.rows(viewer, "experiments_seen", since=since, until=until)]


def prompts(lake: Lake, viewer: Viewer, days: Days) -> list[Subject]:
    """The prompts of some days, most calls first."""
    return [Subject(**row) for row in lake.rows(viewer, "prompts_seen", since=days[0], until=days[1])]


def variants(
    lake: Lake, viewer: Viewer, by: By, subject: str, *, since: datetime, until: datetime, filters: Filters
) -> list[Variant]:
    """The variants of one experiment or prompt over a span, by name."""
    asked = conditions(filters) | {
        "by": by, "subject": subject, "since": since, "until": until,
    }  # fmt: skip
    samples: dict[str, dict[str, Sample]] = {}
    for row in lake.rows(viewer, "variants_compared", **asked):
        samples.setdefault(row["variant"], {})[row["measure"]] = _sample(row)
    totals = [VariantTotals(**row) for row in lake.rows(viewer, "variants_totals", **asked)]
    return [Variant(one, samples.get(one.variant, {})) for one in totals]


def _sample(row: Row) -> Sample:
    return Sample(
        row["clusters"], row["calls"], row["total"], row["square_totals"], row["products"], row["square_calls"]
    )
