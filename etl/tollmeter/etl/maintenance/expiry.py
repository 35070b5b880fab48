"""`expire`: snapshots that nobody needs any more, and then the files that only they led to.

pyiceberg's own expiry takes snapshots out of the metadata and leaves all files. A kill between the two leaves files
that no table knows, which `vacuum` removes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING

from tollmeter.etl.commit import until_committed
from tollmeter.etl.lake import BATCH_PROPERTY, existing_tables
from tollmeter.etl.maintenance.lock import maintenance_lock
from tollmeter.etl.maintenance.reach import delete_paths, paths_of_snapshots
from tollmeter.model.events import utc_now
from tollmeter.model.names import TABLE_LEDGER, TABLE_RUNS
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

    from tollmeter.model.home import Home


@dataclass(frozen=True, slots=True)
class Keep:
    """Which snapshots stay.

    Those replaced less than `min_age_s` ago; of the rest the newest `count`, 0 being no limit, if no older than
    `max_age_s`.
    """

    max_age_s: float
    min_age_s: float
    count: int

    @classmethod
    def of(cls, settings: Settings) -> Keep:
        """What the settings say."""
        return cls(settings.snapshot_max_age_s, settings.snapshot_min_age_s, settings.snapshot_max_count)


NOTHING = Keep(max_age_s=-1.0, min_age_s=-1.0, count=0)
"""Only what branches and tags point at stays."""


@dataclass(slots=True)
class Expired:
    """What was, or would be, expired of one table; `files` are deleted, none in a dry run."""

    table: str
    snapshots_before: int
    snapshots: int
    files: int = 0


@dataclass(slots=True)
class ExpireReport:
    """All tables."""

    tables: list[Expired] = field(default_factory=list)
    dry_run: bool = False
    seconds: float = 0.0


def expire(home: Home, *, dry_run: bool = False, settings: Settings | None = None) -> ExpireReport:
    """Expire snapshots of every table by age and number, and delete the files that no kept one leads to.

    What a branch or tag points at stays, and so do snapshots of a batch that has not ended: the run that finishes it
    knows by them what is committed. Age counts from the moment a snapshot was replaced.

    Raises:
        LockedError: another maintenance job is under way on this home.
        ConflictError: other writers were faster at every attempt; running again helps.
        MissingExtraError: the `etl` extra is not installed.
    """
    started, keep = monotonic(), Keep.of(settings or Settings.load())
    tables, report = existing_tables(home), ExpireReport(dry_run=dry_run)
    ended = ended_batches(tables)
    if dry_run:
        report.tables = [_planned(name, table, keep, ended) for name, table in tables.items()]
    elif tables:
        with maintenance_lock(home):
            report.tables = [expire_table(name, table, keep, ended) for name, table in tables.items()]
    report.seconds = monotonic() - started
    return report


def expire_table(name: str, table: Table, keep: Keep, ended: Collection[str]) -> Expired:
    """Expire snapshots of one table and delete their files."""
    before = len(table.metadata.snapshots)
    doomed = until_committed(table, lambda: _commit(table, keep, ended))
    if not doomed:
        return Expired(name, before, 0)
    gone = paths_of_snapshots(table, doomed, deleted=True)
    table.refresh()  # what was committed meanwhile is needed too
    gone -= paths_of_snapshots(table, table.metadata.snapshots)
    return Expired(name, before, len(doomed), delete_paths(table, gone))


def tend(tables: dict[str, Table], settings: Settings) -> list[Expired]:
    """Expire snapshots of the tables that have half as many again as they keep: what a run does as it ends.

    Without it every commit writes a longer metadata file, and becomes slower.
    """
    keep = Keep.of(settings)
    crowded = [name for name, table in tables.items() if 0 < keep.count * 3 < len(table.metadata.snapshots) * 2]
    ended = ended_batches(tables) if crowded else set()
    return [expire_table(name, tables[name], keep, ended) for name in crowded]


def ended_batches(tables: dict[str, Table]) -> set[str]:
    """Ids of the batches that no run will come back to: those in the ledger, and whose run has its row."""
    ended: set[str] = set()
    if ledger := tables.get(TABLE_LEDGER):
        ended.update(ledger.scan(selected_fields=("batch_id",)).to_arrow()["batch_id"].to_pylist())
    if runs := tables.get(TABLE_RUNS):
        rows = runs.scan(
            row_filter="component IN ('etl', 'reprice')", selected_fields=("batch_id", "component")
        ).to_arrow()
        ended.update(rows["batch_id"].to_pylist())
    return ended


def expirable(metadata: TableMetadata, keep: Keep, ended: Collection[str]) -> list[Snapshot]:
    """The snapshots of a table that may go now, oldest first."""
    now_ms = utc_now().timestamp() * 1000
    pinned = {ref.snapshot_id for ref in metadata.refs.values()}
    replaced = _replaced_at(metadata)
    by_age = sorted(metadata.snapshots, key=lambda snapshot: replaced[snapshot.snapshot_id])
    surplus = len(by_age) - keep.count if keep.count else 0
    doomed = []
    for place, snapshot in enumerate(by_age):
        age_s = (now_ms - replaced[snapshot.snapshot_id]) / 1000
        old = age_s > keep.max_age_s or place < surplus
        if old and age_s > keep.min_age_s and snapshot.snapshot_id not in pinned and not _resumable(snapshot, ended):
            doomed.append(snapshot)
    return doomed


def _replaced_at(metadata: TableMetadata) -> dict[int, float]:
    """When each snapshot ceased to be the current one, in ms; for one that never was, when it was made."""
    moments = {snapshot.snapshot_id: float(snapshot.timestamp_ms) for snapshot in metadata.snapshots}
    for entry, after in pairwise(metadata.snapshot_log):
        if entry.snapshot_id in moments:
            moments[entry.snapshot_id] = float(after.timestamp_ms)
    return moments


def _resumable(snapshot: Snapshot, ended: Collection[str]) -> bool:
    """Whether a snapshot is of a batch that has not ended; a part's id is its batch's, a dash and more."""
    found = snapshot.summary.additional_properties.get(BATCH_PROPERTY) if snapshot.summary else None
    return bool(found) and not any(head in ended for head in _heads(str(found)))


def _heads(batch_id: str) -> Iterable[str]:
    parts = batch_id.split("-")
    return ("-".join(parts[:count]) for count in range(len(parts), 0, -1))


def _planned(name: str, table: Table, keep: Keep, ended: Collection[str]) -> Expired:
    return Expired(name, len(table.metadata.snapshots), len(expirable(table.metadata, keep, ended)))


def _commit(table: Table, keep: Keep, ended: Collection[str]) -> list[Snapshot]:
    doomed = expirable(table.metadata, keep, ended)
    if doomed:
        ids = [snapshot.snapshot_id for snapshot in doomed]
        try:
            table.maintenance.expire_snapshots().by_ids(ids).commit()
        except ValueError as error:  # another job has expired one of them
            from pyiceberg.exceptions import CommitFailedException

            raise CommitFailedException(str(error)) from error
    return doomed
