"""The page: a frame with skeletons that callbacks fill; nothing here reads the lake."""

# Generated components type every keyword, and `**{"aria-label": …}` cannot say which it is.
# pyright: reportArgumentType=false
from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.calls_grid import calls_grid
from tollmeter.dashboards.figures import FONT, graph
from tollmeter.dashboards.filters import PRESETS
from tollmeter.dashboards.tiles import skeleton_row

TITLE: Final = "Tollmeter"
REFRESH_SECONDS: Final = 60
_THEME: Final = {"primaryColor": "indigo", "fontFamily": FONT, "defaultRadius": "md"}


def layout() -> Any:
    """The whole page before the first answer."""
    import dash_mantine_components as dmc
    from dash import dcc

    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="tick", interval=REFRESH_SECONDS * 1000),
            dmc.AppShell([_header(), dmc.AppShellMain(_main())], header={"height": 56}, padding="md"),
        ],
        defaultColorScheme="auto",
        theme=_THEME,
    )


def _header() -> Any:
    import dash_mantine_components as dmc
    from dash import html

    mark = html.Img(src="assets/mark.svg", alt="", width=24, height=24)
    brand = dmc.Group([mark, dmc.Text(TITLE, fw=650, size="md")], gap=8, wrap="nowrap")
    state = dmc.Text("reading the lake …", id="as-of", className="tm-as-of")
    reload_ = dmc.ActionIcon("↻", id="refresh", variant="default", size=30, **{"aria-label": "refresh"})
    scheme = dmc.ColorSchemeToggle(
        lightIcon=html.Span("☀"), darkIcon=html.Span("☾"), variant="default", size=30, **{"aria-label": "light or dark"}
    )
    right = dmc.Group([state, reload_, scheme], gap="sm", wrap="nowrap")
    bar = dmc.Group([brand, right], justify="space-between", h="100%", px="md", wrap="nowrap")
    return dmc.AppShellHeader([bar, html.Div(id="progress", className="tm-progress")])


def _main() -> Any:
    from dash import html

    board = [
        html.Div(skeleton_row(), id="tiles", className="tm-tiles"),
        html.Div(
            [
                _card("Spend by model", "spend-caption", graph("spend-chart")),
                _card("Latency of model calls", "latency-caption", graph("latency-chart")),
            ],
            className="tm-charts",
        ),
        _card("Recent calls", "calls-caption", calls_grid(), _export()),
    ]
    return html.Div(
        [_filters(), html.Div(id="notice"), html.Div(board, id="board"), _foot()],
        className="tm-main",
    )


def _filters() -> Any:
    import dash_mantine_components as dmc
    from dash import html

    presets = [{"value": name, "label": name.upper() if name == "mtd" else name} for name in PRESETS]
    return html.Div(
        [
            dmc.SegmentedControl(id="range", data=presets, value="", size="sm", className="tm-range"),
            dmc.DatePickerInput(
                id="dates",
                type="range",
                placeholder="Custom days",
                valueFormat="YYYY-MM-DD",
                clearable=True,
                size="sm",
                w={"base": "100%", "sm": 230},
                **{"aria-label": "first and last day, UTC"},
            ),
            dmc.MultiSelect(
                id="models",
                data=[],
                value=[],
                placeholder="All models",
                clearable=True,
                searchable=True,
                hidePickedOptions=True,
                size="sm",
                w={"base": "100%", "sm": 420},
                **{"aria-label": "models"},
            ),
        ],
        className="tm-filters",
    )


def _card(title: str, caption: str, body: Any, *actions: Any) -> Any:
    from dash import html

    head = [html.H2(title), html.Span(id=caption, className="tm-caption"), *actions]
    return html.Section([html.Div(head, className="tm-head"), body], className="tm-card")


def _export() -> Any:
    import dash_mantine_components as dmc

    return dmc.Button("CSV", id="export", variant="default", size="compact-xs", className="tm-export")


def _foot() -> Any:
    from dash import html

    text = "All times UTC · money in USD, over priced calls · tokens as the providers reported them, estimates apart"
    return html.Footer(text, className="tm-foot")
