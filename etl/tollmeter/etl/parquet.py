"""Parquet as the lake has it: how each data file is encoded, whoever writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter
    from pyiceberg.table import Table

_DICTIONARY_BYTES: Final = 2 << 20
_UNCOMPRESSED: Final = "uncompressed"


class Encoding(NamedTuple):
    """The schema of a table's files, with field ids, and what its properties say of the encoding. It can be pickled."""

    schema: pa.Schema
    codec: str
    dictionary_bytes: int

    @classmethod
    def of(cls, table: Table) -> Encoding:
        """How files of a table are encoded now."""
        codec = table.properties.get("write.parquet.compression-codec", "zstd")
        dictionary_bytes = int(table.properties.get("write.parquet.dict-size-bytes", _DICTIONARY_BYTES))
        return cls(_file_schema(table), "none" if codec == _UNCOMPRESSED else codec, dictionary_bytes)

    def writer(self, sink: Any) -> ParquetWriter:
        """What writes row groups of this schema to an open file."""
        from pyarrow.parquet import ParquetWriter

        return ParquetWriter(sink, self.schema, compression=self.codec, dictionary_pagesize_limit=self.dictionary_bytes)


def _file_schema(table: Table) -> pa.Schema:
    """The table's schema with field ids; Iceberg's own has large strings, which readers would tell from others."""
    import pyarrow as pa
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    def small(field: pa.Field) -> pa.Field:
        return field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field

    return pa.schema([small(field) for field in schema_to_pyarrow(table.schema(), include_field_ids=True)])
