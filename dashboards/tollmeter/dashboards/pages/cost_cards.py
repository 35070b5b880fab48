"""Cards of the cost page: what has no price or no owner, and what one of a thing costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.dashboards.components import grid, notices
from tollmeter.dashboards.pages.asking import ask_of, earlier, filtering, whole
from tollmeter.dashboards.prepare import allocation, unit_costs
from tollmeter.dashboards.queries import unit_costs as queries
from tollmeter.dashboards.queries.cube import sums, total
from tollmeter.dashboards.wire import Asked, Shown, Wire
from tollmeter.model.names import STATUS_OK, STATUS_PARTIAL

if TYPE_CHECKING:
    from tollmeter.dashboards.selection import Selection

_ROWS: Final = 200
_ANSWERED: Final = (STATUS_OK, STATUS_PARTIAL)


def register(wire: Wire) -> None:
    """Connect these cards."""
    wire.card("cost-unpriced", _unpriced)
    wire.card("cost-unallocated", _unallocated)
    wire.card("cost-routes", _routes)
    wire.card("cost-events", _events)
    wire.card("cost-tools", _tools)
    wire.card("cost-commitments", _commitments)


def _unpriced(asked: Asked) -> Shown:
    filters = _answered(asked.selection).filters
    ask = whole(asked, group="model", filters=filters, top=_ROWS, rank="calls")
    answered = sums(asked.lake, ask)
    caption = allocation.unpriced_caption(total(asked.lake, whole(asked)), total(asked.lake, ask))
    rows = allocation.unpriced_rows(answered, filtering(asked, "model"))
    if not rows:
        return Shown(notices.nothing_here("Every call that answered has a price."), caption)
    columns = [
        grid.link("name", "Model", "href", 140),
        grid.count("unpriced", "Calls", 85, sort="desc"),
        grid.share("share", "of its calls", 95),
        grid.text("hint", "Ask why, or give it a price", 230, flex=2, cellClass="tm-code"),
    ]
    return Shown(grid.grid("cost-unpriced-grid", columns, rows, key="key"), caption)


def _answered(selection: Selection) -> Selection:
    """The selection without calls that failed."""
    asked = selection.values("status") or _ANSWERED
    return selection.with_filter("status", tuple(value for value in asked if value in _ANSWERED) or _ANSWERED)


def _unallocated(asked: Asked) -> Shown:
    free = [name for name in allocation.OWNERS if not asked.selection.values(name)]
    without = {name: asked.selection.with_filter(name, ("",)) for name in free}
    found = {name: total(asked.lake, whole(asked, filters=chosen.filters)) for name, chosen in without.items()}
    links = {name: asked.link(chosen) for name, chosen in without.items()}
    rows = allocation.unallocated_rows(found, total(asked.lake, whole(asked)), links)
    columns = [
        grid.link("name", "Calls with", "href", 130),
        grid.money("cost", "Spend", 110),
        grid.share("share", "of spend", 100),
        grid.count("calls", "Calls", 100),
        grid.share("call_share", "of calls", 100),
    ]
    return Shown(grid.grid("cost-unallocated-grid", columns, rows, key="key"), "spend that no owner is named for")


def _routes(asked: Asked) -> Shown:
    ask = whole(asked, group="route", top=_ROWS)
    rows = unit_costs.route_rows(sums(asked.lake, ask), earlier(asked, ask), filtering(asked, "route"))
    known = any(row["requests"] is not None for row in rows)
    columns = [
        grid.link("name", "Route", "href", 140, flex=2),
        grid.count("requests", "Requests", 100),
        grid.money("each", "Each", 100),
        grid.change("change", "vs previous"),
        grid.money("cost", "Spend", 100, sort="desc"),
        grid.count("calls", "Calls", 90),
    ]
    caption = "spend over requests served" if known else "requests have no model: drop that filter for their number"
    return Shown(grid.grid("cost-routes-grid", columns, rows, key="key"), caption)


def _events(asked: Asked) -> Shown:
    tag = asked.lake.settings.business_event_tag
    if not tag:
        told = "Tag requests with the event they end in, and name the tag: TOLLMETER_BUSINESS_EVENT_TAG=event"
        return Shown(notices.nothing_here(told))
    ask = ask_of(asked)
    now = queries.business_events(asked.lake, ask, tag)
    before = queries.business_events(asked.lake, ask_of(asked, window=asked.before), tag)
    rows = unit_costs.event_rows(now, before)
    columns = [
        grid.text("name", f"Tag {tag}", 150),
        grid.count("requests", "Requests", 100, sort="desc"),
        grid.money("each", "Each", 100),
        grid.change("change", "vs previous"),
        grid.money("cost", "Spend", 100),
        grid.count("unpriced", "Unpriced calls", 115),
    ]
    return Shown(grid.grid("cost-events-grid", columns, rows, key="key"), "spend of the requests that carry it")


def _tools(asked: Asked) -> Shown:
    rows = unit_costs.tool_rows(queries.tools_used(asked.lake, ask_of(asked)), filtering(asked, "model"))
    if not rows:
        return Shown(notices.nothing_here("No call ran a tool of its provider, and none had a fee."))
    columns = [
        grid.link("name", "Model", "href", 150, flex=2),
        grid.money("fees", "Fees", 90, sort="desc"),
        grid.count("calls", "Calls", 75),
        grid.count("web_searches", "Web", 75, headerTooltip="searches of the web"),
        grid.count("file_searches", "Files", 75, headerTooltip="searches of files"),
        grid.count("code_runs", "Code", 75, headerTooltip="containers of the code interpreter"),
    ]
    return Shown(grid.grid("cost-tools-grid", columns, rows, key="key"), "part of spend")


def _commitments(asked: Asked) -> Shown:
    rows = unit_costs.commitment_rows(queries.commitments_used(asked.lake, asked.viewer, asked.window))
    if not rows:
        return Shown(notices.nothing_here("No capacity is paid by the hour in this period."))
    columns = [
        grid.text("name", "Commitment", 130),
        grid.money("cost", "Cost", 100, sort="desc"),
        grid.money("idle", "Idle", 100),
        grid.share("idle_share", "of it idle", 100),
        grid.count("hours", "Hours", 80),
        grid.count("calls", "Calls", 90),
        grid.text("resource", "Resource", 160),
    ]
    caption = "on top of spend, whoever used it: filters do not narrow it"
    return Shown(grid.grid("cost-commitments-grid", columns, rows, key="key"), caption)
