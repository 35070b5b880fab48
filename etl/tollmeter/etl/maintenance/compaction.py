"""`compact`: small data files into large ones, sorted, a partition at a time.

Each group is one commit that takes out just the files it read and puts in what it wrote, so what a run appends
meanwhile stays; after a kill there are files that no table knows, which `vacuum` removes, and a second one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from tollmeter.etl.commit import ATTEMPTS
from tollmeter.etl.datafiles import (
    BATCH_ROWS,
    check_same,
    checksum,
    create_view,
    discard,
    exchange,
    plan_files,
    write_files,
)
from tollmeter.etl.lake import connect, existing_tables
from tollmeter.etl.maintenance.layout import sort_keys
from tollmeter.etl.maintenance.lock import maintenance_lock
from tollmeter.model.errors import InvariantError, SettingError
from tollmeter.model.events import utc_now
from tollmeter.model.settings import Settings
from tollmeter.sql.lake_views import quoted

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

MAINTENANCE_PROPERTY: Final = "tollmeter.maintenance"
COMPACTION: Final = "compact-"
RETENTION: Final = "retention-"
SETTLED_AFTER: Final = timedelta(days=2)
"""A partition this old is seldom appended to, so its small files are compacted once and for all."""

_GROUP_TARGETS: Final = 16
"""Files that one commit writes at most: a group is cut at as many times the target size."""

_BYTES_A_THREAD: Final = 512 << 20
"""Memory that each thread of a sort of rows as wide as these must have; with less it fails and does not spill."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one partition that are worth writing anew as one; `bytes` as they are stored."""

    table: str
    day: date | None
    files: list[DataFile]

    @property
    def name(self) -> str:
        """The table, and the day where it has days."""
        return f"{self.table} {self.day or ''}".strip()

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(file.file_size_in_bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Their rows."""
        return sum(file.record_count for file in self.files)


@dataclass(slots=True)
class Compacted:
    """What became, or would become, of one partition."""

    table: str
    day: date | None
    rows: int
    files_before: int
    bytes_before: int
    files_after: int
    bytes_after: int = 0
    outcome: str = "planned"


@dataclass(slots=True)
class CompactReport:
    """The partitions that were, or would be, compacted."""

    groups: list[Compacted] = field(default_factory=list)
    dry_run: bool = False
    seconds: float = 0.0

    @property
    def left(self) -> int:
        """Partitions left as they were because another writer replaced their files at the same time."""
        return sum(group.outcome == "conflict" for group in self.groups)


def compact(
    home: Home,
    *,
    tables: Iterable[str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> CompactReport:
    """Rewrite the small files of each partition where that pays; rows stay the same, counted and checksummed.

    Args:
        home: the home; a dry run changes nothing in it.
        tables: names of tables; None means all.
        dry_run: report what would be done.
        progress: told how many of how many groups are done.
        settings: target sizes and memory.

    Raises:
        LockedError: another maintenance job is under way on this home.
        InvariantError: what was written is not what was read; it was discarded, and nothing of it committed.
        SettingError: the rows of a day do not fit in `maintenance_memory_bytes`; nothing of it is committed.
        MissingExtraError: the `etl` extra is not installed.
    """
    started, chosen = monotonic(), settings or Settings.load()
    report = CompactReport(dry_run=dry_run)
    found = existing_tables(home)
    wanted = {name: table for name, table in found.items() if tables is None or name in set(tables)}
    groups = [(wanted[group.table], group) for group in plan_groups(wanted, chosen)]
    if dry_run:
        report.groups = [_planned(group, chosen) for _, group in groups]
    elif groups:
        with maintenance_lock(home):
            for done, (table, group) in enumerate(groups, start=1):
                report.groups.append(_compact(home, table, group, chosen))
                if progress:
                    progress(done, len(groups))
    report.seconds = monotonic() - started
    return report


def plan_groups(tables: dict[str, Table], settings: Settings) -> Iterator[Group]:
    """The groups of files that are worth compacting, by table and day."""
    settled = utc_now().date() - SETTLED_AFTER
    for name, table in tables.items():
        by_day: dict[date | None, list[DataFile]] = {}
        for file in plan_files(table):
            by_day.setdefault(day_of(file), []).append(file)
        for day, files in sorted(by_day.items(), key=lambda item: item[0] or date.min):
            chosen = worth_compacting(files, settings, settled=day is not None and day < settled)
            for group in _bounded(chosen, settings.compact_target_bytes * _GROUP_TARGETS):
                yield Group(name, day, group)


def day_of(file: DataFile) -> date | None:
    """The day of a file's partition; None in a table without partitions."""
    from pyiceberg.utils.datetime import days_to_date

    return days_to_date(file.partition[0]) if len(file.partition) else None


def worth_compacting(files: Iterable[DataFile], settings: Settings, *, settled: bool) -> list[DataFile]:
    """The small files of a partition, smallest first, if writing them anew pays.

    In a partition in use a file that is larger than all smaller ones together is left: it would be copied again and
    again for little. So each row is written anew only as often as the size of its file doubles.
    """
    small = sorted(
        (file for file in files if file.file_size_in_bytes < settings.compact_small_bytes),
        key=lambda file: file.file_size_in_bytes,
    )
    if not settled:
        while len(small) > 1 and small[-1].file_size_in_bytes > sum(file.file_size_in_bytes for file in small[:-1]):
            small.pop()
    return small if len(small) >= (2 if settled else max(2, settings.compact_min_files)) else []


def _bounded(files: list[DataFile], most: int) -> Iterator[list[DataFile]]:
    group, size = list["DataFile"](), 0
    for file in files:
        if len(group) > 1 and size + file.file_size_in_bytes > most:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.file_size_in_bytes
    if len(group) > 1:
        yield group


def _files_after(group: Group, settings: Settings) -> int:
    return max(1, round(group.bytes / settings.compact_target_bytes))


def _planned(group: Group, settings: Settings) -> Compacted:
    after = _files_after(group, settings)
    return Compacted(group.table, group.day, group.rows, len(group.files), group.bytes, after, group.bytes)


def _compact(home: Home, table: Table, group: Group, settings: Settings) -> Compacted:
    done = _planned(group, settings)
    new = _write(home, table, group, done.files_after, settings)
    done.files_after, done.bytes_after = len(new), sum(file.file_size_in_bytes for file in new)
    done.outcome = "compacted" if _commit(table, group.files, new) else "conflict"
    return done


def _write(home: Home, table: Table, group: Group, files: int, settings: Settings) -> list[DataFile]:
    """The sorted files, read back and compared with what they are made of."""
    import duckdb

    new: list[DataFile] = []
    try:
        with connect(home) as connection:
            _limit(connection, settings)
            _sort(connection, table, group, files, new)
    except duckdb.OutOfMemoryException as error:
        discard(table, new)
        raise _too_little(group, settings) from error
    except InvariantError:
        discard(table, new)
        raise
    return new


def _limit(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    threads = max(1, settings.maintenance_memory_bytes // _BYTES_A_THREAD)
    connection.execute(f"SET memory_limit = '{settings.maintenance_memory_bytes >> 20}MiB'")
    connection.execute(f"SET threads = {threads}")


def _sort(connection: duckdb.DuckDBPyConnection, table: Table, group: Group, files: int, new: list[DataFile]) -> None:
    """Write the files and add them to those that are new, one by one."""
    names, order = table.schema().column_names, ", ".join(map(quoted, sort_keys(table)))
    create_view(connection, "before", table, group.files)
    query = f"FROM before{' ORDER BY ' + order if order else ''}"
    rows = connection.sql(query).to_arrow_reader(BATCH_ROWS)
    new.extend(write_files(table, group.files[0].partition, rows, -(-group.rows // files)))
    create_view(connection, "after", table, new)
    before, after = (checksum(connection, view, names) for view in ("before", "after"))
    check_same(group.name, before, after)


def _too_little(group: Group, settings: Settings) -> SettingError:
    given = f"{settings.maintenance_memory_bytes >> 20}M"
    allowed = f"{_BYTES_A_THREAD >> 20}M or more: {group.rows:,} rows of {group.name} could not be sorted with that"
    return SettingError("maintenance_memory_bytes", given, allowed)


def _commit(table: Table, old: list[DataFile], new: list[DataFile]) -> bool:
    """Exchange the files; False, and the new ones deleted, where another writer has replaced an old one."""
    from pyiceberg.exceptions import CommitFailedException, ValidationException

    mark = {MAINTENANCE_PROPERTY: f"{COMPACTION}{uuid4()}"}
    for _ in range(ATTEMPTS):
        try:
            exchange(table, old, new, mark)
        except (CommitFailedException, ValidationException) as error:
            table.refresh()
            if marked(table, mark):  # it was committed, and the answer was lost
                return True
            if isinstance(error, ValidationException):
                break
        else:
            return True
    discard(table, new)
    return False


def marked(table: Table, mark: dict[str, str]) -> bool:
    """Whether a snapshot has these properties."""
    return any(
        mark.items() <= snapshot.summary.additional_properties.items()
        for snapshot in table.metadata.snapshots
        if snapshot.summary
    )
