"""Data files read, written and exchanged: what every rewrite of a table is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from tollmeter.etl.lake import local_path
from tollmeter.etl.parquet import Encoding
from tollmeter.model.errors import DataError, InvariantError
from tollmeter.sql.lake_views import quoted, rows_of

if TYPE_CHECKING:
    from datetime import date

    import duckdb
    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.typedef import Record

BATCH_ROWS: Final = 16_384
ROW_GROUP_ROWS: Final = 131_072
"""Rows of a row group: what is held in memory while a file is written."""


def plan_files(table: Table, row_filter: str = "") -> list[DataFile]:
    """The data files of the current snapshot, of some partitions or of all.

    Raises:
        DataError: the table has delete files, which no rewrite here would apply.
    """
    from pyiceberg.expressions import AlwaysTrue

    tasks = list(table.scan(row_filter=row_filter or AlwaysTrue()).plan_files())
    if any(task.delete_files for task in tasks):
        raise DataError(f"table {'.'.join(table.name())} has delete files; only copy-on-write tables can be rewritten")
    return [task.file for task in tasks]


def create_view(connection: duckdb.DuckDBPyConnection, name: str, table: Table, files: Sequence[DataFile]) -> None:
    """A DuckDB view of files in the table's schema, columns found by field id; without files it has no rows."""
    wanted = table.schema().as_arrow()
    paths = [local_path(file.file_path) for file in files]
    source = rows_of(table, paths, wanted) if paths else _nothing(wanted)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {source}")


def write_files(table: Table, partition: Record, rows: pa.RecordBatchReader, rows_per_file: int) -> Iterator[DataFile]:
    """Data files of one partition, not yet part of the table; a row group at a time is held in memory.

    pyiceberg 0.12 has no public way to do that: it streams only into tables without partitions.
    """
    import pyarrow as pa
    from pyiceberg.io.pyarrow import parquet_file_to_data_file

    encoding = Encoding.of(table)
    schema = encoding.schema
    for groups in _cut(rows, schema, rows_per_file):
        location = _new_location(table, partition)
        with table.io.new_output(location).create() as sink, encoding.writer(sink) as writer:
            for group in groups:
                writer.write_table(pa.Table.from_batches(group, schema=schema), row_group_size=ROW_GROUP_ROWS)
        yield parquet_file_to_data_file(table.io, table.metadata, location)


class FileStore:
    """Writes finished data files of a table, which are not yet part of it; their statistics are read from them."""

    def __init__(self, table: Table) -> None:
        from pyiceberg.io.pyarrow import compute_statistics_plan, parquet_path_to_id_mapping

        self._table = table
        self._plan = compute_statistics_plan(table.schema(), table.properties)
        self._ids = parquet_path_to_id_mapping(table.schema())

    def store(self, day: date, content: pa.Buffer) -> DataFile:
        """A file of one day, written as it is."""
        import pyarrow as pa
        from pyarrow.parquet import read_metadata
        from pyiceberg.io.pyarrow import data_file_statistics_from_parquet_metadata
        from pyiceberg.manifest import DataFile, DataFileContent, FileFormat

        table, partition = self._table, partition_of(day)
        location = _new_location(table, partition)
        with table.io.new_output(location).create() as sink:
            sink.write(content)
        statistics = data_file_statistics_from_parquet_metadata(
            read_metadata(pa.BufferReader(content)), self._plan, self._ids
        )
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=location,
            file_format=FileFormat.PARQUET,
            partition=partition,
            file_size_in_bytes=len(content),
            sort_order_id=None,
            spec_id=table.metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )


def read_file(table: Table, file: DataFile) -> pa.Table:
    """All rows of one data file."""
    from pyarrow.parquet import read_table

    with table.io.new_input(file.file_path).open() as source:
        return read_table(source)


def partition_of(day: date) -> Record:
    """The partition of a day's files."""
    from pyiceberg.typedef import Record
    from pyiceberg.utils.datetime import date_to_days

    return Record(date_to_days(day))


def exchange(table: Table, old: Sequence[DataFile], new: Sequence[DataFile], properties: dict[str, str]) -> None:
    """Put files in the place of others in one commit; what others have appended meanwhile stays.

    Raises:
        pyiceberg.exceptions.CommitFailedException: another writer was faster; refresh the table and try again.
        pyiceberg.exceptions.ValidationException: one of the old files is no longer in the table.
    """
    with table.transaction() as change, change.update_snapshot(properties).overwrite() as snapshot:
        for file in old:
            snapshot.delete_data_file(file)
        for file in new:
            snapshot.append_data_file(file)


def checksum(connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[str], where: str = "TRUE") -> Any:
    """Rows of a view, and a sum over hashes of their columns that does not depend on their order."""
    chosen = ", ".join(map(quoted, columns))
    query = f"SELECT count(*), sum(hash({chosen})) FROM {quoted(view)} WHERE {where}"  # noqa: S608 - names are the schema's, quoted
    return connection.execute(query).fetchone()


def check_same(what: str, before: Any, after: Any) -> None:
    """Nothing, where two checksums are equal.

    Raises:
        InvariantError: they are not; nothing must be committed.
    """
    if before != after:
        raise InvariantError(f"rows and checksum of {what}: before {before}, after {after}")


def discard(table: Table, files: Sequence[DataFile]) -> None:
    """Delete files that were written and will not be part of the table."""
    for file in files:
        delete_file(table, file.file_path)


def delete_file(table: Table, location: str) -> bool:
    """Delete one file of a table's storage; False where it is gone."""
    try:
        table.io.delete(location)
    except FileNotFoundError:
        return False
    return True


def _nothing(wanted: pa.Schema) -> str:
    from tollmeter.sql.lake_views import null_of

    return f"SELECT {', '.join(null_of(field) for field in wanted)} WHERE FALSE"


def _new_location(table: Table, partition: Record) -> str:
    folder = table.spec().partition_to_path(partition, table.schema())
    name = f"{uuid4()}.parquet"
    return table.location_provider().new_data_location(f"{folder}/{name}" if folder else name)


def _cut(rows: pa.RecordBatchReader, schema: pa.Schema, rows_per_file: int) -> Iterator[Iterator[list[pa.RecordBatch]]]:
    """Batches in the order they come, as files of row groups."""
    source = _Source(rows, schema)
    while source.peek() is not None:
        yield _groups(source, rows_per_file)


def _groups(source: _Source, rows_per_file: int) -> Iterator[list[pa.RecordBatch]]:
    left = rows_per_file
    while left > 0 and source.peek() is not None:
        group, wanted = list[Any](), min(left, ROW_GROUP_ROWS)
        while wanted > 0 and (batch := source.take(wanted)) is not None:
            group.append(batch)
            wanted -= len(batch)
            left -= len(batch)
        yield group


class _Source:
    """Record batches that can be taken a given number of rows at a time."""

    def __init__(self, rows: pa.RecordBatchReader, schema: pa.Schema) -> None:
        self._rows, self._schema = rows, schema
        self._held: pa.RecordBatch | None = None

    def peek(self) -> pa.RecordBatch | None:
        while self._held is None or not len(self._held):
            try:
                self._held = self._rows.read_next_batch().cast(self._schema)
            except StopIteration:
                return None
        return self._held

    def take(self, most: int) -> pa.RecordBatch | None:
        batch = self.peek()
        if batch is None:
            return None
        self._held = batch.slice(most)
        return batch.slice(0, most)
