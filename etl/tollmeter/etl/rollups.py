"""Hourly rollups: the touched days derived again from their rows, each table replaced in one commit."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.lake import connect, data_files
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import LATENCY_GAMMA
from tollmeter.model.names import (
    TABLE_LLM_CALLS,
    TABLE_REQUESTS,
    TABLE_ROLLUP_CALLS,
    TABLE_ROLLUP_LATENCY,
    TABLE_ROLLUP_REQUESTS,
)
from tollmeter.sql.lake_views import view_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

# A sum that no BIGINT holds comes from absurd counts; it is capped, for one such line must not stop the rollups.
_MACROS: Final = """
    CREATE MACRO total(x) AS CAST(least(coalesce(sum(x), 0), 9223372036854775807) AS BIGINT);
    CREATE MACRO bucket_of(ms) AS CAST(ceil(ln(greatest(ms, 0.001)) / ln({gamma})) AS BIGINT);
"""
_CALLS: Final = """
    SELECT event_date, date_trunc('hour', "timestamp") AS hour, service, environment, route, provider,
        coalesce(nullif(response_model, ''), request_model) AS model, tenant_id, team, feature, status, error_type,
        count(*) AS calls,
        count(*) FILTER (status = 'error') AS errors,
        count(*) FILTER (status = 'partial') AS partial_calls,
        count(*) FILTER (http_status = 429) AS throttles,
        count(*) FILTER (cost_status = 'unpriced') AS unpriced_calls,
        count(*) FILTER (usage_source = 'estimated') AS estimated_calls,
        total(input_tokens) AS input_tokens,
        total(output_tokens) AS output_tokens,
        total(cache_read_tokens) AS cache_read_tokens,
        total(cache_write_tokens) AS cache_write_tokens,
        total(reasoning_tokens) AS reasoning_tokens,
        sum(cost_usd) AS cost_usd,
        sum(cache_savings_usd) AS cache_savings_usd
    FROM llm_calls GROUP BY ALL ORDER BY service, hour
"""
_REQUESTS: Final = """
    SELECT event_date, date_trunc('hour', "timestamp") AS hour, service, environment, route,
        CASE WHEN status_code BETWEEN 200 AND 599 THEN (status_code // 100) || 'xx' ELSE 'none' END AS status_class,
        count(*) FILTER (status_code >= 500) AS errors,
        count(*) AS requests,
        count(*) FILTER (client_disconnected) AS client_disconnects
    FROM requests GROUP BY ALL ORDER BY service, hour
"""
_LATENCY: Final = """
    WITH samples AS (
        SELECT event_date, "timestamp", 'http.duration_ms' AS metric, service, environment, route,
            NULL AS provider, NULL AS model, duration_ms AS ms
        FROM requests
        UNION ALL
        SELECT event_date, "timestamp", unnest(['llm.latency_ms', 'llm.ttft_ms']), service, environment, route,
            provider, coalesce(nullif(response_model, ''), request_model), unnest([latency_ms, ttft_ms])
        FROM llm_calls
    )
    SELECT event_date, date_trunc('hour', "timestamp") AS hour, metric, service, environment, route, provider, model,
        bucket_of(ms) AS bucket, count(*) AS "count"
    FROM samples WHERE ms IS NOT NULL GROUP BY ALL ORDER BY metric, service, hour
"""
QUERIES: Final = {TABLE_ROLLUP_CALLS: _CALLS, TABLE_ROLLUP_REQUESTS: _REQUESTS, TABLE_ROLLUP_LATENCY: _LATENCY}
_SOURCES: Final = (TABLE_REQUESTS, TABLE_LLM_CALLS)


def derive(home: Home, tables: dict[str, Table], days: Collection[date]) -> None:
    """Replace the rollups of some days by what their rows say now.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    for name in QUERIES:
        table = tables[name]

        def attempt(name: str = name, table: Table = table) -> pa.Table:
            rows = _rolled_up(home, tables, name, days)
            if len(rows):
                _replace_days(table, rows)
            return rows

        until_committed(table, attempt)


def _replace_days(table: Table, rows: pa.Table) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Delete operation did not match", UserWarning)  # a day rolled up first
        table.dynamic_partition_overwrite(rows)


def _rolled_up(home: Home, tables: dict[str, Table], name: str, days: Collection[date]) -> pa.Table:
    with connect(home) as connection:
        connection.execute(_MACROS.format(gamma=LATENCY_GAMMA))
        for source in _SOURCES:
            connection.execute(view_of(source, tables[source], data_files(tables[source], days)))
        found = connection.sql(QUERIES[name]).to_arrow_table()
    schema = arrow_schema(name)
    return found.select(schema.names).cast(schema)
