"""The lake's tables as the ETL writes them: created, found, read by day, appended to under a batch id."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Final

from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import DERIVED_TABLES, ROLLUP_TABLES, UNPARTITIONED_TABLES
from tollmeter.model.names import EVENT_TABLES
from tollmeter.sql.catalog import find_table, has_lake, namespace_of, open_catalog
from tollmeter.sql.places import open_place

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from tollmeter.model.home import Home

TABLES: Final = (*EVENT_TABLES, *DERIVED_TABLES)
BATCH_PROPERTY: Final = "tollmeter.batch-id"
_CODECS: Final = {"none": "uncompressed"}
_PROPERTIES: Final = {
    "commit.retry.num-retries": "0",  # a silent retry would skip the anti-join and land a batch twice
    "commit.manifest-merge.enabled": "true",  # every append adds a manifest, and every commit reads them all
    "write.parquet.dict-size-bytes": "16384",  # ids and times are smaller without a dictionary: docs/lake-layout.md
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


def open_tables(home: Home, codec: str) -> dict[str, Table]:
    """All tables of the lake by name, created where missing; new files are compressed with `codec`."""
    catalog = open_catalog(home)
    wanted = {**_PROPERTIES, "write.parquet.compression-codec": _CODECS.get(codec, codec)}
    return {name: _open(catalog, name, wanted) for name in TABLES}


def existing_tables(home: Home) -> dict[str, Table]:
    """The tables that exist, by name; nothing is created in a home without a lake."""
    if not has_lake(home):
        return {}
    catalog = open_catalog(home)
    found = {identifier[-1] for identifier in catalog.list_tables(namespace_of(catalog))}
    return {name: catalog.load_table((namespace_of(catalog), name)) for name in TABLES if name in found}


def snapshots_of(table: Table, batch_id: str) -> list[Snapshot]:
    """What a batch committed to a table: one snapshot, or none."""
    return [
        snapshot
        for snapshot in table.metadata.snapshots
        if snapshot.summary and snapshot.summary.additional_properties.get(BATCH_PROPERTY) == batch_id
    ]


def summary_count(snapshot: Snapshot | None, name: str) -> int:
    """One count of a snapshot's summary, as Iceberg kept it; 0 without a snapshot."""
    summary = snapshot.summary if snapshot else None
    return int(summary.additional_properties.get(name, "0")) if summary else 0


def data_files(table: Table, days: Collection[date] | None = None) -> list[str]:
    """The Parquet files of a table, of some days or of all, as `connect` reads them: local paths, or `s3://`."""
    from pyiceberg.expressions import AlwaysTrue

    chosen = AlwaysTrue() if days is None else "event_date IN (" + ", ".join(f"'{day}'" for day in sorted(days)) + ")"
    return [local_path(task.file.file_path) for task in table.scan(row_filter=chosen).plan_files()]


def days_of(table: Table) -> list[date]:
    """The days that a table partitioned by `event_date` has rows of, in order."""
    from pyiceberg.utils.datetime import days_to_date

    return sorted({days_to_date(task.file.partition[0]) for task in table.scan().plan_files()})


def local_path(uri: str) -> str:
    """The path of a `file:` address; any other address unchanged.

    >>> local_path("file:///lake/a b.parquet")
    '/lake/a b.parquet'
    """
    return uri.removeprefix("file://")


def connect(home: Home) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, spilling below the home, that reads the data files of the home's lake wherever it stands."""
    import duckdb

    spill = home.state / "etl" / "tmp"
    spill.parent.mkdir(parents=True, exist_ok=True)  # DuckDB makes the last folder only, and fails as it runs out
    connection = duckdb.connect(config={"temp_directory": str(spill), "preserve_insertion_order": "false"})
    connection.execute("SET enable_progress_bar = false")  # it goes to stdout, where --json does
    open_place(home).attach(connection)
    return connection


def _open(catalog: Catalog, name: str, wanted: dict[str, str]) -> Table:
    table = find_table(catalog, name)
    if table and name in ROLLUP_TABLES and table.schema().column_names != arrow_schema(name).names:
        catalog.drop_table(table.name())  # of an earlier version: it is derived anew, and vacuum removes its files
        table = None
    if table is None:
        return _create(catalog, name, wanted)
    if any(table.properties.get(key) != value for key, value in wanted.items()):
        with table.transaction() as change:
            change.set_properties(wanted)
    _add_columns(table, name)
    return table


def _add_columns(table: Table, name: str) -> None:
    """Bring a table of an earlier version up to the registry; the rows it holds are null in what is new."""
    import pyarrow as pa

    known = set(table.schema().column_names)
    lacking = [field.with_nullable(True) for field in arrow_schema(name) if field.name not in known]
    if lacking:
        with table.update_schema() as change:
            change.union_by_name(pa.schema(lacking))


def _create(catalog: Catalog, name: str, properties: dict[str, str]) -> Table:
    from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError

    identifier = (namespace_of(catalog), name)
    creation = catalog.create_table_transaction(identifier, schema=arrow_schema(name), properties=properties)
    try:
        with creation:
            if name not in UNPARTITIONED_TABLES:
                with creation.update_spec() as spec:
                    spec.add_identity("event_date")
    except (CommitFailedException, TableAlreadyExistsError):
        pass  # another process made it first
    return catalog.load_table(identifier)
