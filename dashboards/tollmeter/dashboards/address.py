"""The address is the truth: controls write it, and they, the navigation and the page follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards import shell
from tollmeter.dashboards.access import viewer
from tollmeter.dashboards.components import filter_bar, notices
from tollmeter.dashboards.dimensions import UNGROUPED
from tollmeter.dashboards.exporting.route import MOST_ROWS, PATH
from tollmeter.dashboards.pages import PAGES, calls, page_at
from tollmeter.dashboards.prepare import call_search, formats
from tollmeter.dashboards.selection import CUSTOM, Selection, parse_search
from tollmeter.dashboards.views import View, ViewStore
from tollmeter.dashboards.wire import OPENED, URL, in_browser

if TYPE_CHECKING:
    from dash import Dash

    from tollmeter.dashboards.wire import Page


_CONTROLS: Final = (
    (URL, "search"),
    ("range", "value"),
    ("dates", "value"),
    ("compare", "checked"),
    ("group", "value"),
    ("filter-dimension", "value"),
    ("filter-values", "value"),
)
_SHOWN: Final = (("chips", "children"), ("nav", "children"), ("export", "children"))


@dataclass(frozen=True, slots=True)
class Controls:
    """What the controls say, in the order in which the browser sends it."""

    search: str | None
    range: str
    dates: list[str | None] | None
    compare: bool
    group: str
    filter_by: str | None
    values: list[str]


def register(app: Dash, store: ViewStore) -> None:
    """Connect the address with the controls and with the page that stands at it."""
    from dash import ALL, Input, Output, State

    controls = [Input(*pair) for pair in _CONTROLS]
    outputs = [Output(*pair) for pair in (*_CONTROLS, *_SHOWN)]
    app.callback(outputs, controls, Input(URL, "pathname"))(_synchronise)
    moved = (Output(OPENED, "data"), Output(URL, "pathname"), Output(URL, "search", allow_duplicate=True))
    app.callback(
        *(Output("page", "children"), Output("title", "children"), *moved),
        *(Input(URL, "pathname"), State(URL, "search"), State(OPENED, "data")),
        prevent_initial_call="initial_duplicate",
    )(lambda *given: _route(store, *given))
    which = Output("filter-dimension", "value", allow_duplicate=True)
    in_browser(app, "chosenChip", which, Input({"type": filter_bar.CHIP, "name": ALL}, "n_clicks"))
    opened = (Output("filters", "className"), Output("filters-toggle", "aria-expanded"))
    in_browser(app, "toggled", *opened, Input("filters-toggle", "n_clicks"))
    app.callback(Output("shell", "navbar"), Input("burger", "opened"))(shell.navigation)
    app.callback(Output("burger", "opened"), Input(URL, "pathname"), prevent_initial_call=True)(lambda _path: False)


def _route(store: ViewStore, pathname: str | None, search: str | None, opened: bool) -> tuple[Any, ...]:  # noqa: FBT001 - as the browser sends it
    from dash import no_update
    from dash.exceptions import PreventUpdate

    if pathname is None:
        raise PreventUpdate
    page = page_at(pathname)
    moved: tuple[Any, Any] = (no_update, no_update)
    first = None if opened or search or pathname.rpartition("/")[2] else _default(store)
    if first and (found := page_at(f"/{first.path}")):
        page, moved = found, (f"{pathname}{first.path}", first.search)
    if page is None:
        return notices.nothing_here("There is no such page.", ("Overview", "./")), "Not found", True, *moved
    return page.layout(), page.title, True, *moved


def _default(store: ViewStore) -> View | None:
    """The view that whoever asks opens the dashboard with."""
    held = store.read(viewer().subject)
    return held.find(held.default) if held.default else None


def _synchronise(*values: Any) -> tuple[Any, ...]:
    from dash import ctx, no_update
    from dash.exceptions import PreventUpdate

    *given, pathname = values
    controls = Controls(*given)
    if controls.search is None:
        raise PreventUpdate
    page = page_at(pathname)
    before = parse_search(controls.search, page.own if page else ())
    touched = str(ctx.triggered_id or URL)
    selection = applied(before, controls, touched)
    if selection is None:
        raise PreventUpdate  # the second day is still to be picked
    address = no_update if touched in (URL, "filter-dimension") else selection.search()
    return (
        address,
        *_state(selection, controls.filter_by),
        filter_bar.chips(selection),
        links(page, selection),
        exports(page, selection),
    )


def applied(selection: Selection, controls: Controls, touched: str) -> Selection | None:
    """The selection after the reader touched a control; None while a choice is incomplete."""
    if touched == "range" and controls.range:
        return selection.with_range(controls.range)
    if touched == "dates":
        return _with_days(selection, controls.dates)
    if touched == "compare":
        return _replaced(selection, compare=bool(controls.compare))
    if touched == "group" and controls.group:
        return _replaced(selection, group="" if controls.group == UNGROUPED else controls.group)
    if touched == "filter-values" and controls.filter_by:
        return selection.with_filter(controls.filter_by, tuple(map(filter_bar.unmarked, controls.values or ())))
    return selection


def links(here: Page | None, selection: Selection) -> list[Any]:
    """The navigation: every page with the filters of this one."""
    from dash import dcc, html

    made = []
    for page in PAGES:
        label = [html.Span(className=f"tm-icon tm-icon-{page.icon}"), html.Span(page.title)]
        href = f"./{page.path}{selection.shared().search()}"
        active = " tm-active" if page is here else ""
        made.append(dcc.Link(label, href=href, className=f"tm-nav-link{active}"))
    return made


def exports(page: Page | None, selection: Selection) -> list[Any]:
    """Links to the calls of a selection as files; a search of the page of calls holds for them too."""
    from dash import html

    narrowed = selection.shared()
    for name in call_search.NARROWING if page is calls.PAGE else ():
        narrowed = narrowed.with_extra(name, selection.get(name))
    address = narrowed.search()
    made = [
        html.A(f"Calls as {label}", href=f"./{PATH}.{kind}{address}", target="_blank", className="tm-link")
        for kind, label in (("csv", "CSV"), ("parquet", "Parquet"))
    ]
    return [
        *made,
        html.Div(f"what is filtered, at most {formats.count(MOST_ROWS)} calls; times in UTC", className="tm-muted"),
    ]


def _with_days(selection: Selection, days: Sequence[str | None] | None) -> Selection | None:
    if not days or not any(days):
        return selection.with_range(Selection().range)
    if not all(days):
        return None
    return selection.with_days(date.fromisoformat(str(days[0])[:10]), date.fromisoformat(str(days[1])[:10]))


def _replaced(selection: Selection, **changes: Any) -> Selection:
    return replace(selection, **changes, problems=())


def _state(selection: Selection, filter_by: str | None) -> tuple[Any, ...]:
    """Values of the controls, after the address."""
    custom = selection.range == CUSTOM
    days = [str(selection.since), str(selection.until)] if custom else [None, None]
    values = [filter_bar.marked(value) for value in selection.values(filter_by or "")]
    return "" if custom else selection.range, days, selection.compare, selection.group or UNGROUPED, filter_by, values
