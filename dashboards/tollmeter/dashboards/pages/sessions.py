"""Sessions: conversations and agent runs, the dearest first, and one told call by call."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.components import card, grid, notices, pager, session_view
from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.prepare import call_rows, session_rows
from tollmeter.dashboards.prepare.session_story import Told, story
from tollmeter.dashboards.queries import sessions as queries
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire, search_fields

if TYPE_CHECKING:
    from tollmeter.dashboards.selection import Selection

_ROWS = call_rows.ROWS_PER_PAGE


def layout() -> Any:
    """The frame of the page."""
    import dash_mantine_components as dmc
    from dash import html

    words = "A part of session, user or tenant"
    search = dmc.TextInput(id="sessions-q", placeholder=words, debounce=400, className="tm-search-text", **aria(words))
    return html.Div(
        [
            card.bare("sessions-one", "One session", None),
            html.Div(search, className="tm-search", role="search"),
            card.bare("sessions-sum", "All sessions of the table", dmc.Skeleton(height=18, w=320)),
            card.card("sessions-table", "Sessions", height=560, wide=True),
        ]
    )


def register(wire: Wire) -> None:
    """Connect the page."""
    wire.card("sessions-one", _one)
    wire.card("sessions-sum", _sum)
    wire.card("sessions-table", _table)
    search_fields(wire, "sessions-q")


def _asked(asked: Asked) -> queries.SessionsAsked:
    text = asked.selection.get(session_rows.KEY_TEXT).strip()
    return queries.SessionsAsked(asked.window.days(), asked.selection.filters, text, asked.viewer)


def _table(asked: Asked) -> Shown:
    selection = asked.selection
    sort, direction = session_rows.order(selection.get(session_rows.KEY_SORT))
    offset = (call_rows.page_of(selection) - 1) * _ROWS
    found = queries.page(asked.lake, _asked(asked), sort, direction, offset=offset, limit=_ROWS)
    note = session_rows.cannot_filter(selection)
    if not found:
        ways = [(f"Drop the filter {name}", asked.link(selection.without(name))) for name, _ in selection.filters]
        return Shown(
            notices.nothing_here("No session matches: calls carry a session where the service names one.", *ways), note
        )
    text, before, after = call_rows.pager(selection, len(found))
    rows = session_rows.grid_rows(found, selection, asked.window)
    first, last = asked.window.days()
    caption = " · ".join(part for part in (f"whole days {first} to {last}, {asked.window.zone}", note) if part)
    table = grid.grid("sessions-grid", _columns(sort, direction), rows, key="key", height=620, is_page=True)
    return Shown([table, pager.pager(text, before, after)], caption)


def _columns(sort: str, direction: str) -> list[grid.Column]:
    def served(column: grid.Column) -> grid.Column:
        name = column["field"]
        sortable = name in ("cost", "calls", "errors", "tokens", "duration", "last")
        return grid.served(column, direction if name == sort else None, sortable=sortable)

    return [
        served(grid.link("session", "Session", "href", 220)),
        served(grid.text("tenant", "Tenant", 110)),
        served(grid.text("user", "User", 130)),
        served(grid.text("service", "Service", 110)),
        served(grid.money("cost", "Cost (USD)", 115)),
        served(grid.count("calls", "Calls", 80)),
        served(grid.count("errors", "Failed", 85)),
        served(grid.count("tokens", "Tokens", 105)),
        served(grid.duration("duration", "Lasted", 100)),
        served(grid.text("last", "Last call", 165, cellClass="tm-digits")),
    ]


def _sum(asked: Asked) -> Shown:
    from dash import html

    counted = queries.counted(asked.lake, _asked(asked))
    facts: dict[str, Any] = {"data-sessions": str(counted.sessions), "data-cost": str(counted.cost_usd or "")}
    return Shown(html.Div(session_rows.summary(counted), id="sessions-summary", className="tm-summary", **facts))


def _one(asked: Asked) -> Shown:
    from dash import dcc, html

    selection = asked.selection
    session_id = selection.get(session_rows.KEY_OPEN)
    if not session_id:
        return Shown(None)
    closed = asked.link(_closed(selection))
    found = queries.whole(
        asked.lake, asked.viewer, session_id, selection.get(session_rows.KEY_TENANT), hint=_day(selection),
        otherwise=asked.window.days(),
    )  # fmt: skip
    if found is None:
        return Shown(notices.nothing_here(f"No session {session_id[:80]} in these days.", ("All sessions", closed)))

    def when(moment: datetime) -> str:
        return asked.window.local(moment).isoformat(sep=" ", timespec="seconds")

    def call_href(one: Told) -> str:
        return "./calls" + call_rows.drawer_link(selection.shared(), one.call.event_id, one.call.event_date.isoformat())

    detail = session_view.view(found, story(found.calls), call_href=call_href, when=when)
    close = dcc.Link("Close", href=closed, className="tm-link tm-close")
    return Shown(html.Section([close, detail], className="tm-frame", **aria("One session")))


def _closed(selection: Selection) -> Selection:
    for name in (session_rows.KEY_OPEN, session_rows.KEY_TENANT, session_rows.KEY_DAY):
        selection = selection.with_extra(name, "")
    return selection


def _day(selection: Selection) -> date | None:
    try:
        return date.fromisoformat(selection.get(session_rows.KEY_DAY))
    except ValueError:
        return None


PAGE = Page("sessions", "Sessions", "sessions", layout, register, own=session_rows.OWN, needs_calls=False)
