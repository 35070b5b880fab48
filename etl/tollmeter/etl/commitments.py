"""Hours of capacity that is paid whether or not it is used: what each cost, what it served, what lay idle."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.committed_hours import Hour, committed_hours, served
from tollmeter.etl.lake import connect, data_files
from tollmeter.etl.rollups.changes import is_current, progress, touched
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.names import TABLE_COMMITMENTS, TABLE_LLM_CALLS
from tollmeter.pricing.names import provider_id
from tollmeter.sql.lake_views import view_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyiceberg.table import Table, Transaction

    from tollmeter.model.home import Home
    from tollmeter.pricing.overlay import Commitment

Row = dict[str, Any]
_KEYS: Final = ("hour", "commitment", "provider", "resource_id", "model", "cost_usd", "capacity_tokens")
"""Columns that follow from the commitment alone, whatever was called."""

_NOTHING: Final = (0, 0, 0)
_DEFINITION: Final = "1"

# A call names the capacity it runs on as its resource, or where the model belongs.
_USAGE: Final = """
    SELECT hours.number, count(*), coalesce(sum(input_tokens), 0)::BIGINT, coalesce(sum(output_tokens), 0)::BIGINT
    FROM llm_calls AS call
    JOIN providers ON providers.name = call.provider
    JOIN hours ON hours.provider = providers.id
        AND call."timestamp" >= hours.start AND call."timestamp" < hours.stop
        AND hours.resource_id IN (lower(call.resource_id), lower(call.request_model), lower(call.response_model))
    GROUP BY ALL
"""


def derive_commitments(
    home: Home, tables: dict[str, Table], commitments: Collection[Commitment], now: datetime
) -> None:
    """Bring the hours of commitments up to now: every hour that is over, and again those of days whose calls changed.

    Days that are as they should be are not written; hours that no commitment covers any more are removed.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    table, calls = tables[TABLE_COMMITMENTS], tables[TABLE_LLM_CALLS]
    hours, sources = committed_hours(commitments, now), {TABLE_LLM_CALLS: calls}

    def attempt() -> None:
        for each in (table, calls):  # in this order, so that what newer calls say is never replaced
            each.refresh()
        changed_days = touched(table, sources, _DEFINITION)
        stored = _by_day(table.scan().to_arrow().to_pylist())
        expected = _by_day(hour.row() for hour in hours)
        days = {
            day for day in {*stored, *expected} if day in changed_days or _keys(stored, day) != _keys(expected, day)
        }
        wanted = _by_day(_rows(home, calls, [hour for hour in hours if hour.day in days], days))
        changed = sorted(day for day in days if stored.get(day) != wanted.get(day))
        if changed or not is_current(table, sources, _DEFINITION):
            with table.transaction() as change:
                rows = [row for day in changed for row in wanted.get(day, ())]
                _replace_days(change, stored.keys() & changed, rows)
                change.set_properties(progress(sources, _DEFINITION))

    until_committed(table, attempt)


def _by_day(rows: Iterable[Row]) -> dict[date, list[Row]]:
    found: dict[date, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["hour"], row["commitment"])):
        found.setdefault(row["event_date"], []).append(row)
    return found


def _keys(rows: dict[date, list[Row]], day: date) -> list[tuple[Any, ...]]:
    return [tuple(row[key] for key in _KEYS) for row in rows.get(day, ())]


def _replace_days(change: Transaction, gone: Collection[date], rows: list[Row]) -> None:
    import pyarrow as pa

    if gone:
        change.delete("event_date IN (" + ", ".join(f"'{day}'" for day in sorted(gone)) + ")")
    if rows:
        change.append(pa.Table.from_pylist(rows, schema=arrow_schema(TABLE_COMMITMENTS)))


def _rows(home: Home, calls: Table, hours: list[Hour], days: Collection[date]) -> list[Row]:
    files = data_files(calls, days) if hours else []
    usage: dict[int, tuple[int, ...]] = {}
    if files:
        with connect(home) as connection:
            connection.execute(view_of(TABLE_LLM_CALLS, calls, files))
            connection.register("providers", _providers(connection))
            connection.register("hours", _spans(hours))
            usage = {row[0]: row[1:] for row in connection.execute(_USAGE).fetchall()}
    return [served(hour, *usage.get(number, _NOTHING)) for number, hour in enumerate(hours)]


def _providers(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    import pyarrow as pa

    rows = connection.execute("SELECT DISTINCT provider FROM llm_calls WHERE provider <> ''").fetchall()
    names = [name for (name,) in rows]
    return pa.table({"name": pa.array(names, pa.string()), "id": pa.array(map(provider_id, names), pa.string())})


def _spans(hours: list[Hour]) -> pa.Table:
    import pyarrow as pa

    moment, text = pa.timestamp("us"), pa.string()
    fields = {"number": pa.int64(), "provider": text, "resource_id": text, "start": moment, "stop": moment}
    rows = [(number, *hour.capacity, *span) for number, hour in enumerate(hours) for span in hour.spans]
    return pa.Table.from_pylist([dict(zip(fields, row, strict=True)) for row in rows], schema=pa.schema(fields))
