"""Sums and percentiles of the lake by bucket of time and by one dimension, under any filters.

Where they come from is chosen by what is asked (`plan`): days or hours of the rollups where those have the dimensions,
rows for what lies before and after whole days or hours, and rows alone for all else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from tollmeter.dashboards.queries.plan import (
    OF_CALLS,
    Grain,
    Plan,
    Source,
    conditions,
    plan_quantiles,
    plan_sums,
)
from tollmeter.dashboards.window import to_utc
from tollmeter.model.derived import METRIC_DURATION, METRIC_LATENCY

if TYPE_CHECKING:
    from tollmeter.dashboards.access.viewer import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Filters
    from tollmeter.dashboards.window import Window

Rank = Literal["cost", "calls", "tokens", "errors", "requests"]

_OF_REQUESTS: Final = frozenset({"requests", "request_errors", "failed_requests", "client_disconnects"})
_NOT_OF_SPEND: Final = frozenset(
    {"request_errors", "failed_requests", "client_disconnects", "ratelimit_used_requests", "ratelimit_used_tokens"}
)
_OF_SESSIONS: Final = frozenset(
    {
        "calls", "requests", "errors", "unpriced_calls", "input_tokens", "output_tokens", "cache_read_tokens",
        "cost_usd", "cache_savings_usd",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: a span, one dimension or none to group by, filters, and whose rows may be seen.

    `bucket` is the window's own unless told otherwise; `all` is the whole span at once. Of the dimension's values the
    `top` by `rank` have rows of their own, and the rest are one row. `search` keeps values that hold it, in any case.
    """

    window: Window
    viewer: Viewer
    group: str = ""
    filters: Filters = ()
    bucket: Grain | None = None
    top: int = 50
    rank: Rank = "cost"
    search: str = ""

    @property
    def grain(self) -> Grain:
        """The width of a bucket."""
        return self.bucket or self.window.bucket

    def asked(self) -> frozenset[str]:
        """The names of all dimensions that the answer depends on."""
        return frozenset({self.group} if self.group else ()) | {name for name, values in self.filters if values}


@dataclass(frozen=True, slots=True)
class Figures:
    """What is summed. None is unknown, never 0: money where no call has a price, figures that the source lacks.

    `requests` and what follows from them are unknown where calls are grouped or filtered by what requests do not have,
    such as the model. Users and sessions have few figures by the day. Money is in USD.
    """

    calls: int = 0
    requests: int | None = None
    errors: int = 0
    partial_calls: int | None = None
    throttles: int | None = None
    retries: int | None = None
    fallbacks: int | None = None
    cache_hits: int | None = None
    unpriced_calls: int = 0
    estimated_calls: int | None = None
    missing_usage_calls: int | None = None
    inconsistent_calls: int | None = None
    request_errors: int | None = None
    failed_requests: int | None = None
    client_disconnects: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    cost_usd: Decimal | None = None
    input_cost_usd: Decimal | None = None
    output_cost_usd: Decimal | None = None
    cache_read_cost_usd: Decimal | None = None
    cache_write_cost_usd: Decimal | None = None
    fees_usd: Decimal | None = None
    cache_savings_usd: Decimal | None = None
    ratelimit_used_requests: float | None = None
    ratelimit_used_tokens: float | None = None


FIGURES: Final = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Figures):
    """Figures of one bucket and one value of the dimension.

    `bucket` is its start, UTC. `name` is empty where calls have no value, and None for all values beyond the top.
    """

    bucket: datetime
    name: str | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows by bucket, then by rank; buckets and values without calls and requests have none.

    `values_found` is how many values the dimension has under the filters, the empty one left out.
    """

    rows: tuple[Sum, ...]
    values_found: int
    source: Source


@dataclass(frozen=True, slots=True)
class Quantile:
    """Percentiles of one bucket and one value of the dimension, within 1 %, in the metric's unit."""

    bucket: datetime
    name: str | None
    samples: int
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Rows by bucket, then by rank of samples; a bucket without samples has none: it is a gap."""

    rows: tuple[Quantile, ...]
    values_found: int
    source: Source


def sums(lake: Lake, ask: Ask) -> Sums:
    """What is summed, by bucket and value.

    Raises:
        QueryError: the lake could not answer.
    """
    plan = plan_sums(ask.window, ask.grain, ask.asked(), ask.viewer)
    counted = not ask.asked() & OF_CALLS
    given = _given(ask, plan) | {"rank": ask.rank, "search": ask.search}
    given |= {"requests": "counted" if counted else "skipped"}
    rows = lake.rows(ask.viewer, "sums", **given)
    known = _known(plan.source, counted=counted)
    found = tuple(Sum(bucket=_bucket(row, ask), name=row["name"], **_figures(row, known)) for row in rows)
    return Sums(found, _values_found(rows), plan.source)


def total(lake: Lake, ask: Ask) -> Figures:
    """The figures of the whole span, whatever it is grouped by.

    Raises:
        QueryError: the lake could not answer.
    """
    whole = sums(lake, replace(ask, group="", bucket="all", search=""))
    return whole.rows[0] if whole.rows else Figures()


def quantiles(lake: Lake, ask: Ask, metric: str = METRIC_LATENCY) -> Quantiles:
    """Percentiles of a metric, by bucket and value.

    `metric` is one of those that the rollups of latency have: `llm.latency_ms`, `llm.ttft_ms`,
    `llm.output_tokens_per_s`, `http.duration_ms`. Requests have no model, so the last one has no rows where models are
    asked for.

    Raises:
        SettingError: there are no percentiles of that metric.
        QueryError: the lake could not answer.
    """
    if metric == METRIC_DURATION and ask.asked() & OF_CALLS:
        return Quantiles((), 0, "rows")
    plan = plan_quantiles(ask.window, ask.grain, ask.asked(), ask.viewer)
    rows = lake.rows(ask.viewer, "quantiles", metric=metric, **_given(ask, plan))
    found = tuple(_quantile(row, ask) for row in rows)
    return Quantiles(found, _values_found(rows), plan.source)


def _given(ask: Ask, plan: Plan) -> dict[str, Any]:
    return {
        **plan.parameters(ask.window, ask.grain),
        **conditions(ask.filters),
        "by": ask.group or "none",
        "top": ask.top,
    }


def _quantile(row: Mapping[str, Any], ask: Ask) -> Quantile:
    shares = (row[name] for name in ("p50", "p75", "p90", "p95", "p99"))
    return Quantile(_bucket(row, ask), row["name"], row["samples"], *shares)


def _bucket(row: Mapping[str, Any], ask: Ask) -> datetime:
    """Start of a row's bucket, UTC; the first bucket of a span begins where the span does."""
    told: datetime = row["bucket"]
    start = to_utc(told, ask.window.zone) if ask.grain in ("day", "month") else told
    return max(start, ask.window.start)


def _figures(row: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {name: row[name] if name in known else None for name in FIGURES}


def _known(source: Source, *, counted: bool) -> frozenset[str]:
    """The figures that a source has."""
    names = _OF_SESSIONS if source == "sessions" else frozenset(FIGURES)
    if source == "spend":
        names -= _NOT_OF_SPEND
    return names if counted else names - _OF_REQUESTS


def _values_found(rows: list[dict[str, Any]]) -> int:
    return int(rows[0]["values_found"]) if rows else 0
