"""A lake of as many calls as are asked for, made by DuckDB.

Tenants are of Zipf's law, each with models, routes and sessions of its own; cost and latency follow from tokens.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import duckdb

from tollmeter.etl.datafiles import BATCH_ROWS, exchange, partition_of, write_files
from tollmeter.etl.lake import open_tables
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.home import Home
from tollmeter.model.names import TABLE_LLM_CALLS, TABLE_REQUESTS

FIRST = date(2026, 8, 1)
DAYS = 90
_BYTES_PER_CALL = 300  # with its half of a request, and the rollups
_SPARE_BYTES = 1 << 30
_FILE_ROWS = 4_000_000
_MACROS = """
    CREATE MACRO r(n, k) AS (hash(n * 31 + k) % 1000003) / 1000003.0;
    CREATE MACRO tenant(n) AS CAST(floor(pow(500, r(n, 1))) AS BIGINT);
    CREATE MACRO model(n) AS (tenant(n) * 7 + CAST(floor(pow(r(n, 2), 3) * 12) AS BIGINT)) % 12;
    CREATE MACRO usr(n) AS CAST(floor(pow(2000, r(n, 3))) AS BIGINT);
    CREATE MACRO words(n) AS CAST(exp(5 + 2.5 * r(n, 4)) AS BIGINT);
    CREATE MACRO said(n) AS CAST(exp(3 + 3 * r(n, 5)) AS BIGINT);
"""
# One call in 50 fails, one in 33 has no known price; a request makes two calls, which share its id.
_CALLS = """
    SELECT CAST(uuid() AS VARCHAR) AS event_id, 1 AS schema_version, moment AS "timestamp", DATE '{day}' AS event_date,
        'service-' || tenant(n) % 5 AS service,
        CASE WHEN r(n, 6) < 0.9 THEN 'production' ELSE 'staging' END AS environment,
        'req-' || n // 2 AS request_id, md5(CAST(n // 2 AS VARCHAR)) AS trace_id,
        'user-' || tenant(n) || '-' || usr(n) AS user_id, 'tenant-' || tenant(n) AS tenant_id,
        'team-' || tenant(n) % 20 AS team, 'feature-' || (tenant(n) + n % 3) % 40 AS feature,
        'session-' || tenant(n) || '-' || usr(n) || '-{day}-' || n % 3 AS session_id,
        'prompt-' || (tenant(n) + n % 3) % 40 AS prompt_name, 'v' || n % 2 AS prompt_version,
        '/service-' || tenant(n) % 5 || '/' || n % 3 AS route,
        'provider-' || model(n) % 4 AS provider, 'chat' AS operation, 'model-' || model(n) AS request_model,
        'model-' || model(n) || '-2026' AS response_model, n % 10 < 7 AS stream,
        CASE WHEN n % 50 = 0 THEN 'error' ELSE 'ok' END AS status,
        CASE WHEN n % 50 = 0 THEN 'Error' || n // 50 % 5 ELSE '' END AS error_type,
        CASE WHEN n % 250 = 0 THEN 429 WHEN n % 50 = 0 THEN 500 ELSE 200 END AS http_status,
        words(n) AS input_tokens, said(n) AS output_tokens, words(n) // 3 AS cache_read_tokens,
        'reported' AS usage_source, 300 + 900 * r(n, 7) + said(n) * (5 + model(n)) AS latency_ms,
        CASE WHEN n % 10 < 7 THEN 100 + 700 * r(n, 7) END AS ttft_ms,
        CASE WHEN n % 33 > 0
            THEN CAST((words(n) + 4 * said(n)) * (1 + model(n)) AS DECIMAL(18, 12)) / 4000000 END AS cost_usd,
        CASE WHEN n % 33 > 0 THEN 'priced' ELSE 'unpriced' END AS cost_status,
        moment + INTERVAL 5 MINUTE AS ingested_at, 'bench' AS batch_id
    FROM (SELECT n, TIMESTAMP '{day}' + to_microseconds(CAST(r(n, 8) * 86399999999 AS BIGINT)) AS moment
          FROM range({start}, {stop}) AS numbers(n))
"""
_REQUESTS = """
    SELECT event_id, schema_version, "timestamp", event_date, service, environment, request_id, trace_id, user_id,
        tenant_id, team, feature, session_id, route, 'POST' AS method,
        CASE WHEN status = 'error' THEN 500 ELSE 200 END AS status_code, latency_ms + 20 AS duration_ms,
        2 AS llm_calls, ingested_at, batch_id
    FROM ({calls}) WHERE CAST(substr(request_id, 5) AS BIGINT) % 2 = 0
"""


def check_space(rows: int) -> None:
    """Nothing, where the lake has room.

    Raises:
        SystemExit: the disk has less room than the lake takes.
    """
    wanted, free = rows * _BYTES_PER_CALL + _SPARE_BYTES, shutil.disk_usage(tempfile.gettempdir()).free
    if free < wanted:
        raise SystemExit(
            f"--query-rows={rows:,} takes about {wanted / 1e9:.1f} GB below {tempfile.gettempdir()}, where "
            f"{free / 1e9:.1f} GB are free; set TMPDIR, or ask for fewer rows"
        )


def build(home: Home, rows: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Commit `rows` calls and half as many requests, spread over `DAYS` days; the tables by name."""
    tables, share = open_tables(home, "zstd"), rows // DAYS
    files: dict[str, list[Any]] = {TABLE_LLM_CALLS: [], TABLE_REQUESTS: []}
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '2GB'; " + _MACROS)
        for number in range(DAYS):
            progress(f"queries: day {number + 1} of {DAYS} written")
            day = FIRST + timedelta(days=number)
            calls = _CALLS.format(day=day, start=number * share, stop=(number + 1) * share)
            for name, query in ((TABLE_LLM_CALLS, calls), (TABLE_REQUESTS, _REQUESTS.format(calls=calls))):
                files[name] += _write(connection, tables[name], name, day, query)
    for name, written in files.items():
        exchange(tables[name], [], written, {})
    return tables


def _write(connection: duckdb.DuckDBPyConnection, table: Any, name: str, day: date, query: str) -> list[Any]:
    made = connection.sql(query)
    types = {field.name: field.type for field in arrow_schema(name)}
    columns = ", ".join(f'"{column}"' if column in made.columns else f'NULL AS "{column}"' for column in types)
    ordered = connection.sql(f'SELECT {columns} FROM ({query}) ORDER BY service, "timestamp"')
    return list(write_files(table, partition_of(day), ordered.to_arrow_reader(BATCH_ROWS), _FILE_ROWS))
