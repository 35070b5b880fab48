"""What maintenance would find to do, table by table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tollmeter.etl.datafiles import plan_files
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.maintenance.compaction import day_of, plan_groups
from tollmeter.etl.maintenance.expiry import Keep, ended_batches, expirable
from tollmeter.etl.maintenance.retention import cutoffs, older_files
from tollmeter.etl.maintenance.vacuuming import orphans
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One table: its small files, and what `compact`, `expire` and `vacuum` would do; first day there are rows of."""

    table: str
    files: int
    small_files: int
    compactable_files: int
    compactable_bytes: int
    expirable_snapshots: int
    orphans: int
    orphan_bytes: int
    droppable_rows: int
    oldest: date | None


def upkeep(home: Home, settings: Settings | None = None) -> dict[str, Upkeep]:
    """What there is to do in a lake, by table; reads only, and lists every file of the lake.

    Raises:
        SettingError: a retention names a table that has no days.
        MissingExtraError: the `etl` extra is not installed.
    """
    chosen, tables = settings or Settings.load(), existing_tables(home)
    ended = ended_batches(tables)
    return {name: _of(name, table, chosen, ended) for name, table in tables.items()}


def _of(name: str, table: Table, settings: Settings, ended: set[str]) -> Upkeep:
    files, first = plan_files(table), cutoffs(settings).get(name)
    groups = list(plan_groups({name: table}, settings))
    found = orphans(table, settings.vacuum_grace_s)
    return Upkeep(
        table=name,
        files=len(files),
        small_files=sum(file.file_size_in_bytes < settings.compact_small_bytes for file in files),
        compactable_files=sum(len(group.files) for group in groups),
        compactable_bytes=sum(group.bytes for group in groups),
        expirable_snapshots=len(expirable(table.metadata, Keep.of(settings), ended)),
        orphans=len(found),
        orphan_bytes=sum(file.size for file in found),
        droppable_rows=sum(file.record_count for file in older_files(table, first)) if first else 0,
        oldest=min((day for file in files if (day := day_of(file))), default=None),
    )
