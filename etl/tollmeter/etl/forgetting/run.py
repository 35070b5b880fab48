"""`forget`: tombstone, rows, rollups, raw objects, old snapshots, and the proof, in that order.

Each step is done again by a second run, so one that was killed is finished by running it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from time import monotonic
from typing import TYPE_CHECKING, Any

from tollmeter.etl.commit import until_committed
from tollmeter.etl.folding import expect_cuts
from tollmeter.etl.forgetting.proof import Found, search
from tollmeter.etl.forgetting.raw import RawCut, cut_raw, raw_cuts
from tollmeter.etl.forgetting.rows import Cutter
from tollmeter.etl.forgetting.subject import Subject
from tollmeter.etl.lake import existing_tables, open_tables
from tollmeter.etl.ledger import Ledger
from tollmeter.etl.lock import etl_lock
from tollmeter.etl.maintenance.expiry import NOTHING, ended_batches, expire_table
from tollmeter.etl.maintenance.lock import maintenance_lock
from tollmeter.etl.maintenance.reach import delete_paths
from tollmeter.etl.maintenance.vacuuming import orphans
from tollmeter.etl.opening import Opener
from tollmeter.etl.plan import Memory
from tollmeter.etl.raw_places import RawPlace, raw_places
from tollmeter.etl.rollups import derive
from tollmeter.etl.tombstones import bury
from tollmeter.model.errors import DataError
from tollmeter.model.names import (
    TABLE_EVALUATIONS,
    TABLE_LEDGER,
    TABLE_LLM_CALLS,
    TABLE_QUARANTINE,
    TABLE_REQUESTS,
    TABLE_TOMBSTONES,
)
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.etl.discover import RawObject
    from tollmeter.model.home import Home

Progress = Callable[[int, int], None]

# What hangs on rows of another table is cut before them.
_ORDER = (TABLE_EVALUATIONS, TABLE_LLM_CALLS, TABLE_REQUESTS, TABLE_QUARANTINE)
_SOURCES = (TABLE_REQUESTS, TABLE_LLM_CALLS)


@dataclass(slots=True)
class ForgetReport:
    """What was, or would be, deleted, and the proof: files and bytes searched, and where the id was found."""

    kind: str
    rows: dict[str, int] = field(default_factory=dict)
    raw_objects: int = 0
    raw_lines: int = 0
    days: list[date] = field(default_factory=list)
    snapshots: int = 0
    deleted_files: int = 0
    unreadable_objects: list[str] = field(default_factory=list)
    searched_files: int = 0
    searched_bytes: int = 0
    found: list[Found] = field(default_factory=list)
    dry_run: bool = False
    seconds: float = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the id was found nowhere."""
        return not self.found


def forget(
    home: Home,
    subject: Subject,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> ForgetReport:
    """Delete the rows and raw lines of one user or tenant, and all that leads to them; then look for the id.

    Raw objects are those of the home's folder, below `raw_url`, and wherever else the ledger knows objects from.

    Gone are: rows with the id, calls of their requests and evaluations of their calls that carry none, quarantined
    lines and raw lines that say they are theirs. Rollups of the days touched are derived anew. All snapshots but the
    current one and what branches and tags point at are expired, and their files deleted. A keyed hash of the id
    stays, by which later runs drop what still comes in.

    Args:
        home: the home; a dry run counts, searches nothing and changes nothing.
        subject: who.
        dry_run: report what would be deleted.
        progress: told how many of how many tables and raw objects are done.
        settings: of retention, codec and grace, and where raw objects are.

    Raises:
        LockedError: a run or a maintenance job is under way on this home.
        DataError: a run was killed and its batch is unfinished; run `tollmeter etl run` first.
        InvariantError: other rows than theirs would have changed; that table is not committed.
        ConflictError: other writers were faster at every attempt; running again helps.
        MissingExtraError: the `etl` extra is not installed.
    """
    started, chosen = monotonic(), settings or Settings.load()
    report = ForgetReport(subject.kind, dry_run=dry_run)
    if dry_run:
        _count(home, existing_tables(home), subject, report, chosen)
    else:
        with etl_lock(home), maintenance_lock(home):
            _Forgetting(home, subject, chosen, report, progress or (lambda _done, _total: None)).carry_out()
    report.seconds = monotonic() - started
    return report


def _count(home: Home, tables: dict[str, Table], subject: Subject, report: ForgetReport, settings: Settings) -> None:
    cutter, days = Cutter(home, tables, subject), set[date]()
    for name in _in_order(tables):
        cuts = cutter.cuts(name)
        if rows := sum(cut.rows for cut in cuts):
            report.rows[name] = rows
        if name in _SOURCES:
            days |= {cut.day for cut in cuts if cut.day}
    for place in raw_places(home, settings, Ledger(tables.get(TABLE_LEDGER))):
        for cut in raw_cuts(place.objects(), Opener(home), subject):
            _add(report, cut)
    report.days = sorted(days)


def _add(report: ForgetReport, cut: RawCut) -> None:
    if cut.broken:
        report.unreadable_objects.append(cut.key)
    if cut.lines:
        report.raw_objects += 1
        report.raw_lines += cut.lines


def _in_order(tables: dict[str, Table]) -> list[str]:
    return [name for name in (*_ORDER, *(name for name in tables if name not in _ORDER)) if name in tables]


@dataclass(slots=True)
class _Forgetting:
    home: Home
    subject: Subject
    settings: Settings
    report: ForgetReport
    progress: Progress

    def carry_out(self) -> None:
        if Memory(self.home).unfinished():
            raise DataError("a killed run left a batch unfinished; run `tollmeter etl run` first, then forget again")
        tables = open_tables(self.home, self.settings.parquet_codec)
        grave = tables[TABLE_TOMBSTONES]
        until_committed(grave, lambda: bury(grave, self.subject.kind, self.subject.value))
        self._cut_rows(tables)
        for name in _SOURCES:
            _drop_tombs(tables[name])  # before the rollups note what they have read, for older snapshots go
        derive(self.home, tables, self.settings)
        self._cut_raw(tables)
        for scratch in ("tmp", "reprice"):
            shutil.rmtree(self.home.state / "etl" / scratch, ignore_errors=True)
        self._delete_history(tables)
        proof = search(self.home, tables, self.subject, self._raw_places(tables))
        self.report.searched_files, self.report.searched_bytes, self.report.found = proof

    def _cut_rows(self, tables: dict[str, Table]) -> None:
        cutter, days, names = Cutter(self.home, tables, self.subject), set[date](), _in_order(tables)
        for done, name in enumerate(names, start=1):
            cuts = cutter.cut(name)
            if rows := sum(cut.rows for cut in cuts):
                self.report.rows[name] = rows
            if name in _SOURCES:
                days |= {cut.day for cut in cuts if cut.day}
            self.progress(done, len(names))
        self.report.days = sorted(days)

    def _raw_places(self, tables: dict[str, Table]) -> list[RawPlace]:
        return raw_places(self.home, self.settings, Ledger(tables[TABLE_LEDGER]))

    def _cut_raw(self, tables: dict[str, Table]) -> None:
        opener = Opener(self.home)
        for place in self._raw_places(tables):
            found = place.objects()
            cuts = list(raw_cuts(self._told(found), opener, self.subject))
            ours = [cut for cut in cuts if cut.lines]
            expect_cuts(
                tables[TABLE_LEDGER],
                found,
                rewritten={cut.key for cut in ours if not cut.is_all},
                deleted={cut.key for cut in ours if cut.is_all},
            )
            for cut in cuts:
                _add(self.report, cut)
            for cut in ours:
                cut_raw(cut, place, opener, self.subject)

    def _told(self, found: list[RawObject]) -> Iterator[RawObject]:
        for done, each in enumerate(found, start=1):
            yield each
            self.progress(done, len(found))

    def _delete_history(self, tables: dict[str, Table]) -> None:
        """Every snapshot but those that are pointed at; in a lake of one machine orphans of any age too."""
        ended = ended_batches(tables)
        for name, table in tables.items():
            _drop_tombs(table)
            expired = expire_table(name, table, NOTHING, ended)
            alone = not self.home.place.url  # here nobody else writes while the lock of the runs is held
            left = orphans(table, 0.0 if alone else self.settings.vacuum_grace_s)
            self.report.snapshots += expired.snapshots
            self.report.deleted_files += expired.files + delete_paths(table, [file.path for file in left])


def _drop_tombs(table: Table) -> None:
    """A snapshot that adds nothing: the one before lists the files it took out, with the bounds of their columns."""

    def attempt() -> Any:
        snapshot = table.current_snapshot()
        if snapshot and any(not _lives(manifest) for manifest in snapshot.manifests(table.io)):
            with table.transaction() as change, change.update_snapshot().fast_append():
                pass

    until_committed(table, attempt)


def _lives(manifest: Any) -> bool:
    return bool(manifest.has_added_files() or manifest.has_existing_files())
