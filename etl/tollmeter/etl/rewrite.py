"""Values of one day's rows replaced in one commit; what the table held before stays in its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from tollmeter.etl.commit import until_committed
from tollmeter.etl.lake import BATCH_PROPERTY, connect, local_path, snapshots_of
from tollmeter.model.errors import DataError, InvariantError
from tollmeter.sql.lake_views import quoted, rows_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

FILE_ROWS: Final = 100_000
"""Rows of one file that is written: what is held in memory."""

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
    old, names = _files_of(table, wanted.day), table.schema().column_names
    with connect(home) as connection:
        _create_view(connection, "before", table, old)
        connection.read_parquet(str(wanted.changes), hive_partitioning=False).create_view("changes")
        new = list(_write(table, _replaced(connection, names, wanted.columns)))
        _create_view(connection, "after", table, new)
        _check(connection, names, wanted.columns)
    properties = {BATCH_PROPERTY: wanted.batch_id}
    with table.transaction() as change, change.update_snapshot(properties).overwrite() as snapshot:
        for file in old:
            snapshot.delete_data_file(file)
        for file in new:
            snapshot.append_data_file(file)


def _files_of(table: Table, day: date) -> list[DataFile]:
    tasks = list(table.scan(row_filter=f"event_date = '{day}'").plan_files())
    if any(task.delete_files for task in tasks):
        raise DataError(f"table {'.'.join(table.name())} has delete files; only copy-on-write tables can be rewritten")
    return [task.file for task in tasks]


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, table: Table, files: list[DataFile]) -> None:
    paths = [local_path(file.file_path) for file in files]
    connection.execute(f"CREATE VIEW {name} AS {rows_of(table, paths, table.schema().as_arrow())}")


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
    return connection.sql(query).to_arrow_reader(FILE_ROWS)


def _write(table: Table, rows: pa.RecordBatchReader) -> Iterator[DataFile]:
    """Data files of the rows, not yet part of the table.

    pyiceberg 0.12 has no public way to make several files in bounded memory and put them in one snapshot: it streams
    only into tables without partitions.
    """
    import pyarrow as pa
    from pyiceberg.io.pyarrow import _dataframe_to_data_files

    write_uuid, number = uuid4(), count()
    # Iceberg's own arrow schema has large strings, which readers would tell from those of appended files.
    wanted = pa.schema([_small(field) for field in table.schema().as_arrow()])
    for batch in rows:
        frame = pa.Table.from_batches([batch]).cast(wanted)
        yield from _dataframe_to_data_files(table.metadata, frame, table.io, write_uuid, number)


def _small(field: pa.Field) -> pa.Field:
    import pyarrow as pa

    return field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field


def _check(connection: duckdb.DuckDBPyConnection, every: Sequence[str], columns: Sequence[str]) -> None:
    """Count, checksum of the columns that are kept, checksum of the rows that are kept."""
    kept = ", ".join(quoted(name) for name in every if name not in columns)
    whole = ", ".join(map(quoted, every))
    query = (
        f"SELECT count(*), sum(hash({kept})), sum(CASE WHEN event_id NOT IN (FROM named) THEN hash({whole}) END) FROM "  # noqa: S608 - names are the schema's, quoted
    )
    connection.execute("CREATE VIEW named AS SELECT event_id FROM changes")
    before, after = (connection.execute(query + view).fetchall()[0] for view in ("before", "after"))
    if before != after:
        raise InvariantError(f"rows and checksums of what is kept: before {_told(before)}, after {_told(after)}")


def _told(found: tuple[Any, ...]) -> str:
    return " ".join(map(str, found))
