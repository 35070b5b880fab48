"""Values of one day's rows replaced in one commit; what the table held before stays in its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.datafiles import BATCH_ROWS, check_same, checksum, create_view, exchange, plan_files, write_files
from tollmeter.etl.lake import BATCH_PROPERTY, connect, snapshots_of
from tollmeter.sql.lake_views import quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

FILE_ROWS: Final = 1_000_000
"""Rows of one file that is written; memory holds a row group of it."""

_KEYS: Final = ("service", "timestamp")


@dataclass(frozen=True, slots=True)
class Replacement:
    """New values for some rows of one day.

    `changes` is a Parquet file of `event_id` and `columns`; the snapshot is marked with `batch_id`.
    """

    day: date
    changes: Path
    columns: Sequence[str]
    batch_id: str


def replace_values(home: Home, table: Table, wanted: Replacement) -> None:
    """Give the rows of a day that the changes name by `event_id` the values they hold, unless this batch has done so.

    The files of the day are written anew, and are read back before the commit: as many rows as before, and every other
    column as it was. What does not fit in memory goes below the home's `state/`.

    Raises:
        InvariantError: what was written is not what was there; nothing is committed.
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> None:
        if not snapshots_of(table, wanted.batch_id):
            _replace(home, table, wanted)

    until_committed(table, attempt)


def _replace(home: Home, table: Table, wanted: Replacement) -> None:
    old, names = plan_files(table, f"event_date = '{wanted.day}'"), table.schema().column_names
    with connect(home) as connection:
        create_view(connection, "before", table, old)
        connection.read_parquet(str(wanted.changes), hive_partitioning=False).create_view("changes")
        rows = _replaced(connection, names, wanted.columns)
        new = list(write_files(table, old[0].partition, rows, FILE_ROWS)) if old else []
        create_view(connection, "after", table, new)
        _check(connection, names, wanted.columns)
    exchange(table, old, new, {BATCH_PROPERTY: wanted.batch_id})


def _replaced(
    connection: duckdb.DuckDBPyConnection, every: Sequence[str], columns: Sequence[str]
) -> pa.RecordBatchReader:
    chosen = ", ".join(
        f"CASE WHEN changes.event_id IS NULL THEN before.{quoted(name)} ELSE changes.{quoted(name)} END"
        f" AS {quoted(name)}"
        if name in columns
        else f"before.{quoted(name)}"
        for name in every
    )
    order = ", ".join(f"before.{quoted(name)}" for name in _KEYS if name in every)
    query = f"SELECT {chosen} FROM before LEFT JOIN changes USING (event_id) ORDER BY {order}"  # noqa: S608 - names are the schema's, quoted
    return connection.sql(query).to_arrow_reader(BATCH_ROWS)


def _check(connection: duckdb.DuckDBPyConnection, every: Sequence[str], columns: Sequence[str]) -> None:
    """Of all rows the columns that are kept; of the rows that are kept all columns."""
    kept = [name for name in every if name not in columns]
    connection.execute("CREATE VIEW named AS SELECT event_id FROM changes")
    for what, chosen, where in (
        ("the columns that are kept", kept, "TRUE"),
        ("the rows that are kept", every, "event_id NOT IN (FROM named)"),
    ):
        check_same(what, *(checksum(connection, view, chosen, where) for view in ("before", "after")))
