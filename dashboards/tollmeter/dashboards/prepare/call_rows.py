"""Calls as rows of the table, and what stands above and below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tollmeter.dashboards.prepare import cells, formats
from tollmeter.dashboards.prepare.call_search import KEY_CALL, KEY_DAY
from tollmeter.dashboards.queries.calls import CallRow, Counted
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import Window
from tollmeter.model.names import STATUS_ERROR, STATUS_OK

KEY_PAGE = "page"
ROWS_PER_PAGE = 100


def grid_rows(calls: Sequence[CallRow], selection: Selection, span: Window) -> list[dict[str, Any]]:
    """The rows of the table: numbers stay numbers, times are on the clocks of the zone, each leads to its drawer."""
    return [
        {
            "event_id": call.event_id,
            "time": span.local(call.created_at).isoformat(sep=" ", timespec="milliseconds"),
            "href": drawer_link(selection, call.event_id, call.event_date.isoformat()),
            "model": call.model,
            "route": call.route,
            "tenant": call.tenant_id,
            "user": call.user_id,
            "feature": call.feature,
            "status": status_text(call),
            "ok": call.status == STATUS_OK,
            "input": call.input_tokens,
            "output": call.output_tokens,
            "latency": call.latency_ms,
            "ttft": call.ttft_ms,
            **cells.money("cost", call.cost_usd, call.cost_status or formats.NOTHING),
        }
        for call in calls
    ]


def drawer_link(selection: Selection, event_id: str, day: str) -> str:
    """The address of the page with the drawer of one call open; the day says where in the lake to look."""
    return selection.with_extra(KEY_CALL, event_id).with_extra(KEY_DAY, day).search()


def status_text(call: CallRow) -> str:
    """How the call ended: what failed is told by its error."""
    text = call.error_type or str(call.http_status or "") or call.status if call.status == STATUS_ERROR else call.status
    return f"{text}, attempt {call.attempt}" if call.attempt and call.attempt > 1 else text


def summary(counted: Counted) -> str:
    """What the whole table amounts to, in one line."""
    parts = [formats.many(counted.calls, "call"), formats.money(counted.cost_usd)]
    if counted.errors:
        parts.append(f"{formats.count(counted.errors)} failed ({formats.percent(counted.errors, counted.calls)})")
    if counted.unpriced_calls:
        parts.append(f"{formats.count(counted.unpriced_calls)} of unknown cost")
    return " · ".join(parts)


def page_of(selection: Selection) -> int:
    """The page of the table that an address asks for, from 1.

    >>> page_of(Selection().with_extra("page", "3")), page_of(Selection().with_extra("page", "-x"))
    (3, 1)
    """
    text = selection.get(KEY_PAGE)
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 8 else 1  # noqa: PLR2004


def pager(selection: Selection, shown: int) -> tuple[str, str, str]:
    """Where the page stands in words, and the addresses of the one before and the one after; empty where none is."""
    number = page_of(selection)
    first = (number - 1) * ROWS_PER_PAGE
    text = f"rows {formats.count(first + 1)} to {formats.count(first + shown)}" if shown else "no rows"
    before = selection.with_extra(KEY_PAGE, str(number - 1) if number > 2 else "").search() or "?"  # noqa: PLR2004
    after = selection.with_extra(KEY_PAGE, str(number + 1)).search()
    return text, before if number > 1 else "", after if shown == ROWS_PER_PAGE else ""
