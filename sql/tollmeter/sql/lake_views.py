"""DuckDB views over the lake's tables: the registry's schema, whatever the lake holds so far."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import DERIVED_TABLES
from tollmeter.model.errors import DataError
from tollmeter.model.names import EVENT_TABLES
from tollmeter.sql.catalog import find_table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

TABLES: Final = (*EVENT_TABLES, *DERIVED_TABLES)
_FILE_SCHEME: Final = "file://"
_TYPES: Final = {
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us]": "TIMESTAMP",
    "date32[day]": "DATE",
}


class LakeViews:
    """Writes the view of each table, and remembers the snapshot it was written for."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._seen: dict[str, str] = {}

    @property
    def snapshot(self) -> str:
        """A digest of the snapshots that were seen last."""
        return _digest(self._seen)

    def changed(self) -> list[str]:
        """`CREATE VIEW` statements of the tables whose snapshot is not the one seen last."""
        return [statement for table in TABLES if (statement := self._view_if_changed(table))]

    def _view_if_changed(self, name: str) -> str:
        table = find_table(self._catalog, name)
        version = _version(table)
        if self._seen.get(name) == version:
            return ""
        statement = view_of(name, table)
        self._seen[name] = version
        return statement


def snapshot_of(catalog: Catalog) -> str:
    """Names the state of a lake: another one after each commit to any of its tables."""
    return _digest({name: _version(find_table(catalog, name)) for name in TABLES})


def _version(table: Table | None) -> str:
    return table.metadata_location if table else "absent"


def _digest(versions: dict[str, str]) -> str:
    return sha256("\n".join(versions.get(name, "") for name in TABLES).encode()).hexdigest()


def view_of(name: str, table: Table | None, files: list[str] | None = None) -> str:
    """The `CREATE VIEW` of one table: over some of its files, else those of its snapshot, or with no rows.

    Raises:
        DataError: the table has delete files; the lake rewrites files instead.
    """
    chosen = files_of(table) if table and files is None else files
    wanted = arrow_schema(name)
    source = rows_of(table, chosen, wanted) if table and chosen else _empty(wanted)
    return f"CREATE OR REPLACE VIEW {quoted(name)} AS {source}"


def files_of(table: Table) -> list[str]:
    """Paths of the data files of the current snapshot.

    Raises:
        DataError: the table has delete files, which a plain read of its data files would ignore.
    """
    tasks = list(table.scan().plan_files())
    if any(task.delete_files for task in tasks):
        raise DataError(f"table {'.'.join(table.name())} has delete files; only copy-on-write tables can be read")
    return sorted(task.file.file_path.removeprefix(_FILE_SCHEME) for task in tasks)


def rows_of(table: Table, files: list[str], wanted: pa.Schema) -> str:
    """The `SELECT` of some columns over files of a table; null where the table or a file is older than a column."""
    found = table.schema()
    ids = {field.name: field.field_id for field in found.fields}
    # Columns are found by Iceberg's field ids, so a file written before a column was added or renamed reads right.
    entries = [
        f"{ids[field.name]}: {{'name': {_literal(field.name)}, 'type': '{_type(field)}', 'default_value': NULL}}"
        for field in wanted
        if field.name in ids
    ]
    columns = [quoted(field.name) if field.name in ids else null_of(field) for field in wanted]
    paths = ", ".join(_literal(path) for path in files)
    return (
        f"SELECT {', '.join(columns)} "  # noqa: S608 - names are the registry's, paths are quoted
        f"FROM read_parquet([{paths}], schema=MAP {{{', '.join(entries)}}}, hive_partitioning=false)"
    )


def _empty(wanted: pa.Schema) -> str:
    return f"SELECT {', '.join(null_of(field) for field in wanted)} WHERE FALSE"


def null_of(field: pa.Field) -> str:
    """A null of a column's type, under its name."""
    return f"CAST(NULL AS {_type(field)}) AS {quoted(field.name)}"


def _type(field: pa.Field) -> str:
    kind = str(field.type)
    if kind.startswith("decimal128"):
        return f"DECIMAL({field.type.precision}, {field.type.scale})"
    return _TYPES[kind]


def quoted(name: str) -> str:
    """A name as SQL spells it, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
