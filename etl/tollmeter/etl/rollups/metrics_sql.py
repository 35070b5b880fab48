"""The metric registry as SQL: every metric by the minute, a row each, so that a new one needs no new column."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from tollmeter.etl.rollups.totals import Total
from tollmeter.model.columns import COLUMNS
from tollmeter.model.metrics import METRICS, Condition, Metric
from tollmeter.model.names import KIND_LLM_CALL, TABLE_OF_KIND

DIMENSIONS: Final = tuple(dict.fromkeys(name for metric in METRICS for name in metric.dimensions))
"""Every dimension of any metric; a metric's row is null in those it does not have."""

_WHEN: Final = """event_date, date_trunc('minute', "timestamp") AS minute,
    date_trunc('minute', ingested_at + INTERVAL 59999999 MICROSECONDS) AS arrived_at"""
_SUM: Final = "DECIMAL(38, 12)"
_MOST: Final = 10**25
"""More than any count or gauge that means something, and within what the type holds."""
_TYPES: Final = {column.name: column.type for column in COLUMNS}


def minute_query() -> str:
    """Rows of the minute rollup.

    A counter's `value` is its sum, a gauge's its maximum, and `count` how many events contributed. A distribution has a
    row for each `bucket`, and `count` is how many values fell into it.
    """
    groups = groupby(sorted(METRICS, key=_group), key=_group)
    return " UNION ALL BY NAME ".join(_rows(list(metrics)) for _, metrics in groups)


def minute_totals() -> tuple[Total, ...]:
    """Of every metric how many events contribute; of a counter the sum too."""
    return tuple(total for metric in METRICS for total in _totals(metric))


def _group(metric: Metric) -> tuple[str, tuple[str, ...], bool]:
    return metric.kind, metric.dimensions, metric.aggregate == "distribution"


def _rows(metrics: list[Metric]) -> str:
    return _distributions(metrics) if metrics[0].aggregate == "distribution" else _numbers(metrics)


def _numbers(metrics: list[Metric]) -> str:
    """Counters and gauges of one set of dimensions: aggregated side by side, then one row each."""
    first, numbers = metrics[0], range(len(metrics))
    counted = ", ".join(f"count({_contribution(metric)}) AS c{n}" for n, metric in enumerate(metrics))
    valued = ", ".join(f"{_value(metric)} AS v{n}" for n, metric in enumerate(metrics))
    return f"""
        SELECT * FROM (
            SELECT event_date, minute, arrived_at, {", ".join(_names(first))},
                unnest([{", ".join(f"'{metric.name}'" for metric in metrics)}]) AS metric,
                unnest([{", ".join(f"c{n}" for n in numbers)}]) AS "count",
                unnest([{", ".join(f"v{n}" for n in numbers)}]) AS "value"
            FROM (
                SELECT {_WHEN}, {_dimensions(first)}, {counted}, {valued}
                FROM {TABLE_OF_KIND[first.kind]} GROUP BY ALL
            )
        ) WHERE "count" > 0
    """  # noqa: S608 - names are the registry's, as in all of this file


def _distributions(metrics: list[Metric]) -> str:
    first = metrics[0]
    return f"""
        SELECT event_date, minute, arrived_at, {", ".join(_names(first))}, metric,
            bucket_of(sample) AS bucket, count(*) AS "count"
        FROM (
            SELECT {_WHEN}, {_dimensions(first)},
                unnest([{", ".join(f"'{metric.name}'" for metric in metrics)}]) AS metric,
                unnest([{", ".join(_contribution(metric) for metric in metrics)}]) AS sample
            FROM {TABLE_OF_KIND[first.kind]}
        ) WHERE sample IS NOT NULL GROUP BY ALL
    """  # noqa: S608


def _names(metric: Metric) -> tuple[str, ...]:
    """The dimensions, and for calls the model that answered, by which pages tell them apart."""
    return (*metric.dimensions, "model") if metric.kind == KIND_LLM_CALL else metric.dimensions


def _dimensions(metric: Metric) -> str:
    columns = [f"text_of({name}) AS {name}" for name in metric.dimensions]
    if metric.kind == KIND_LLM_CALL:
        columns.append("model_of(response_model, request_model) AS model")
    return ", ".join(columns)


def _totals(metric: Metric) -> Iterable[Total]:
    source, mine = TABLE_OF_KIND[metric.kind], f"CASE WHEN metric = '{metric.name}' THEN"
    yield Total(metric.name, source, f"count({_contribution(metric)})", f'total({mine} "count" END)')
    if metric.aggregate == "counter":
        yield Total(f"{metric.name} (sum)", source, _value(metric), f'sum({mine} "value" END)')


def _value(metric: Metric) -> str:
    how = "max" if metric.aggregate == "gauge" else "sum"
    value = f"{how}({_contribution(metric)})"
    if _TYPES.get(metric.value) == "money":
        return value
    return f"CAST(CASE WHEN {value} > {_MOST} THEN {_MOST} ELSE {value} END AS {_SUM})"


def _contribution(metric: Metric) -> str:
    """What one event adds, null when it adds nothing: `Metric.contribution` as SQL."""
    fields = [_number(name) for name in metric.value.split()] or ["1"]
    conditions = [_holds(condition) for condition in metric.where]
    added = fields[0]
    if len(fields) > 1:
        added = " + ".join(f"CAST(coalesce({field}, 0) AS HUGEINT)" for field in fields)
        conditions.append("(" + " OR ".join(f"{field} IS NOT NULL" for field in fields) + ")")
    return f"CASE WHEN {' AND '.join(conditions)} THEN {added} END" if conditions else added


def _number(name: str) -> str:
    field, _, key = name.partition(".")
    return f"TRY_CAST(json_extract_string({field}, '$.{key}') AS BIGINT)" if key else field


def _holds(condition: Condition) -> str:
    if isinstance(condition.value, str):
        field, value = f"text_of({condition.field})", f"'{condition.value}'"
    else:
        field, value = condition.field, str(condition.value).lower()
    operator = "IS DISTINCT FROM" if condition.operator == "!=" else condition.operator
    return f"{field} {operator} {value}"
