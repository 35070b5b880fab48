"""A small table without sorting: a heading, rows of text, numbers to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Sequence[Mapping[str, object]]) -> Any:
    """Rows of text cells in the order of the heads; a row whose `open` is false is dimmed."""
    from dash import html

    body = [_row(list(row.items())[: len(heads)], dimmed=not row.get("open", True)) for row in rows]
    head = html.Thead(html.Tr([html.Th(text, scope="col") if text else html.Td() for text in heads]))
    return html.Div(html.Table([head, html.Tbody(body)], className="tm-table"), className="tm-scroll", tabIndex=0)


def _row(cells: list[tuple[str, object]], *, dimmed: bool) -> Any:
    from dash import html

    first, *rest = (str(value) for _, value in cells)
    columns = [html.Th(first, scope="row"), *(html.Td(text) for text in rest)]
    return html.Tr(columns, className="tm-muted" if dimmed else "")
