"""`vacuum`: what no table knows, and what is too old to keep.

Files are listed before the metadata is read, so one that is committed in between is known; one that is younger than the
grace may belong to a run under way, and stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from tollmeter.etl.discover import RawObject
from tollmeter.etl.folding import expect_cuts
from tollmeter.etl.lake import existing_tables
from tollmeter.etl.ledger import Ledger
from tollmeter.etl.maintenance.lock import maintenance_lock
from tollmeter.etl.maintenance.reach import Listed, delete_paths, list_files, needed_paths
from tollmeter.etl.maintenance.retention import cutoffs, drop_days, older_files
from tollmeter.etl.raw_places import RawPlace, raw_places
from tollmeter.model.events import utc_now
from tollmeter.model.names import TABLE_LEDGER
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home


@dataclass(slots=True)
class Vacuumed:
    """What was, or would be, removed from one table: orphans, and rows of days past its retention."""

    table: str
    orphans: int
    orphan_bytes: int
    dropped_rows: int = 0


@dataclass(slots=True)
class VacuumReport:
    """All tables, and the raw objects past their retention."""

    tables: list[Vacuumed] = field(default_factory=list)
    raw_objects: int = 0
    raw_bytes: int = 0
    dry_run: bool = False
    seconds: float = 0.0


def vacuum(home: Home, *, dry_run: bool = False, settings: Settings | None = None) -> VacuumReport:
    """Delete orphans older than the grace, drop days and raw objects past their retention.

    Orphans are files below a table's location that no snapshot, branch, tag or logged metadata leads to: what killed
    and overtaken runs leave. Dropped rows stay in older snapshots until those expire. Raw objects go only if they are
    in the ledger, wherever it knows objects from.

    Raises:
        SettingError: a retention names a table that has no days.
        LockedError: another maintenance job is under way on this home.
        ConflictError: other writers were faster at every attempt; running again helps.
        MissingExtraError: the `etl` extra is not installed.
    """
    started, chosen = monotonic(), settings or Settings.load()
    firsts, tables = cutoffs(chosen), existing_tables(home)
    report = VacuumReport(dry_run=dry_run)
    if dry_run:
        for name, table in tables.items():
            dropped = sum(file.record_count for file in older_files(table, firsts[name])) if name in firsts else 0
            report.tables.append(_found(name, orphans(table, chosen.vacuum_grace_s), dropped))
        for _, doomed in old_raw(home, tables, chosen):
            _count_raw(report, doomed)
    elif tables:
        with maintenance_lock(home):
            for name, table in tables.items():
                dropped = drop_days(table, firsts[name]) if name in firsts else 0
                report.tables.append(_remove(name, table, chosen.vacuum_grace_s, dropped))
            for place, doomed in old_raw(home, tables, chosen):
                _delete_raw(tables[TABLE_LEDGER], place, doomed)
                _count_raw(report, doomed)
    report.seconds = monotonic() - started
    return report


def orphans(table: Table, grace_s: float) -> list[Listed]:
    """The files below a table's location that it does not need, last changed longer ago than the grace."""
    before = time.time() - grace_s
    listed = [file for file in list_files(table) if file.modified < before]
    table.refresh()
    needed = needed_paths(table)
    return [file for file in listed if file.path not in needed]


def old_raw(home: Home, tables: dict[str, Table], settings: Settings) -> Iterator[tuple[RawPlace, list[RawObject]]]:
    """Raw objects that are in the ledger and past their retention, by the place where they lie."""
    if not settings.raw_retention_days or TABLE_LEDGER not in tables:
        return
    before, ledger = utc_now() - timedelta(days=settings.raw_retention_days), Ledger(tables[TABLE_LEDGER])
    for place in raw_places(home, settings, ledger):
        found = place.objects()
        pending = {each.key for each in ledger.pending(found)}
        aged = (each for each in found if place.uploaded(each) < before)
        yield place, [each for each in aged if each.key not in pending or place.is_past(each, ledger)]


def _delete_raw(ledger: Table, place: RawPlace, doomed: list[RawObject]) -> None:
    expect_cuts(ledger, place.objects(), rewritten=(), deleted={each.key for each in doomed})
    for each in doomed:
        place.delete(each.key)


def _remove(name: str, table: Table, grace_s: float, dropped: int) -> Vacuumed:
    found = orphans(table, grace_s)
    delete_paths(table, [file.path for file in found])
    return _found(name, found, dropped)


def _found(name: str, found: list[Listed], dropped: int) -> Vacuumed:
    return Vacuumed(name, len(found), sum(file.size for file in found), dropped)


def _count_raw(report: VacuumReport, found: list[RawObject]) -> None:
    report.raw_objects += len(found)
    report.raw_bytes += sum(one.size for one in found)
