"""What the shell says of the data: how fresh it is, whether the selection holds any, what was made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.components import filter_bar, notices
from tollmeter.dashboards.dimensions import DIMENSIONS, dimension
from tollmeter.dashboards.pages import page_at
from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.queries import cube, seen
from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import to_local
from tollmeter.dashboards.wire import REFRESH, TICK, URL, Asked, asked, failure

if TYPE_CHECKING:
    from dash import Dash

    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.queries.records import Extent

_PAGE: Final = "tm-page"
_HIDDEN: Final = "tm-page tm-hidden"
_HOUR, _SECOND = timedelta(hours=1), timedelta(seconds=1)


def register(app: Dash, lake: Lake, zone: str) -> None:
    """Connect the notices above the page and the words in the header."""
    from dash import Input, Output

    inputs = (Input(URL, "search"), Input(URL, "pathname"), Input(TICK, "n_intervals"), Input(REFRESH, "n_clicks"))
    outputs = (Output("notice", "children"), Output("as-of", "children"), Output("page", "className"))
    app.callback(*outputs, *inputs)(lambda search, pathname, *_: _status(lake, zone, search, pathname))
    offered = Output("filter-values", "data")
    app.callback(
        offered, Input("filter-dimension", "value"), Input("filter-values", "searchValue"), Input(URL, "search")
    )(lambda name, text, search: _offered(asked(lake, zone, search), name, text))


def _status(lake: Lake, zone: str, search: str | None, pathname: str | None) -> tuple[list[Any], Any, str]:
    from dash import no_update
    from dash.exceptions import PreventUpdate

    page = page_at(pathname)
    if search is None or page is None:
        raise PreventUpdate
    question = asked(lake, zone, search, page.own)
    problems = [notices.problems(question.selection.problems)] if question.selection.problems else []
    try:
        said, hidden = _said(question)
        freshness = _as_of(seen.extent(lake, question.viewer), question.window.zone)
    except Exception as error:  # noqa: BLE001 - whatever fails is told, and what was shown stays
        return [*problems, notices.failure("notice", *failure(error))], "not up to date", no_update  # type: ignore[return-value]
    return [*problems, *said], freshness, _HIDDEN if hidden and page.needs_calls else _PAGE


def _offered(question: Asked, name: str | None, text: str | None) -> list[dict[str, str]]:
    """The values a dimension can be filtered by: those chosen already, then those that hold the text."""
    if name not in DIMENSIONS:
        return []
    ask = replace(question.ask(name), filters=question.selection.without(name).filters, bucket="all")
    found = seen.values(question.lake, replace(ask, top=seen.MOST_VALUES, rank="calls", search=(text or "").strip()))
    return [filter_bar.option(name, value) for value in dict.fromkeys((*question.selection.values(name), *found))]


def _said(question: Asked) -> tuple[list[Any], bool]:
    """The notices, and whether there is nothing to show."""
    extent = seen.extent(question.lake, question.viewer)
    if extent.last is None:
        return [notices.no_data()], True
    found = cube.total(question.lake, question.ask())
    if not (found.calls or found.requests):
        return [notices.nothing_found(_sentence(question), _ways_out(question, extent))], True
    made_up = _made_up(question, extent)
    return [notices.simulated(made_up)] if made_up else [], False


def _sentence(question: Asked) -> str:
    span = question.window
    filters = "; ".join(
        f"{dimension(name).label} {', '.join(dimension(name).text(value) for value in values)}"
        for name, values in question.selection.filters
    )
    period = f"{span.local(span.start):%Y-%m-%d %H:%M} and {span.local(span.end):%Y-%m-%d %H:%M} {span.zone}"
    return f"No calls{f' with {filters}' if filters else ''} between {period}"


def _ways_out(question: Asked, extent: Extent) -> list[tuple[str, str]]:
    """Links to selections that hold calls: the one filter to drop where one is enough, else all, else other days."""
    selection, links = question.selection, []
    for name, _values in selection.filters:
        if _holds(question, selection.without(name)):
            links.append((f"Drop the filter {dimension(name).label}", selection.without(name)))
    if not links and selection.filters and _holds(question, bare := _bare(selection)):
        links.append(("Drop all filters", bare))
    if not links and extent.first and extent.last:
        zone = question.window.zone
        days = selection.with_days(to_local(extent.first, zone).date(), to_local(extent.last, zone).date())
        links.append((f"Show {days.since} to {days.until}, where this lake has calls", days))
    return [(text, question.link(target)) for text, target in links]


def _bare(selection: Selection) -> Selection:
    for name, _values in selection.filters:
        selection = selection.without(name)
    return selection


def _made_up(question: Asked, extent: Extent) -> tuple[str, ...]:
    """The fields that were made up in calls of the first and of the last hour that the period shares with the lake."""
    start = max(question.window.start, extent.first or question.window.start)
    end = min(question.window.end, (extent.last or question.window.end) + _SECOND)
    ends = [(start, min(start + _HOUR, end)), (max(end - _HOUR, start), end)]
    spans = [replace(question.window, start=first, end=last) for first, last in ends]
    found = [field for span in spans for field in seen.simulated(question.lake, question.viewer, span)]
    return tuple(dict.fromkeys(found))


def _holds(question: Asked, selection: Selection) -> bool:
    return cube.total(question.lake, replace(question.ask(), filters=selection.filters)).calls > 0


def _as_of(extent: Extent, zone: str) -> Any:
    from dash import html

    newest = extent.ingested or extent.last
    if not newest:
        return "no data"
    return [
        html.Span("data as of " if extent.ingested else "newest call "),
        formats.moment(to_local(newest, zone)),
        f" {zone}",
    ]
