"""The headline row as components: label, number, change against the period before, and what the number is made of."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.prepare import Tile

TILE_NAMES: Final = {
    "spend": "Spend",
    "requests": "Requests",
    "tokens": "Tokens",
    "errors": "Error rate",
    "latency": "p95 latency",
    "ttft": "p95 first token",
}
TREND: Final = "vs previous"


def tile_row(tiles: tuple[Tile, ...]) -> list[Any]:
    """The tiles, each with id `tile-<name>` and the exact number in `data-value`."""
    return [_tile(tile) for tile in tiles]


def skeleton_row() -> list[Any]:
    """What stands in their place until the first answer."""
    import dash_mantine_components as dmc
    from dash import html

    return [
        html.Div(
            [html.Div(label, className="tm-label"), dmc.Skeleton(height=30, w="70%"), dmc.Skeleton(height=12, mt=10)],
            className="tm-tile",
        )
        for label in TILE_NAMES.values()
    ]


def _tile(tile: Tile) -> Any:
    from dash import html

    exact: dict[str, Any] = {"data-value": tile.value}
    return html.Div(
        [
            html.Div(tile.label, className="tm-label"),
            html.Div([tile.text, html.Span(tile.unit, className="tm-unit")], className="tm-number"),
            html.Div(
                [html.Span(tile.delta, className=f"tm-delta tm-{tile.tone}"), html.Span(TREND, className="tm-trend")],
                className="tm-change",
                title="against the period of the same length just before",
            ),
            html.Div(tile.note, id=f"note-{tile.id}", className="tm-note tm-warn" if tile.warn else "tm-note"),
        ],
        id=f"tile-{tile.id}",
        className="tm-tile",
        title=tile.help,
        **exact,
    )
