"""Calls: a table that is searched, sorted and paged where the data is, and a drawer with one call."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.components import call_view, card, grid, notices, pager
from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.prepare import call_rows, call_search
from tollmeter.dashboards.prepare.session_rows import from_elsewhere
from tollmeter.dashboards.prepare.trace_links import trace_links
from tollmeter.dashboards.queries import calls as queries
from tollmeter.dashboards.wire import URL, Asked, Page, Shown, Wire, in_browser, search_fields

if TYPE_CHECKING:
    from tollmeter.dashboards.prepare.call_facts import Fact
    from tollmeter.dashboards.selection import Selection

_FIELDS: Final = ("calls-q", "calls-min-cost", "calls-min-latency")


def layout() -> Any:
    """The frame of the page."""
    import dash_mantine_components as dmc
    from dash import html

    drawer = dmc.Drawer(
        card.bare("calls-one", "One call", None),
        id="calls-drawer",
        opened=False,
        keepMounted=True,
        position="right",
        size="min(760px, 100vw)",
        title="Call",
        closeButtonProps=aria("Close the call"),
        padding="md",
    )
    return html.Div(
        [
            html.Div(_search(), className="tm-search", role="search"),
            card.bare("calls-sum", "All calls of the table", dmc.Skeleton(height=18, w=320)),
            card.card("calls-table", "Calls", height=560, wide=True),
            drawer,
        ]
    )


def _search() -> list[Any]:
    import dash_mantine_components as dmc

    words = "Id of a call, request or trace; or a part of session, user, error, model"
    return [
        dmc.TextInput(id="calls-q", placeholder=words, debounce=400, className="tm-search-text", **aria(words)),
        dmc.TextInput(id="calls-min-cost", placeholder="$ at least", debounce=400, **aria("Cost in USD at least")),
        dmc.TextInput(id="calls-min-latency", placeholder="took at least, such as 2s", debounce=400,
                      **aria("Latency at least, such as 1500 or 2s")),
    ]  # fmt: skip


def register(wire: Wire) -> None:
    """Connect the page."""
    from dash import Input, Output, State

    wire.card("calls-table", _table)
    wire.card("calls-sum", _sum)
    wire.card("calls-one", _one)
    search_fields(wire, *_FIELDS)
    in_browser(wire.app, "drawer", Output("calls-drawer", "opened"), Input(URL, "search"), prevent_initial_call=False)
    in_browser(
        wire.app, "closed", Output(URL, "search", allow_duplicate=True), Input("calls-drawer", "opened"),
        State(URL, "search"),
    )  # fmt: skip


def _asked(asked: Asked) -> queries.Asked:
    search = call_search.search(asked.selection)
    return queries.Asked(asked.window.start, asked.window.end, asked.selection.filters, search, asked.viewer)


def _table(asked: Asked) -> Shown:
    which = _asked(asked)
    offset = (call_rows.page_of(asked.selection) - 1) * call_rows.ROWS_PER_PAGE
    found = queries.page(asked.lake, which, offset, call_rows.ROWS_PER_PAGE)
    if not found:
        return Shown(_nothing(asked))
    rows = call_rows.grid_rows(found, asked.selection, asked.window)
    text, before, after = call_rows.pager(asked.selection, len(found))
    table = grid.grid("calls-grid", _columns(which.search), rows, key="event_id", height=620, is_page=True)
    order = f"{'largest' if which.search.direction == 'desc' else 'smallest'} {which.search.sort} first"
    newest = {"desc": "newest first", "asc": "oldest first"}[which.search.direction]
    caption = f"{text}, {newest if which.search.sort == 'time' else order}, times in {asked.window.zone}"
    return Shown([table, pager.pager(text, before, after)], caption)


def _columns(search: queries.Search) -> list[grid.Column]:
    def served(column: grid.Column, sort: str = "") -> grid.Column:
        return grid.served(column, search.direction if sort == search.sort else None, sortable=bool(sort))

    return [
        served(grid.link("time", "Time", "href", 195, cellClass="tm-digits"), "time"),
        served(grid.text("model", "Model", 150)),
        served(grid.text("route", "Route", 110)),
        served(grid.text("tenant", "Tenant", 100)),
        served(grid.text("feature", "Feature", 100)),
        served(grid.text("status", "Status", 90, cellClassRules={"tm-bad": {"function": "!params.data.ok"}})),
        served(grid.count("input", "Tokens in", 100), "input"),
        served(grid.count("output", "Tokens out", 105), "output"),
        served(grid.money("cost", "Cost (USD)", 115), "cost"),
        served(grid.duration("latency", "Latency", 95), "latency"),
        served(grid.duration("ttft", "First token", 105), "ttft"),
    ]


def _nothing(asked: Asked) -> Any:
    ways = []
    selection = asked.selection
    own = [key for key in call_search.NARROWING if selection.get(key)]
    if call_rows.page_of(selection) > 1:
        ways.append(("First page", asked.link(selection.with_extra(call_rows.KEY_PAGE, ""))))
    if own:
        ways.append(("Drop the search", asked.link(_without(selection, *own))))
    ways += [(f"Drop the filter {name}", asked.link(selection.without(name))) for name, _ in selection.filters]
    if selection.range != "90d":
        ways.append(("Look through 90 days", asked.link(selection.with_range("90d"))))
    return notices.nothing_here("No call matches.", *ways)


def _without(selection: Selection, *names: str) -> Selection:
    for name in (*names, call_rows.KEY_PAGE):
        selection = selection.with_extra(name, "")
    return selection


def _sum(asked: Asked) -> Shown:
    from dash import html

    counted = queries.counted(asked.lake, _asked(asked))
    exact = f"{counted.cost_usd:f}" if counted.cost_usd is not None else ""
    facts: dict[str, Any] = {"data-calls": str(counted.calls), "data-cost": exact}
    return Shown(html.Div(call_rows.summary(counted), id="calls-summary", className="tm-summary", title=exact, **facts))


def _one(asked: Asked) -> Shown:
    event_id = asked.selection.get(call_search.KEY_CALL)
    if not event_id:
        return Shown(None)
    found = queries.whole(asked.lake, asked.viewer, event_id, _day(asked.selection), asked.window.days())
    if found is None:
        day = _day(asked.selection)
        where = f"around {day}" if day else "in this period"
        return Shown(
            notices.nothing_here(
                f"No call {event_id[:64]} {where}.",
                ("Look through 90 days", asked.link(asked.selection.with_range("90d"))),
            )
        )
    closed = _without(asked.selection, call_search.KEY_CALL, call_search.KEY_DAY)
    when = (
        f"{asked.window.local(found.row['timestamp']).isoformat(sep=' ', timespec='milliseconds')} {asked.window.zone}"
    )

    def filtered(fact: Fact) -> str:
        return closed.with_filter(fact.dimension, (fact.value,)).search() if fact.dimension else ""

    def opened(other: str, day: str) -> str:
        return call_rows.drawer_link(asked.selection, other, day)

    settings = asked.lake.settings
    region = settings.console_region or found.row["region"] or settings.region
    traces = trace_links(found.row["trace_id"] or "", region, settings.datadog_site)
    return Shown(
        call_view.view(
            found, when, links=_links(asked, found.row), traces=traces, filter_href=filtered, call_href=opened
        )
    )


def _links(asked: Asked, row: Any) -> list[tuple[str, str]]:
    if not row["session_id"]:
        return []
    search = asked.selection.shared().search()
    session = from_elsewhere(search, row["session_id"], row["tenant_id"] or "", row["event_date"])
    return [("Its session", session)]


def _day(selection: Selection) -> date | None:
    try:
        return date.fromisoformat(selection.get(call_search.KEY_DAY))
    except ValueError:
        return None


PAGE: Final = Page(
    "calls", "Calls", "calls", layout, register, own=(*call_search.OWN, call_rows.KEY_PAGE), needs_calls=False
)
