"""The shell around every page: header, navigation, filter bar, and the place where a page goes; it reads nothing."""

# Generated components type nested options, and plain dicts are what they take.
# pyright: reportArgumentType=false
from __future__ import annotations

import uuid
from typing import Any, Final

from tollmeter.dashboards.components import filter_bar, saved
from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.figures.base import FONT
from tollmeter.dashboards.wire import OPENED, REFRESH, TAB, TICK, URL

TITLE: Final = "Tollmeter"
REFRESH_SECONDS: Final = 60
_THEME: Final = {"primaryColor": "indigo", "fontFamily": FONT, "defaultRadius": "md"}
_NAVIGATION: Final = {"width": 196, "breakpoint": "sm", "collapsed": {"mobile": True}}


def layout(zone: str) -> Any:
    """The whole shell before the first answer."""
    import dash_mantine_components as dmc
    from dash import dcc

    return dmc.MantineProvider(
        [
            dcc.Location(id=URL, refresh="callback-nav"),
            dcc.Interval(id=TICK, interval=REFRESH_SECONDS * 1000),
            dcc.Store(id=TAB, data=uuid.uuid4().hex),
            dcc.Store(id=OPENED, data=False),
            _skip_link(),
            dmc.AppShell(
                [_header(), _navigation(), dmc.AppShellMain(_main(zone), id="main")],
                id="shell",
                header={"height": 52},
                navbar=_NAVIGATION,
                padding="md",
            ),
        ],
        defaultColorScheme="auto",
        theme=_THEME,
    )


def navigation(opened: bool) -> dict[str, Any]:  # noqa: FBT001 - it is the burger's state
    """How the navigation stands: always there on a wide screen, a drawer on a phone."""
    return _NAVIGATION | {"collapsed": {"mobile": not opened}}


def _skip_link() -> Any:
    from dash import html

    return html.A("Skip to the content", href="#main", className="tm-skip")


def _header() -> Any:
    import dash_mantine_components as dmc
    from dash import html

    mark = html.Img(src="assets/mark.svg", alt="", width=22, height=22)
    brand = dmc.Group([mark, dmc.Text(TITLE, fw=650, size="md", className="tm-brand")], gap=8, wrap="nowrap")
    burger = dmc.Burger(id="burger", opened=False, size="sm", hiddenFrom="sm", **aria("Navigation"))
    state = html.Span("reading the lake …", id="as-of", className="tm-as-of", role="status")
    reload_ = html.Button(html.Span(className="tm-icon tm-icon-refresh"), id=REFRESH, className="tm-square",
                          **aria("Refresh"))  # fmt: skip
    scheme = dmc.ColorSchemeToggle(
        lightIcon=html.Span(className="tm-icon tm-icon-light"),
        darkIcon=html.Span(className="tm-icon tm-icon-dark"),
        variant="default",
        size=30,
        **aria("Light or dark"),
    )
    right = dmc.Group([state, reload_, scheme], gap="sm", wrap="nowrap")
    left = dmc.Group([burger, brand], gap="sm", wrap="nowrap")
    return dmc.AppShellHeader(dmc.Group([left, right], justify="space-between", h="100%", px="md", wrap="nowrap"))


def _navigation() -> Any:
    import dash_mantine_components as dmc
    from dash import html

    return dmc.AppShellNavbar(html.Nav(id="nav", className="tm-nav", **aria("Pages")), id="navbar")


def _main(zone: str) -> Any:
    from dash import html

    return html.Div(
        [
            html.Div(
                [html.H1("Overview", id="title", className="tm-title"), html.Div([saved.menu(), takeaway()])],
                className="tm-top",
            ),
            filter_bar.bar(zone),
            html.Div(id="notice", className="tm-notice"),
            html.Div(id="page", className="tm-page"),
            _foot(zone),
        ],
        className="tm-main",
    )


def takeaway() -> Any:
    """The menu of exports; its links follow the address."""
    import dash_mantine_components as dmc
    from dash import html

    button = html.Button([html.Span(className="tm-icon tm-icon-export"), "Export"], className="tm-menu")
    return dmc.Popover(
        [dmc.PopoverTarget(button), dmc.PopoverDropdown(html.Div(id="export", className="tm-menu-list"))],
        position="bottom-end",
        shadow="md",
        keepMounted=True,
        withRoles=False,  # they would stand on a wrapper that no reader reaches
    )


def _foot(zone: str) -> Any:
    from dash import html

    text = (
        f"All times {zone} · money in USD, over priced calls · tokens as the providers reported them, estimates apart"
    )
    return html.Footer(text, className="tm-foot")
