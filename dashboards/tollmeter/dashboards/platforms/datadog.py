"""Boards as Datadog dashboards: https://docs.datadoghq.com/api/latest/dashboards/ (`ordered`, twelve columns)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tollmeter.dashboards.platforms.boards import Board, Chart, Section, Series, Table, with_aliases
from tollmeter.dashboards.platforms.layout import COLUMNS, Place, bottom, placed
from tollmeter.dashboards.platforms.target import DOCS, Target
from tollmeter.model.metric_names import datadog_metric, datadog_tag
from tollmeter.model.names import KIND_RUN, MESSAGE_LLM_CALL

VARIABLES: Final = {"service": "service", "environment": "environment", "request_model": "model"}
"""Template variables, by the dimension they choose."""

_UNITS: Final = {"USD": "dollar", "%": "percent", "Milliseconds": "millisecond", "Bytes": "byte"}
_MOST: Final = 20
_NOTE_ROWS: Final = 1
_TITLE_ROWS: Final = 1
_HALF: Final = 2


def render(board: Board, target: Target) -> dict[str, Any]:
    """The dashboard, as `POST /api/v1/dashboard` takes it."""
    shown = with_aliases(board, target.names.datadog if target.names else ())
    heading = {"content": f"{shown.about} [What each number means]({DOCS})", "has_padding": True} | _NOTE
    widgets, top = [_at(heading, Place(0, 0, COLUMNS, _NOTE_ROWS))], _NOTE_ROWS
    for section in shown.sections:
        group, height = _group(section, top)
        widgets.append(group)
        top += height
    return {
        "title": " ".join(part for part in (shown.title, target.service, target.environment) if part),
        "description": shown.about,
        "layout_type": "ordered",
        "reflow_type": "fixed",
        "template_variables": [_variable(field, target) for field in VARIABLES],
        "widgets": widgets,
    }


_NOTE: Final = {"type": "note", "background_color": "white", "font_size": "14", "text_align": "left"}


def _at(definition: dict[str, Any], place: Place) -> dict[str, Any]:
    x, y, width, height = place
    return {"definition": definition, "layout": {"x": x // _HALF, "y": y, "width": width // _HALF, "height": height}}


def _group(section: Section, top: int) -> tuple[dict[str, Any], int]:
    note = _at(_NOTE | {"content": section.note, "has_padding": True}, Place(0, 0, COLUMNS, _NOTE_ROWS))
    found = [(widget, Place(*place)) for widget, place in placed(section.widgets, _NOTE_ROWS)]
    height = bottom(place for _, place in found) + _TITLE_ROWS
    inner = [note, *(_at(_definition(widget), place) for widget, place in found)]
    group = {"type": "group", "title": section.title, "layout_type": "ordered", "widgets": inner}
    return _at(group, Place(0, top, COLUMNS, height)), height


def _definition(widget: Chart | Table) -> dict[str, Any]:
    if isinstance(widget, Table):
        return {"type": "query_table", "title": widget.title, "requests": [_of_logs(widget)]}
    if widget.view == "number":
        request = {"response_format": "scalar", "queries": list(_queries(widget, scalar=True))} | _formulas(widget)
        return {
            "type": "query_value",
            "title": widget.title,
            "autoscale": True,
            "precision": 2,
            "requests": [request],
        }
    request = {"response_format": "timeseries", "queries": list(_queries(widget, scalar=False))} | _formulas(widget)
    return {
        "type": "timeseries",
        "title": widget.title,
        "show_legend": True,
        "legend_layout": "auto",
        "yaxis": {"min": "0", "include_zero": True, "label": widget.shown_unit},
        "events": [{"q": "tags:deployment $service $environment"}],
        "requests": [request | {"display_type": widget.view}],
    }


def _queries(chart: Chart, *, scalar: bool) -> Iterator[dict[str, Any]]:
    for number, series in enumerate(chart.series):
        yield {
            "name": f"q{number}",
            "data_source": "metrics",
            "query": _query(series, chart),
            **({"aggregator": "sum"} if scalar else {}),
        }


def _query(series: Series, chart: Chart) -> str:
    name = series.alias.name if series.alias else datadog_metric(series.name)
    own = {field: datadog_tag(tag) for tag, field in series.dimensions}
    chosen = [f"${variable}" for field, variable in VARIABLES.items() if _narrows(field, own, series)]
    by = ",".join(own[field] for field in chart.by)
    count = ".as_count()" if series.metric.aggregate == "counter" else ""
    return f"{series.statistic}:{name}{{{','.join(chosen) or '*'}}}" + (f" by {{{by}}}" if by else "") + count


def _narrows(field: str, own: dict[str, str], series: Series) -> bool:
    """Whether a variable narrows a series: it has that tag, and its service is one of the user's."""
    return own.get(field) == datadog_tag(field) and not (field == "service" and series.metric.kind == KIND_RUN)


def _formulas(chart: Chart) -> dict[str, Any]:
    unit = _UNITS.get(chart.shown_unit)
    shown = {"number_format": {"unit": {"type": "canonical_unit", "unit_name": unit}}} if unit else {}
    if chart.per:
        formula = f"{chart.per} * default_zero(q0) / q1"
        return {"formulas": [{"formula": formula, "alias": chart.title, **shown}]}
    limit = {"limit": {"count": _MOST, "order": "desc"}} if chart.by else {}
    return {
        "formulas": [
            {"formula": f"q{number}", "alias": _label(series, chart), **limit, **shown}
            for number, series in enumerate(chart.series)
        ]
    }


def _label(series: Series, chart: Chart) -> str:
    several = len({each.name for each in chart.series}) < len(chart.series)
    return series.statistic if several else series.label or series.metric.description


def _of_logs(table: Table) -> dict[str, Any]:
    of: dict[str, str] = {"aggregation": table.aggregate if table.measure else "count"}
    of |= {"metric": f"@{table.measure}"} if table.measure else {}
    search = f'"{MESSAGE_LLM_CALL}"' if table.measure else "status:error"
    return {
        "response_format": "scalar",
        "formulas": [{"formula": "q0", "alias": table.title, "limit": {"count": _MOST, "order": "desc"}}],
        "queries": [
            {
                "name": "q0",
                "data_source": "logs",
                "search": {"query": f"{search} $service $environment"},
                "indexes": ["*"],
                "compute": of,
                "group_by": [{"facet": f"@{table.by}", "limit": _MOST, "sort": of | {"order": "desc"}}],
            }
        ],
    }


def _variable(field: str, target: Target) -> dict[str, Any]:
    given = {"service": target.service, "environment": target.environment}.get(field, "")
    # Datadog writes tags in lower case.
    return {"name": VARIABLES[field], "prefix": datadog_tag(field), "defaults": [given.lower() or "*"]}
