"""The headline row as components: label, number, change against the period before, and what the number is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tollmeter.dashboards.prepare.tiles import Tile

TREND: Final = "vs previous"


def tile_row(tiles: Sequence[Tile]) -> Any:
    """The tiles, each with id `tile-<name>` and the exact number in `data-value`."""
    from dash import html

    return html.Div([_tile(tile) for tile in tiles], className="tm-tiles")


def skeleton_row(labels: Sequence[str]) -> Any:
    """What stands in their place until the first answer."""
    import dash_mantine_components as dmc
    from dash import html

    waiting = [
        html.Div(
            [html.Div(label, className="tm-label"), dmc.Skeleton(height=30, w="70%"), dmc.Skeleton(height=12, mt=10)],
            className="tm-tile",
        )
        for label in labels
    ]
    return html.Div(waiting, className="tm-tiles")


def _tile(tile: Tile) -> Any:
    from dash import dcc, html

    exact: dict[str, Any] = {"data-value": tile.value}
    label = dcc.Link(tile.label, href=tile.href, className="tm-tile-link") if tile.href else tile.label
    return html.Div(
        [
            html.Div(label, className="tm-label"),
            html.Div([tile.text, html.Span(tile.unit, className="tm-unit")], className="tm-number"),
            html.Div(
                [html.Span(tile.delta, className=f"tm-delta tm-{tile.tone}"), html.Span(TREND, className="tm-trend")],
                className="tm-change",
                title=tile.before,
            ),
            html.Div(tile.note, id=f"note-{tile.id}", className="tm-note tm-warn" if tile.warn else "tm-note"),
        ],
        id=f"tile-{tile.id}",
        className="tm-tile",
        title=tile.help,
        **exact,
    )
