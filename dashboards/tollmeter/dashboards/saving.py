"""What the menu of saved views does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.access import viewer
from tollmeter.dashboards.components import saved
from tollmeter.dashboards.pages import page_at
from tollmeter.dashboards.selection import parse_search
from tollmeter.dashboards.views import View, Views, ViewStore
from tollmeter.dashboards.wire import URL
from tollmeter.model.errors import UsageError

if TYPE_CHECKING:
    from dash import Dash


def register(app: Dash, store: ViewStore) -> None:
    """Connect the menu with what is stored."""
    from dash import ALL, Input, Output, State

    deeds = [Input({"type": deed, "name": ALL}, "n_clicks") for deed in saved.DEEDS]
    app.callback(
        *(Output("views-list", "children"), Output("views-said", "children"), Output("view-name", "value")),
        *(Input("view-save", "n_clicks"), *deeds),
        *(State("view-name", "value"), State(URL, "pathname"), State(URL, "search")),
    )(lambda *given: _answer(store, *given[-3:]))


def _answer(store: ViewStore, name: str | None, pathname: str | None, search: str | None) -> tuple[Any, ...]:
    from dash import ctx, no_update
    from dash.exceptions import PreventUpdate

    clicked = ctx.triggered[0]["value"] if ctx.triggered else None
    if not clicked:
        # Rows that have just been drawn announce themselves too.
        if isinstance(ctx.triggered_id, dict):
            raise PreventUpdate
        return saved.rows(store.read(viewer().subject)), "", no_update
    try:
        views, said = _done(store, ctx.triggered_id, name or "", _here(pathname, search))
    except UsageError as error:
        return no_update, str(error), no_update
    return saved.rows(views), said, ""


def _done(store: ViewStore, deed: Any, name: str, here: View) -> tuple[Views, str]:
    """Do what was clicked; the views afterwards and a word about it."""
    subject = viewer().subject
    if not isinstance(deed, dict):
        return store.save(subject, View(name, here.path, here.search)), f"Saved {name.strip()!r}."
    old = str(deed["name"])
    if deed["type"] == "view-update":
        return store.save(subject, View(old, here.path, here.search)), f"{old!r} is now what you see."
    if deed["type"] == "view-rename":
        return store.rename(subject, old, name), f"{old!r} is now {name.strip()!r}."
    if deed["type"] == "view-delete":
        return store.delete(subject, old), f"Deleted {old!r}."
    was = store.read(subject).default == old
    return store.make_default(subject, "" if was else old), "" if was else f"The dashboard opens with {old!r}."


def _here(pathname: str | None, search: str | None) -> View:
    """Where the reader is, without what the address says that is not understood."""
    page = page_at(pathname)
    return View("", page.path if page else "", parse_search(search, page.own if page else ()).search())
