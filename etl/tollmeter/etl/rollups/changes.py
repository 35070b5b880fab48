"""Which days a derived table is behind on: each says, in its own properties, up to where it has read its sources.

So nothing has to be remembered beside the tables: whoever commits rows (a run, a reprice, a deletion, another
machine), the next derivation sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tollmeter.etl.maintenance.compaction import COMPACTION, MAINTENANCE_PROPERTY, RETENTION

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

DEFINITION: Final = "tollmeter.definition"
Span = tuple[datetime, datetime]
"""Whole hours of a day, UTC without zone; the end is exclusive."""

Touched = dict[date, Span]
"""The hours of each day whose rows changed."""

_READ_UP_TO: Final = "tollmeter.read-up-to."
_NOTHING: Final = "none"
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def touched(table: Table, sources: Mapping[str, Table], definition: str) -> Touched:
    """The hours whose rows are not those that a table was derived from; all of them where its definition is another."""
    same = table.properties.get(DEFINITION) == definition
    found: Touched = {}
    for name, source in sources.items():
        for file in _changed_files(source, table.properties.get(_READ_UP_TO + name, "") if same else ""):
            day, span = day_of(file), _hours(source, file)
            known = found.get(day, span)
            found[day] = (min(known[0], span[0]), max(known[1], span[1]))
    return {day: found[day] for day in sorted(found)}


def progress(sources: Mapping[str, Table], definition: str) -> dict[str, str]:
    """The properties that say a table was derived from its sources as they are."""
    read = {_READ_UP_TO + name: _version(source) for name, source in sources.items()}
    return {DEFINITION: definition, **read}


def is_current(table: Table, sources: Mapping[str, Table], definition: str) -> bool:
    """Whether a table was derived from its sources as they are."""
    return all(table.properties.get(name) == value for name, value in progress(sources, definition).items())


def day_of(file: DataFile) -> date:
    """The day of a file of a table partitioned by `event_date`."""
    from pyiceberg.utils.datetime import days_to_date

    return days_to_date(file.partition[0])


def whole(day: date) -> Span:
    """All hours of a day."""
    start = datetime.combine(day, datetime.min.time())
    return start, start + timedelta(days=1)


def _version(source: Table) -> str:
    snapshot = source.current_snapshot()
    return str(snapshot.snapshot_id) if snapshot else _NOTHING


def _changed_files(source: Table, since: str) -> list[DataFile]:
    """Files that came or went since a snapshot; of all time where that is no longer known."""
    changed: list[DataFile] = []
    snapshot = source.current_snapshot()
    while snapshot and str(snapshot.snapshot_id) != since:
        parent = source.snapshot_by_id(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id else None
        if parent is None and snapshot.parent_snapshot_id:
            return _difference(source, None, source.current_snapshot())
        if not _is_maintenance(snapshot):
            changed += _difference(source, parent, snapshot)
        snapshot = parent
    return changed


def _is_maintenance(snapshot: Snapshot) -> bool:
    """Whether no row came or went by it, or only such as are too old to be kept: what was derived of those stays."""
    mark = snapshot.summary.additional_properties.get(MAINTENANCE_PROPERTY, "") if snapshot.summary else ""
    return mark.startswith((COMPACTION, RETENTION))


def _difference(source: Table, then: Snapshot | None, now: Snapshot | None) -> list[DataFile]:
    """Files that only one of two snapshots has; manifests that both have are not read."""
    before, after = _manifests(source, then), _manifests(source, now)
    old = _live(source, [before[path] for path in before.keys() - after.keys()])
    new = _live(source, [after[path] for path in after.keys() - before.keys()])
    return [(old | new)[path] for path in old.keys() ^ new.keys()]


def _manifests(source: Table, snapshot: Snapshot | None) -> dict[str, ManifestFile]:
    return {found.manifest_path: found for found in snapshot.manifests(source.io)} if snapshot else {}


def _live(source: Table, manifests: list[ManifestFile]) -> dict[str, DataFile]:
    entries = (entry for found in manifests for entry in found.fetch_manifest_entry(source.io))
    return {entry.data_file.file_path: entry.data_file for entry in entries}


def _hours(source: Table, file: DataFile) -> Span:
    """The hours between the oldest and the newest row of a file, by the bounds that Iceberg keeps; else its day."""
    field = source.schema().find_field("timestamp").field_id
    oldest, newest = ((kept or {}).get(field) for kept in (file.lower_bounds, file.upper_bounds))
    if oldest is None or newest is None:
        return whole(day_of(file))
    return _hour(oldest), _hour(newest) + _HOUR


def _hour(bound: bytes) -> datetime:
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import TimestampType

    moment = _EPOCH + timedelta(microseconds=int(from_bytes(TimestampType(), bound)))
    return moment.replace(minute=0, second=0, microsecond=0)
