"""What Redshift Spectrum asks of a Parquet file, checked on files as they were written.

A type that differs from the DDL is an error only when somebody queries, a nanosecond timestamp is read as another time
(github.com/apache/arrow/issues/38000), and a text that is too long is cut without a word.
"""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.arrow import arrow_schema
from tollmeter.model.errors import MissingExtraError
from tollmeter.sql.catalog import find_table
from tollmeter.sql.ddl import max_bytes, table_columns
from tollmeter.sql.lake_views import TABLES

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import InputFile

CODECS: Final = ("SNAPPY", "GZIP", "ZSTD", "UNCOMPRESSED")
ICEBERG_TEXT_BYTES: Final = 16_384
"""Spectrum cuts an Iceberg table's text here, whatever the file holds
(docs.aws.amazon.com/redshift/latest/dg/querying-iceberg-supported-data-types.html)."""
_MICROS: Final = "timeUnit=microseconds"
_BATCH_ROWS: Final = 16_384
_TEXTS: Final = ("string", "large_string")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One live file of the lake: its table, its address, and how it is read wherever it stands."""

    table: str
    address: str
    source: InputFile

    @property
    def faults(self) -> list[str]:
        """As `faults_of` tells them."""
        with self.source.open() as stream:
            return faults_of(stream, self.table)

    @property
    def cut_texts(self) -> dict[str, int]:
        """As `texts_cut` counts them."""
        with self.source.open() as stream:
            return texts_cut(stream, self.table)


def data_files(catalog: Catalog) -> Iterator[DataFile]:
    """Every data file of every table's current snapshot."""
    for name in TABLES:
        if table := find_table(catalog, name):
            for task in table.scan().plan_files():
                yield DataFile(name, task.file.file_path, table.io.new_input(task.file.file_path))


def faults_of(source: Path | Any, table: str) -> list[str]:
    """What of one data file of a table Spectrum would refuse, misread or cut; empty where nothing is known.

    The source is a path, or a stream that can be sought in.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "etl") from error
    with pq.ParquetFile(source) as file:
        return [*_codecs(file), *_types(file, table), *_timestamps(file), *_texts(file, table)]


def texts_cut(source: Path | Any, table: str) -> dict[str, int]:
    """By column, values that Spectrum cuts in an Iceberg table though a Redshift column could hold them."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        return _longer(file, dict.fromkeys(_text_bounds(table), ICEBERG_TEXT_BYTES))


def _codecs(file: pq.ParquetFile) -> list[str]:
    groups = range(file.metadata.num_row_groups)
    columns = range(file.metadata.num_columns)
    found = {file.metadata.row_group(group).column(column).compression for group in groups for column in columns}
    return [f"codec {codec}: expected one of {', '.join(CODECS)}" for codec in sorted(found.difference(CODECS))]


def _types(file: pq.ParquetFile, table: str) -> list[str]:
    wanted: dict[str, pa.DataType] = {field.name: field.type for field in arrow_schema(table)}
    found = []
    for field in file.schema_arrow:
        expected = wanted.get(field.name)
        # Arrow reads long texts back as large_string where it wrote them so; in the file they are the same.
        kind = str(field.type).removeprefix("large_")
        if expected is None:
            found.append(f"column {field.name}: not in the DDL of {table}")
        elif kind != str(expected):
            found.append(f"column {field.name}: {kind}, but the DDL has {expected}")
    return found


def _timestamps(file: pq.ParquetFile) -> list[str]:
    """Faults of times as the file itself has them: Arrow would turn another unit into ours when it reads."""
    found = []
    for index in range(len(file.schema)):
        column = file.schema.column(index)
        logical = str(column.logical_type)
        if column.physical_type == "INT96":
            found.append(f"column {column.name}: INT96, expected INT64 in microseconds")
        elif logical.startswith("Timestamp") and (_MICROS not in logical or "isAdjustedToUTC=true" in logical):
            found.append(f"column {column.name}: {logical}, expected microseconds without zone")
        elif logical.startswith("Int(") and "isSigned=false" in logical:
            found.append(f"column {column.name}: unsigned, which Redshift has not")
    return found


def _texts(file: pq.ParquetFile, table: str) -> list[str]:
    bounds = _text_bounds(table)
    return [
        f"column {name}: {count} texts longer than {bounds[name]:,} bytes, which are cut"
        for name, count in _longer(file, bounds).items()
    ]


def _text_bounds(table: str) -> dict[str, int]:
    return {column.name: max_bytes(column) for column in table_columns(table) if column.type in ("string", "json")}


def _longer(file: pq.ParquetFile, bounds: dict[str, int]) -> dict[str, int]:
    """By column, how many texts have more bytes than its bound; columns without such texts are left out."""
    import pyarrow.compute as pc

    names = [field.name for field in file.schema_arrow if field.name in bounds and str(field.type) in _TEXTS]
    counts = dict.fromkeys(names, 0)
    for batch in file.iter_batches(_BATCH_ROWS, columns=names) if names else ():
        for name in names:
            lengths = pc.binary_length(batch.column(name))
            counts[name] += pc.sum(pc.greater(lengths, bounds[name])).as_py() or 0
    return {name: count for name, count in counts.items() if count}
