"""Why did it change: the difference in spend between two periods, split into effects that add up to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Final

from tollmeter.dashboards.components import card, grid, notices
from tollmeter.dashboards.components.graph import graph
from tollmeter.dashboards.figures.waterfall import waterfall
from tollmeter.dashboards.prepare import change as prepare
from tollmeter.dashboards.queries.spending import spending
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import Window, span_of_days
from tollmeter.dashboards.wire import URL, Asked, Page, Shown, Wire

SINCE, UNTIL = "base_from", "base_to"
"""Names in the address: first and last day of the period that is compared with, where it is not the one before."""
_CARDS: Final = ("change-waterfall", "change-contributors")
_HEIGHT: Final = 360


def layout() -> Any:
    """The frame of the page."""
    import dash_mantine_components as dmc
    from dash import html

    picker = dmc.DatePickerInput(
        id="change-base",
        type="range",
        label="Compared with",
        placeholder="the period before",
        valueFormat="YYYY-MM-DD",
        clearable=True,
        size="xs",
        w=240,
    )
    return html.Div(
        [
            html.Div(picker, className="tm-page-controls"),
            card.card("change-waterfall", "What led from one period to the other", height=_HEIGHT, wide=True),
            card.card(
                "change-contributors",
                "Who contributed",
                wide=True,
                help_text="effects of each add up to its difference",
            ),
        ]
    )


def register(wire: Wire) -> None:
    """Connect its cards, and the second period with the address."""
    from dash import Input, Output, State

    wire.cards(_CARDS, _read)
    picked = (Output(URL, "search", allow_duplicate=True), Input("change-base", "value"), State(URL, "search"))
    wire.app.callback(*picked, prevent_initial_call=True)(lambda days, search: _picked(wire.asked(search), days))
    shown = (Output("change-base", "value"), Input(URL, "search"))
    wire.app.callback(*shown)(lambda search: _days(wire.asked(search).selection))


def baseline(asked: Asked) -> Window:
    """The period that is compared with: days of the address, else the one before."""
    first, last = _days(asked.selection)
    if first is None or last is None:
        return asked.before
    days = date.fromisoformat(first), date.fromisoformat(last)
    return span_of_days(*days, asked.window.now, asked.window.zone)


def _days(selection: Selection) -> list[str | None]:
    try:
        found = [date.fromisoformat(selection.get(name)) for name in (SINCE, UNTIL)]
    except ValueError:
        return [None, None]
    return [str(day) for day in sorted(found)]


def _picked(asked: Asked, days: list[str | None] | None) -> Any:
    from dash.exceptions import PreventUpdate

    chosen = [day[:10] for day in days or () if day]
    known = [day for day in _days(asked.selection) if day]
    if len(chosen) == 1 or chosen == known:
        raise PreventUpdate  # the second day is still to be picked, or nothing is new
    first, last = chosen or ("", "")
    return asked.selection.with_extra(SINCE, first).with_extra(UNTIL, last).search() or "?"


def _read(asked: Asked) -> tuple[Shown, Shown]:
    by, filters, then = asked.selection.group, asked.selection.filters, baseline(asked)
    before = spending(asked.lake, asked.viewer, then, by, filters)
    after = spending(asked.lake, asked.viewer, asked.window, by, filters)
    found = prepare.change(before.cells, after.cells, by, unpriced=(before.unpriced_calls, after.unpriced_calls))
    if not before.calls and not after.calls:
        nothing = Shown(notices.nothing_here("No call in either period."))
        return nothing, nothing
    return _waterfall(asked, then, found), _contributors(asked, found, by)


def _waterfall(asked: Asked, then: Window, found: prepare.Change) -> Shown:
    from dash import html

    periods = f"{_period(then)} → {_period(asked.window)}"
    body = [
        html.P(found.sentence, id="change-sentence", className="tm-sentence"),
        graph("change-waterfall-chart", waterfall(found.bars), found.sentence, height=_HEIGHT),
    ]
    return Shown(html.Div(body), " · ".join(part for part in (periods, found.caption) if part))


def _period(span: Window) -> str:
    first, last = span.days()
    return f"{first}" if first == last else f"{first} to {last}"


def _contributors(asked: Asked, found: prepare.Change, by: str) -> Shown:
    rows = [row | {"href": _drill(asked, by, str(row["key"]))} for row in found.rows]
    name = grid.link("name", "Who", "href", width=160, pinned="left") if by else grid.text("name", "Who", 160)
    state = [grid.text("state", "State", 70)] if any(row["state"] for row in rows) else []
    ends = [grid.money(field, title) for field, title in (("before", "Before"), ("after", "After"))]
    effects = [
        grid.money(effect, prepare.label(effect), 132, headerTooltip=prepare.HELP[effect]) for effect in found.columns
    ]
    columns = [name, *state, *ends, grid.money("difference", "Difference"), *effects]
    return Shown(grid.grid("change-contributors-grid", columns, rows, key="key"), found.table_caption)


def _drill(asked: Asked, by: str, value: str) -> str:
    """Within one value: by model, and of one model by tenant."""
    if not by or value == prepare.REST:
        return ""
    within = asked.selection.with_filter(by, (value,))
    return asked.link(replace(within, group="tenant" if by in prepare.OF_MODELS else "model"))


PAGE: Final = Page("change", "Why did it change", "change", layout, register, own=(SINCE, UNTIL), needs_calls=False)
