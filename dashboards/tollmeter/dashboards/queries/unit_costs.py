"""What sums by one dimension do not tell of spend: users and sessions, tools, business events, committed capacity."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.queries.plan import conditions, plan_sums

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.queries.cube import Ask
    from tollmeter.dashboards.window import Window

_COUNTED = frozenset({"user", "session"})


@dataclass(frozen=True, slots=True)
class UnitCounts:
    """Different users and sessions, and what the calls cost that name one; None where no cost is known."""

    users: int = 0
    users_cost: Decimal | None = None
    sessions: int = 0
    sessions_cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Tools that a provider ran inside a model's calls, and the per-use fees of these calls."""

    model: str
    provider: str
    calls: int
    web_searches: int
    file_searches: int
    code_runs: int
    fees: Decimal | None


@dataclass(frozen=True, slots=True)
class BusinessEvent:
    """Requests that ended in one business event, and what their calls cost."""

    name: str
    requests: int
    calls: int
    unpriced_calls: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class CommitmentUse:
    """Capacity paid by the hour; `used` is the mean share, None where the capacity is not known."""

    name: str
    provider: str
    resource: str
    model: str
    hours: int
    calls: int
    tokens: int
    used: float | None
    cost: Decimal
    idle: Decimal | None


def unit_counts(lake: Lake, ask: Ask) -> UnitCounts:
    """Users and sessions of a span.

    Raises:
        QueryError: the lake could not answer.
    """
    plan = plan_sums(ask.window, "all", ask.asked() | _COUNTED, ask.viewer)
    given = plan.parameters(ask.window, "all")
    for name in ("bucket", "zone", "hours_begin"):
        del given[name]
    row = lake.rows(ask.viewer, "unit_counts", **given, **conditions(ask.filters))[0]
    return UnitCounts(row["users"], row["users_cost_usd"], row["sessions"], row["sessions_cost_usd"])


def tools_used(lake: Lake, ask: Ask) -> tuple[ToolUse, ...]:
    """Tools and fees by model, dearest first.

    Raises:
        QueryError: the lake could not answer.
    """
    rows = lake.rows(ask.viewer, "tools_used", **_given(ask))
    return tuple(
        ToolUse(
            row["model"], row["provider"], row["calls"], row["web_searches"], row["file_searches"], row["code_runs"],
            row["fees_usd"],
        )
        for row in rows
    )  # fmt: skip


def business_events(lake: Lake, ask: Ask, tag: str) -> tuple[BusinessEvent, ...]:
    """Requests by the value of a tag, most frequent first.

    Raises:
        QueryError: the lake could not answer.
    """
    rows = lake.rows(ask.viewer, "business_events", tag=tag, **_given(ask))
    return tuple(
        BusinessEvent(
            tag_value(row["event"]), row["requests"], row["calls"], row["unpriced_calls"], row["cost_usd"],
        )
        for row in rows
    )  # fmt: skip


def tag_value(member: str) -> str:
    r"""The value of one member of JSON text, which may be cut at a quote within it.

    >>> tag_value('"event": "question.answered"'), tag_value('"event":"it is \\"')
    ('question.answered', 'it is')
    """
    try:
        return str(next(iter(json.loads("{" + member + "}").values())))
    except ValueError:
        return member.partition(":")[2].strip(' "\\')


def commitments_used(lake: Lake, viewer: Viewer, span: Window) -> tuple[CommitmentUse, ...]:
    """Committed capacity, dearest first; filters have no say in it, for it is paid whoever uses it.

    Raises:
        QueryError: the lake could not answer.
    """
    rows = lake.rows(viewer, "commitments_used", since=span.start, until=span.end)
    return tuple(
        CommitmentUse(
            row["commitment"], row["provider"], row["resource_id"], row["model"], row["hours"], row["calls"],
            row["tokens"], row["used_share"], row["cost_usd"], row["idle_usd"],
        )
        for row in rows
    )  # fmt: skip


def _given(ask: Ask) -> dict[str, Any]:
    return {"since": ask.window.start, "until": ask.window.end, **conditions(ask.filters)}
