"""Costs of requests, which are sums of their calls' costs, worked out for the calls' new ones."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tollmeter.etl.lake import connect, data_files
from tollmeter.model.names import TABLE_LLM_CALLS, TABLE_REQUESTS
from tollmeter.sql.lake_views import view_of

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.table import Table

    from tollmeter.etl.repricing.staged import Staged
    from tollmeter.model.home import Home

_NEXT: Final = timedelta(days=1)

# A request has its own cost only if it is that of just these calls: callers may give two requests one id, and calls
# may have landed late or outlived their request. What is not a sum of its calls is left alone.
_SUMS: Final = """
    CREATE VIEW sums AS
    WITH calls AS (
        SELECT call.service, call.request_id, call.cost_usd AS old, changed.event_id IS NOT NULL AS is_changed,
            CASE WHEN changed.event_id IS NULL THEN call.cost_usd ELSE changed.cost_usd END AS new
        FROM llm_calls AS call LEFT JOIN changed USING (event_id)
        WHERE call.request_id <> ''
    )
    SELECT service, request_id, count(*) AS calls, sum(old) AS old, TRY_CAST(sum(new) AS DECIMAL(18, 12)) AS new
    FROM calls GROUP BY ALL HAVING bool_or(is_changed)
"""
_JUDGED: Final = """
    CREATE TABLE judged AS
    SELECT request.event_id, sums.new AS cost_usd,
        request.llm_calls = sums.calls AND request.cost_usd IS NOT DISTINCT FROM sums.old AS is_sum
    FROM requests AS request JOIN sums USING (service, request_id)
    WHERE request.cost_usd IS DISTINCT FROM sums.new
"""


def stage_requests(home: Home, tables: dict[str, Table], staged: Staged) -> tuple[int, int]:
    """Write down the new costs of the requests that changed calls belong to.

    A request's calls are looked for on its day and the next.

    Returns:
        How many requests change, and how many are left because their cost was no sum of their calls.
    """
    calls = staged.days(TABLE_LLM_CALLS)
    found = [_stage_day(home, tables, staged, day) for day in sorted({*calls, *(day - _NEXT for day in calls)})]
    return sum(changed for changed, _ in found), sum(left for _, left in found)


def _stage_day(home: Home, tables: dict[str, Table], staged: Staged, day: date) -> tuple[int, int]:
    days = (day, day + _NEXT)
    if not data_files(tables[TABLE_REQUESTS], [day]):
        return 0, 0
    with connect(home) as connection:
        for table, chosen in ((TABLE_REQUESTS, days[:1]), (TABLE_LLM_CALLS, days)):
            connection.execute(view_of(table, tables[table], data_files(tables[table], chosen)))
        paths = [path for path in (staged.path(TABLE_LLM_CALLS, one) for one in days) if path.exists()]
        connection.read_parquet([str(path) for path in paths], hive_partitioning=False).create_view("changed")
        connection.execute(_SUMS)
        connection.execute(_JUDGED)
        changed, left = _counts(connection)
        if changed:
            _write(connection, staged.path(TABLE_REQUESTS, day))
    return changed, left


def _counts(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    query = "SELECT count(*) FILTER (is_sum), count(*) FILTER (NOT is_sum) FROM judged"
    ((changed, left),) = connection.execute(query).fetchall()
    return changed, left


def _write(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.sql("SELECT event_id, cost_usd FROM judged WHERE is_sum").write_parquet(str(path))
