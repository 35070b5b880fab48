"""Boards as bodies of CloudWatch dashboards.

Form and limits: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
and, of searches, https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tollmeter.dashboards.platforms.boards import Board, Chart, Series, Table, with_aliases
from tollmeter.dashboards.platforms.layout import COLUMNS, Place, bottom, placed
from tollmeter.dashboards.platforms.target import DOCS, Target
from tollmeter.model.emf import dimension_value
from tollmeter.model.insights import query
from tollmeter.model.log_groups import log_group
from tollmeter.model.metric_names import ABSENT
from tollmeter.model.metrics import metric
from tollmeter.model.names import KIND_RUN

SERVICE: Final = "__service__"
ENVIRONMENT: Final = "__environment__"
MODEL: Final = "__model__"
"""Stand for what is chosen on the board: its variables replace them wherever they occur."""

_STATISTICS: Final = {"sum": "Sum", "max": "Maximum"}
_TOTALS: Final = {"sum": "SUM", "max": "MAX"}
_PERIOD_S: Final = 300
_HEADING: Final = 2
_SHARED: Final = ("service", "environment")


def render(board: Board, target: Target) -> dict[str, Any]:
    """The body of the dashboard, as `PutDashboard` takes it, not yet as text."""
    shown = with_aliases(board, target.names.cloudwatch if target.names else ())
    return {
        "start": "-P1D",
        "periodOverride": "auto",
        "variables": list(_variables(shown, target)),
        "widgets": [
            _text(f"# {shown.title}\n{shown.about} [What each number means]({DOCS})", Place(0, 0, COLUMNS, _HEADING)),
            *_sections(shown, target),
        ],
    }


def _sections(board: Board, target: Target) -> Iterator[dict[str, Any]]:
    top = _HEADING
    for section in board.sections:
        yield _text(f"## {section.title}\n{section.note}", Place(0, top, COLUMNS, _HEADING))
        found = list(placed(section.widgets, top + _HEADING))
        yield from (_widget(widget, place, target) for widget, place in found)
        top = bottom(place for _, place in found)


def _text(markdown: str, place: Place) -> dict[str, Any]:
    return {"type": "text", **place._asdict(), "properties": {"markdown": markdown}}


def _widget(widget: Chart | Table, place: Place, target: Target) -> dict[str, Any]:
    if isinstance(widget, Table):
        return {"type": "log", **place._asdict(), "properties": _logs(widget, target)}
    return {"type": "metric", **place._asdict(), "properties": _metrics(widget, target)}


def _metrics(chart: Chart, target: Target) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "title": chart.title,
        "region": target.region,
        "metrics": [[row] for row in _rows(chart, target)],
        "period": _PERIOD_S,
    }
    if chart.view == "number":
        return properties | {"view": "singleValue", "setPeriodToTimeRange": True, "sparkline": False}
    marks = [{"value": f"{when:%Y-%m-%dT%H:%M:%SZ}", "label": label} for when, label in target.deployed]
    return (
        properties
        | {"view": "timeSeries", "stacked": chart.view == "area", "legend": {"position": "bottom"}}
        | {"yAxis": {"left": {"min": 0, "label": chart.shown_unit, "showUnits": False}}}
        | ({"annotations": {"vertical": marks}} if marks else {})
    )


def _rows(chart: Chart, target: Target) -> Iterator[dict[str, Any]]:
    searches = [_search(series, chart, target) for series in chart.series]
    if chart.per:
        part, whole = searches
        yield {"id": "part", "expression": part, "visible": False}
        yield {"id": "whole", "expression": whole, "visible": False}
        # A period in which nothing failed has no point of the part.
        ratio = f"{chart.per} * FILL(SUM(part), 0) / SUM(whole)"
        yield {"id": "ratio", "expression": ratio, "label": f"{chart.title}, {chart.shown_unit}"}
        return
    for number, (series, search) in enumerate(zip(chart.series, searches, strict=True)):
        total = _TOTALS.get(series.statistic)
        if total and not chart.by:
            label = series.label or series.metric.description
            yield {"id": f"m{number}", "expression": f"{total}({search})", "label": label}
        else:
            yield {"id": f"m{number}", "expression": search, "label": _label(series, chart)}


def _label(series: Series, chart: Chart) -> str:
    """The statistic where there are several, and what tells one line from another: first what was asked for."""
    split = {field: name for name, field in series.dimensions if field not in _SHARED}
    split |= {"request_model": ""} if chart.one_model else {}
    first = [split[field] for field in chart.by]
    names = [*first, *(name for name in split.values() if name and name not in first)]
    statistic = [series.statistic] if len(chart.series) > 1 else []
    return ", ".join([*statistic, *(f"${{PROP('Dim.{name}')}}" for name in names)])


def _search(series: Series, chart: Chart, target: Target) -> str:
    """A search for every series of the metric with just its dimensions, of the service and environment watched."""
    namespace = target.names.namespace if series.alias and target.names else target.namespace
    schema = ",".join(f'"{name}"' for name in (namespace, *(name for name, _ in series.dimensions)))
    terms = [f'MetricName="{series.alias.name if series.alias else series.name}"']
    watched = {"environment": _environment(target)}
    if series.metric.kind != KIND_RUN:
        watched["service"] = _service(target)
    if chart.one_model:
        watched["request_model"] = MODEL
    terms += [_term(name, watched[field]) for name, field in series.dimensions if field in watched]
    statistic = _STATISTICS.get(series.statistic, series.statistic)
    return f"SEARCH('{{{schema}}} {' '.join(terms)}', '{statistic}')"


def _term(name: str, value: str) -> str:
    """A dimension that has just this value; a name of more than letters and digits stands in quotes."""
    return f'{name}="{value}"' if name.isalnum() else f'"{name}"="{value}"'


def _service(target: Target) -> str:
    return dimension_value(target.service) if target.service else SERVICE


def _environment(target: Target) -> str:
    return dimension_value(target.environment) if target.environment else ENVIRONMENT


def _logs(table: Table, target: Target) -> dict[str, Any]:
    group = log_group(target.log_group, target.service or SERVICE)
    of_environment = f'filter coalesce(environment, "{ABSENT}") = "{_environment(target)}"'
    text = query(table.insights).text
    return {
        "title": table.title,
        "region": target.region,
        "query": f"SOURCE '{group}'\n| {of_environment}\n| {text}",
        "view": "table",
    }


def _variables(board: Board, target: Target) -> Iterator[dict[str, Any]]:
    if not target.service:
        yield _variable("service", "Service", SERVICE, target)
    if not target.environment:
        yield _variable("environment", "Environment", ENVIRONMENT, target)
    if any(chart.one_model for chart in board.charts):
        yield _variable("request_model", "Model", MODEL, target)


def _variable(dimension: str, label: str, pattern: str, target: Target) -> dict[str, Any]:
    calls = metric("llm.calls")
    schema = ",".join(f'"{name}"' for name in (target.namespace, *calls.dimensions))
    given = {"service": target.service, "environment": target.environment}
    terms = [f'MetricName="{calls.name}"']
    terms += [_term(name, dimension_value(value)) for name, value in given.items() if value]
    return {
        "type": "pattern",
        "pattern": pattern,
        "inputType": "select",
        "id": dimension,
        "label": label,
        "search": f"{{{schema}}} {' '.join(terms)}",
        "populateFrom": dimension,
        "defaultValue": "__FIRST",
        "visible": True,
    }
