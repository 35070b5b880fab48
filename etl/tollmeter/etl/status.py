"""What the lake holds, table by table, and what waits to come in."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tollmeter.etl.discover import RawObject
from tollmeter.etl.lake import connect, existing_tables, local_path, summary_count
from tollmeter.etl.runner import pending_objects
from tollmeter.model.names import EVENT_TABLES, TABLE_LEDGER

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table: rows, snapshots kept, data files and their bytes, time of the newest event (UTC)."""

    table: str
    rows: int
    snapshots: int
    files: int
    bytes: int
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """The lake of a home, and the raw objects that no run has read."""

    tables: list[TableStatus]
    pending: list[RawObject]
    last_run: datetime | None = None
    """When the last run that landed something began, UTC."""

    @property
    def pending_bytes(self) -> int:
        """Stored size of the pending objects."""
        return sum(found.size for found in self.pending)


def status(home: Home) -> LakeStatus:
    """The state of a lake; reads only, and is fine with a home that has none yet.

    Raises:
        MissingExtraError: the `etl` extra is not installed.
    """
    tables = existing_tables(home)
    rows = [_status(home, name, table) for name, table in tables.items()]
    return LakeStatus(rows, pending_objects(home), _last_run(tables.get(TABLE_LEDGER)))


def _last_run(ledger: Table | None) -> datetime | None:
    import pyarrow.compute as pc

    return pc.max(ledger.scan(selected_fields=("ingested_at",)).to_arrow()["ingested_at"]).as_py() if ledger else None


def _status(home: Home, name: str, table: Table) -> TableStatus:
    snapshot = table.current_snapshot()
    return TableStatus(
        table=name,
        rows=summary_count(snapshot, "total-records"),
        snapshots=len(table.metadata.snapshots),
        files=summary_count(snapshot, "total-data-files"),
        bytes=summary_count(snapshot, "total-files-size"),
        newest=_newest(home, table) if name in EVENT_TABLES else None,
    )


def _newest(home: Home, table: Table) -> datetime | None:
    files = [task.file for task in table.scan().plan_files()]
    if not files:
        return None
    last_day = max(file.partition[0] for file in files)
    paths = [local_path(file.file_path) for file in files if file.partition[0] == last_day]
    query = 'SELECT max("timestamp") FROM read_parquet(?, hive_partitioning = false)'
    with connect(home) as connection:
        row = connection.execute(query, [paths]).fetchone()
    return row[0] if row else None
