"""What one of a thing costs: requests of a route, business events, hours of committed capacity, uses of a tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tollmeter.dashboards.dimensions import NOT_SET
from tollmeter.dashboards.prepare import cells, formats
from tollmeter.dashboards.prepare.ratios import per, share
from tollmeter.dashboards.prepare.spending import Href
from tollmeter.dashboards.queries.cube import Sums
from tollmeter.dashboards.queries.unit_costs import BusinessEvent, CommitmentUse, ToolUse

Row = dict[str, Any]


def route_rows(now: Sums, before: Sums, href: Href) -> list[Row]:
    """What one request of each route costs, and how that changed."""
    earlier = {row.name: per(row.cost_usd, row.requests) for row in before.rows}
    return [
        {
            "key": f"={row.name}",
            "name": row.name or NOT_SET,
            "href": href(row.name),
            "requests": row.requests,
            "calls": row.calls,
            "calls_per_request": row.calls / row.requests if row.requests else None,
            **cells.money("cost", row.cost_usd, "unpriced"),
            **cells.money("each", per(row.cost_usd, row.requests), formats.NOTHING),
            **cells.change("change", per(row.cost_usd, row.requests), earlier.get(row.name)),
        }
        for row in now.rows
        if row.name is not None
    ]


def event_rows(now: Sequence[BusinessEvent], before: Sequence[BusinessEvent]) -> list[Row]:
    """What one business event of each kind costs, and how that changed."""
    earlier = {event.name: per(event.cost, event.requests) for event in before}
    return [
        {
            "key": f"={event.name}",
            "name": event.name,
            "requests": event.requests,
            "calls": event.calls,
            **cells.money("cost", event.cost, "unpriced"),
            **cells.money("each", per(event.cost, event.requests), formats.NOTHING),
            **cells.change("change", per(event.cost, event.requests), earlier.get(event.name)),
            "unpriced": event.unpriced_calls,
        }
        for event in now
    ]


def tool_rows(found: Sequence[ToolUse], href: Href) -> list[Row]:
    """Tools by model, and the fees of the calls that used them."""
    return [
        {
            "key": f"{tool.provider}={tool.model}",
            "name": tool.model,
            "href": href(tool.model),
            "provider": tool.provider,
            "calls": tool.calls,
            "web_searches": tool.web_searches,
            "file_searches": tool.file_searches,
            "code_runs": tool.code_runs,
            **cells.money("fees", tool.fees, "unpriced"),
        }
        for tool in found
    ]


def commitment_rows(found: Sequence[CommitmentUse]) -> list[Row]:
    """Committed capacity: what it cost, and what of that lay idle."""
    return [
        {
            "key": f"{each.name}={each.resource}",
            "name": each.name,
            "resource": each.resource,
            "hours": each.hours,
            "calls": each.calls,
            "tokens": each.tokens,
            "used": each.used,
            **cells.money("cost", each.cost),
            **cells.money("idle", each.idle, "capacity not known"),
            "idle_share": share(each.idle, each.cost),
        }
        for each in found
    ]
