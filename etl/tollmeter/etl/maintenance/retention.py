"""What is too old to keep: whole days of a table, dropped by its metadata alone, and raw objects that have landed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.datafiles import plan_files
from tollmeter.etl.lake import TABLES
from tollmeter.etl.maintenance.compaction import MAINTENANCE_PROPERTY, RETENTION
from tollmeter.model.derived import UNPARTITIONED_TABLES
from tollmeter.model.errors import SettingError
from tollmeter.model.events import utc_now

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.model.settings import Settings

RETAINABLE: Final = tuple(name for name in TABLES if name not in UNPARTITIONED_TABLES)


def cutoffs(settings: Settings) -> dict[str, date]:
    """The first day (UTC) that each table with a retention keeps.

    Raises:
        SettingError: the setting names a table that has no days.
    """
    today = utc_now().date()
    for name in settings.retention_days:
        if name not in RETAINABLE:
            raise SettingError("retention_days", name, f"one of the tables {', '.join(RETAINABLE)}")
    return {name: today - timedelta(days=int(days)) for name, days in settings.retention_days.items()}


def first_whole_day(settings: Settings, sources: Collection[str]) -> date:
    """The first day of which all sources keep their rows: what was derived of earlier ones stays as it is."""
    firsts = cutoffs(settings)
    return max((firsts[name] for name in sources if name in firsts), default=date.min)


def older_files(table: Table, first: date) -> list[DataFile]:
    """The data files of days before one."""
    return plan_files(table, f"event_date < '{first}'")


def drop_days(table: Table, first: date) -> int:
    """Take the days before one out of a table, and no file is read or written for it; returns the rows dropped.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> int:
        doomed = older_files(table, first)
        if doomed:
            with table.transaction() as change:
                mark = {MAINTENANCE_PROPERTY: f"{RETENTION}{first}"}
                with change.update_snapshot(mark).overwrite() as snapshot:
                    for file in doomed:
                        snapshot.delete_data_file(file)
        return sum(file.record_count for file in doomed)

    return until_committed(table, attempt)
