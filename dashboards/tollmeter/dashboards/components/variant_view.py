"""Variants side by side: sentences first, then every figure with its interval and the calls it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollmeter.dashboards.components.aria import aria
from tollmeter.dashboards.prepare import formats

if TYPE_CHECKING:
    from tollmeter.dashboards.prepare.variant_table import Cell, Line, Table


def view(table: Table, heads: list[tuple[str, str]]) -> Any:
    """The table; `heads` are name and size of each variant."""
    from dash import html

    sentences = [html.Li(text) for text in table.sentences]
    warnings = [html.Div(text, className="tm-banner", role="status") for text in table.warnings]
    columns = []
    for index, (name, size) in enumerate(heads):
        columns.append(html.Th([html.Div(name, className="tm-variant"), html.Div(size, className="tm-muted")]))
        if index:
            columns.append(html.Th(f"against {heads[0][0]}", className="tm-muted"))
    head = html.Thead(html.Tr([html.Th(""), *columns]))
    body = html.Tbody([_row(line) for line in table.lines])
    return html.Div(
        [
            html.Ul(sentences, className="tm-verdicts", id="experiments-verdicts") if sentences else None,
            *warnings,
            html.Div(
                html.Table([head, body], className="tm-rows tm-variants", **aria("Variants side by side")),
                className="tm-scroll",
                tabIndex=0,
            ),
        ],
        className="tm-detail",
    )


def _row(line: Line) -> Any:
    from dash import html

    edges = [edge for cell in line.cells for edge in (cell.low, cell.high, cell.value) if edge is not None]
    low, high = min(edges, default=0.0), max(edges, default=1.0)
    low = min(low, 0.0) if line.measure.kind != "score" else low
    parts: list[Any] = [html.Th(line.measure.label, scope="row")]
    for index, cell in enumerate(line.cells):
        parts.append(html.Td(_cell(cell, low, high)))
        if index:
            parts.append(html.Td(line.verdicts[index - 1], className=f"tm-{line.tones[index - 1]} tm-verdict"))
    return html.Tr(parts, id=f"experiments-{line.measure.key.replace(' ', '-').replace('.', '-')}")


def _cell(cell: Cell, low: float, high: float) -> list[Any]:
    from dash import html

    value: dict[str, Any] = {"data-value": "" if cell.value is None else repr(cell.value)}
    parts: list[Any] = [html.Div(cell.text, className="tm-cell-value", **value)]
    if cell.low is not None and cell.high is not None and high > low:
        left = 100 * (max(cell.low, low) - low) / (high - low)
        width = 100 * (cell.high - max(cell.low, low)) / (high - low)
        place = {"left": f"{left:.2f}%", "width": f"max(2px, {width:.2f}%)"}
        parts.append(html.Div(html.Span(style=place), className="tm-range-bar", title=f"95 % interval {cell.interval}"))
    if cell.interval:
        parts.append(html.Div(cell.interval, className="tm-muted tm-small"))
    if cell.calls:
        size = f"{formats.many(cell.calls, 'call')}, {formats.many(cell.clusters, 'session')}"
        parts.append(html.Div(size, className="tm-muted tm-small"))
    return parts
