"""Experiments and prompts: variants side by side, with intervals and a plain verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.components import card, grid, notices, variant_view
from tollmeter.dashboards.prepare import cells, formats, variant_table
from tollmeter.dashboards.queries import variants as queries
from tollmeter.dashboards.wire import Asked, Page, Shown, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollmeter.dashboards.selection import Selection

KEY_BY, KEY_NAME, KEY_BASE = "by", "name", "base"
_BY: Final[tuple[queries.By, ...]] = ("experiment", "prompt")


def layout() -> Any:
    """The frame of the page."""
    from dash import html

    return html.Div(
        [
            card.card("experiments-compare", "Side by side", height=420, wide=True),
            card.grid_of(
                card.card("experiments-list", "Experiments", height=200),
                card.card("experiments-prompts", "Prompts", height=200),
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect the page."""
    wire.card("experiments-compare", _compare)
    wire.card("experiments-list", _experiments)
    wire.card("experiments-prompts", _prompts)


def _seen(asked: Asked, by: queries.By) -> list[queries.Subject]:
    if by == "prompt":
        return queries.prompts(asked.lake, asked.viewer, asked.window.days())
    return queries.experiments(asked.lake, asked.viewer, asked.window.start, asked.window.end)


def _chosen(asked: Asked) -> tuple[queries.By, str]:
    """What the address names, else the experiment with most calls, else the prompt with most calls."""
    by: queries.By = "prompt" if asked.selection.get(KEY_BY) == "prompt" else "experiment"
    if name := asked.selection.get(KEY_NAME):
        return by, name
    for kind in _BY:
        for found in _seen(asked, kind):
            if found.variants > 1:
                return kind, found.subject
    return by, ""


def _compare(asked: Asked) -> Shown:
    from dash import html

    by, name = _chosen(asked)
    if not name:
        return Shown(notices.nothing_here("No experiment and no prompt with two versions had calls in this period."))
    span = asked.window
    found = queries.variants(
        asked.lake, asked.viewer, by, name, since=span.start, until=span.end, filters=asked.selection.filters
    )
    if not found:
        return Shown(notices.nothing_here(f"No call of {by} {name[:80]} in this period."))
    table = variant_table.table(found, asked.selection.get(KEY_BASE))
    heads = [(label, _size(found, label)) for label in table.names]
    bases = [html.Span("Held against: ")] + [_base(asked, by, name, label) for label in table.names]
    body = [html.Div(bases, className="tm-links tm-small"), variant_view.view(table, heads)]
    return Shown(body, f"{by} {name[:80]} · 95 % intervals over sessions")


def _size(found: Sequence[queries.Variant], label: str) -> str:
    one = next(each.totals for each in found if (each.totals.variant or variant_table.NOT_NAMED) == label)
    parts = (formats.many(one.calls, "call"), formats.many(one.users, "user"), formats.money(one.cost_usd))
    return " · ".join(parts)


def _base(asked: Asked, by: str, name: str, label: str) -> Any:
    from dash import dcc

    value = "" if label == variant_table.NOT_NAMED else label
    return dcc.Link(
        label, href=_address(asked.selection, by, name).with_extra(KEY_BASE, value).search(), className="tm-link"
    )


def _address(selection: Selection, by: str, name: str) -> Selection:
    return selection.with_extra(KEY_BY, by).with_extra(KEY_NAME, name).with_extra(KEY_BASE, "")


def _experiments(asked: Asked) -> Shown:
    return _list(asked, "experiment", "No call was part of an experiment: services name one by experiment and variant.")


def _prompts(asked: Asked) -> Shown:
    return _list(asked, "prompt", "No call names its prompt: services name one by prompt_name and prompt_version.")


def _list(asked: Asked, by: queries.By, nothing: str) -> Shown:
    found = _seen(asked, by)
    if not found:
        return Shown(notices.nothing_here(nothing))
    rows = [
        {
            "subject": one.subject,
            "href": _address(asked.selection, by, one.subject).search(),
            "variants": one.variants,
            "calls": one.calls,
            **cells.money("cost", one.cost_usd),
        }
        for one in found
    ]
    word = "Versions" if by == "prompt" else "Variants"
    columns = [
        grid.link("subject", by.capitalize(), "href", 150), grid.count("variants", word, 90),
        grid.count("calls", "Calls", 90), grid.money("cost", "Cost (USD)", 110),
    ]  # fmt: skip
    return Shown(grid.grid(f"experiments-{by}s-grid", columns, rows, key="subject"), formats.many(len(found), by))


PAGE: Final = Page("experiments", "Experiments", "experiments", layout, register, own=(KEY_BY, KEY_NAME, KEY_BASE))
