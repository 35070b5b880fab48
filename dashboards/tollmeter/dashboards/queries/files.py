"""How the lake's tables are stored, from their catalog alone: no data file is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.dashboards.queries.health import TableFiles
from tollmeter.model.names import EVENT_TABLES, TABLE_QUARANTINE

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home


def table_files(home: Home) -> tuple[TableFiles, ...]:
    """The tables of events and of quarantine: rows, files, bytes, days they span, snapshots kept."""
    from tollmeter.sql.catalog import find_table, open_catalog

    catalog = open_catalog(home)
    try:
        found = ((name, find_table(catalog, name)) for name in (*EVENT_TABLES, TABLE_QUARANTINE))
        return tuple(_files(name, table) for name, table in found if table is not None)
    finally:
        catalog.close()


def _files(name: str, table: Table) -> TableFiles:
    snapshot = table.current_snapshot()
    told = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}

    def total(what: str) -> int:
        return int(told.get(f"total-{what}", 0))

    kept = len(table.metadata.snapshots)
    return TableFiles(name, total("records"), total("data-files"), total("files-size"), _days(table), kept)


def _days(table: Table) -> int:
    """How many days the partitions span: the bounds stand in the list of manifests, days since 1970 in four bytes."""
    snapshot = table.current_snapshot()
    bounds = [
        int.from_bytes(edge, "little", signed=True)
        for manifest in (snapshot.manifests(table.io) if snapshot else [])
        for part in manifest.partitions or []
        for edge in (part.lower_bound, part.upper_bound)
        if edge
    ]
    return max(bounds) - min(bounds) + 1 if bounds else 0
