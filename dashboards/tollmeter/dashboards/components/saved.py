"""The menu of saved views: each a link, and what can be done with it."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.views import View, Views

DEEDS: Final = ("view-update", "view-rename", "view-default", "view-delete")


def menu() -> Any:
    """The menu before the views are known."""
    import dash_mantine_components as dmc
    from dash import html

    name = dmc.TextInput(id="view-name", placeholder="Name", size="xs", **aria("Name of a view"))
    button = html.Button([html.Span(className="tm-icon tm-icon-save"), "Views"], id="views-open", className="tm-menu")
    body = [
        html.Div(id="views-list", className="tm-views"),
        html.Div([name, html.Button("Save as", id="view-save", className="tm-plain")], className="tm-views-new"),
        html.Div(id="views-said", className="tm-muted", role="status"),
    ]
    return dmc.Popover(
        [dmc.PopoverTarget(button), dmc.PopoverDropdown(html.Div(body, className="tm-menu-list"))],
        position="bottom-end",
        shadow="md",
        keepMounted=True,
        withRoles=False,  # they would stand on a wrapper that no reader reaches
        width=340,
    )


def rows(views: Views) -> list[Any]:
    """A row per view; without any, words that say so."""
    from dash import html

    if not views.views:
        return [html.Div("No saved views yet. Save this one under a name.", className="tm-muted")]
    return [_row(view, is_default=view.name == views.default) for view in views.views]


def _row(view: View, *, is_default: bool) -> Any:
    from dash import dcc, html

    star = "Default" if is_default else "Make default"
    deeds = (("view-update", "Save"), ("view-rename", "Rename"), ("view-default", star), ("view-delete", "Delete"))
    buttons = [
        html.Button(label, id={"type": deed, "name": view.name}, className="tm-plain", **aria(f"{label}: {view.name}"))
        for deed, label in deeds
    ]
    link = dcc.Link(view.name, href=f"./{view.path}{view.search}", className="tm-link tm-view")
    return html.Div([link, html.Div(buttons, className="tm-view-deeds")], className="tm-view-row")
