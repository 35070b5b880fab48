"""What the page does: the address is the truth, controls write it, everything shown follows from it."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards import filters, formats, notices, prepare
from tollmeter.dashboards.figures import latency_figure, spend_figure
from tollmeter.dashboards.tiles import tile_row
from tollmeter.model.errors import TollmeterError

if TYPE_CHECKING:
    from dash import Dash

    from tollmeter.dashboards.queries import Lake
    from tollmeter.dashboards.records import Board

log: Final = logging.getLogger(__name__)
_HIDDEN: Final = {"display": "none"}


def register(app: Dash, lake: Lake) -> None:
    """Connect the page's controls and figures to the lake."""
    from dash import Input, Output

    controls = (("url", "search"), ("range", "value"), ("dates", "value"), ("models", "value"))
    app.callback(*[Output(*pair) for pair in controls], *[Input(*pair) for pair in controls])(synchronise)
    shown = (
        ("notice", "children"), ("board", "style"), ("as-of", "children"), ("models", "data"), ("tiles", "children"),
        ("spend-chart", "figure"), ("spend-caption", "children"), ("latency-chart", "figure"),
        ("latency-caption", "children"), ("calls", "rowData"), ("calls-caption", "children"),
    )  # fmt: skip
    busy = (Output("progress", "className"), "tm-progress tm-busy", "tm-progress")
    asked = (Input("url", "search"), Input("tick", "n_intervals"), Input("refresh", "n_clicks"))
    app.callback(*[Output(*pair) for pair in shown], *asked, running=[busy])(lambda search, *_: show(lake, search))
    app.callback(Output("calls", "exportDataAsCsv"), Input("export", "n_clicks"), prevent_initial_call=True)(bool)


def synchronise(
    search: str | None, preset: str, days: list[str | None] | None, models: list[str] | None
) -> tuple[Any, ...]:
    """Make address and controls say the same, following whichever of them the reader touched."""
    from dash import ctx, no_update

    selection = filters.parse_search(search)
    touched = ctx.triggered_id
    if touched == "range" and preset:
        selection = filters.Selection(range=preset, models=selection.models)
    elif touched == "dates":
        if days and not all(days):
            return (no_update,) * 4  # the second day is still to be picked
        selection = _with_days(selection, days)
    elif touched == "models":
        selection = filters.with_models(selection, tuple(models or ()))
    custom = selection.range == filters.CUSTOM
    shown_days = [str(selection.since), str(selection.until)] if custom else [None, None]
    address = no_update if touched in (None, "url") else selection.search()
    return address, "" if custom else selection.range, shown_days, list(selection.models)


def _with_days(selection: filters.Selection, days: list[str | None] | None) -> filters.Selection:
    if not days:
        return filters.Selection(models=selection.models)
    return filters.with_days(selection, str(days[0]), str(days[1]))


def show(lake: Lake, search: str | None) -> tuple[Any, ...]:
    """All that the page shows for an address."""
    selection = filters.parse_search(search)
    span = filters.window(selection, filters.utc_now())
    board = lake.board(selection, span)
    data = [*dict.fromkeys((*board.extent.models, *selection.models))]
    found = board.now.calls or board.now.requests
    style = {} if found else _HIDDEN
    return (_notices(board, selection, span), style, _as_of(board), data, *_figures(board, span))


def _figures(board: Board, span: filters.Window) -> tuple[Any, ...]:
    spend = prepare.spend_chart(board.spend, span, prepare.colours(board.extent.models))
    latency = prepare.latency_chart(board.latency, span)
    calls = prepare.grid_rows(board.calls)
    caption = f"showing newest {formats.count(len(calls))} of {formats.count(board.now.calls)}"
    tiles = tile_row(prepare.tiles(board.now, board.before))
    return (
        tiles, spend_figure(spend), spend.caption, latency_figure(latency), latency.caption, calls, caption,
    )  # fmt: skip


def _notices(board: Board, selection: filters.Selection, span: filters.Window) -> list[Any]:
    shown = [notices.problems(selection)] if selection.problems else []
    if board.extent.last is None:
        return [*shown, notices.no_data()]
    if not (board.now.calls or board.now.requests):
        return [*shown, notices.nothing_found(selection, span, board.extent)]
    return [*shown, notices.simulated(board.simulated)] if board.simulated else shown


def _as_of(board: Board) -> Any:
    from dash import html

    return (
        [html.Span("data as of "), formats.moment(board.extent.ingested), " UTC"]
        if board.extent.ingested
        else "no data"
    )


def failed(error: Exception) -> None:
    """Tell the reader that a callback failed, with a reference into the log; what was shown before stays."""
    from dash import set_props

    reference = uuid.uuid4().hex[:8]
    log.error("dashboard callback failed, reference %s", reference, exc_info=error)
    message = str(error) if isinstance(error, TollmeterError) else "An unexpected error; details are in the log."
    set_props("notice", {"children": [notices.failure(reference, message)]})
    set_props("as-of", {"children": "not up to date"})
