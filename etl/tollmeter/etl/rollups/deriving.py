"""Bring the rollups up to their rows: what changed is aggregated again, checked, and replaced in one commit a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from tollmeter.etl.commit import until_committed
from tollmeter.etl.datafiles import BATCH_ROWS, discard, partition_of, plan_files, write_files
from tollmeter.etl.lake import connect, local_path
from tollmeter.etl.maintenance.retention import first_whole_day
from tollmeter.etl.rollups import totals
from tollmeter.etl.rollups.changes import Span, Touched, day_of, is_current, progress, touched, whole
from tollmeter.etl.rollups.definitions import Rollup, rollups
from tollmeter.etl.rollups.queries import MACROS
from tollmeter.etl.rollups.report import RollupReport
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.derived import ROLLUP_ORDER
from tollmeter.model.settings import Settings
from tollmeter.sql.lake_views import quoted, rows_of, view_of

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

MEMORY: Final = "768MB"
"""What DuckDB may hold; the rest of a large day goes below the home's `state/`."""

STEP_ROWS: Final = 4_000_000
"""Days are aggregated together as long as they hold no more events than this."""

HOURS_PAY_ROWS: Final = 200_000
"""From so many events on, hours of a day are aggregated apart from the rest of it."""

FILE_ROWS: Final = 4_000_000
"""Rows of one file that is written; memory holds a row group of it."""

_CHOSEN: Final = "chosen"
_ROLLED: Final = "rolled"
_READ_BACK: Final = "read_back"


def derive(home: Home, tables: Mapping[str, Table], settings: Settings) -> RollupReport:
    """Replace what the rollups say of changed days by what their rows say now; running twice changes nothing.

    Every figure of those days, read back from the files that were written, must equal that of the rows before it is
    committed. Days of the daily rollups are those of the setting `timezone`; where that, or what a rollup is, has
    changed since, all days are derived again, but for those whose rows are too old to be kept. Two runs at once lose
    nothing: the one that comes second begins anew.

    Raises:
        InvariantError: a rollup does not add up to its rows; that table is not committed.
        ConflictError: other writers were faster at every attempt.
    """
    started, report = monotonic(), RollupReport()
    for rollup in rollups(settings.timezone):
        first = first_whole_day(settings, rollup.sources)
        until_committed(tables[rollup.table], _Derivation(home, tables, rollup, report, first))
    report.seconds = monotonic() - started
    return report


@dataclass(slots=True)
class _Derivation:
    """One rollup's table being derived; calling it makes one attempt."""

    home: Home
    tables: Mapping[str, Table]
    rollup: Rollup
    report: RollupReport
    first: date
    events: dict[str, dict[date, list[DataFile]]] = field(default_factory=dict)

    def __call__(self) -> None:
        table, sources = self.tables[self.rollup.table], {name: self.tables[name] for name in self.rollup.sources}
        # The rollup first, then its rows: so no version of it is replaced by what older rows say.
        for each in (table, *sources.values()):
            each.refresh()
        if is_current(table, sources, self.rollup.definition):
            return
        found = touched(table, sources, self.rollup.definition)
        changed = {day: span for day, span in found.items() if day >= self.first}
        self.events = {name: _files_of(source, changed) for name, source in sources.items()}
        old, new = _files_of(table, changed), list[Any]()
        try:
            checked = self._derive(changed, old, new)
            replaced = [file for files in old.values() for file in files]
            _exchange(table, replaced, new, progress(sources, self.rollup.definition))
        except Exception:
            discard(table, new)
            raise
        if changed:
            self.report.add(self.rollup.table, len(changed), sum(file.record_count for file in new), checked)

    def _derive(self, changed: Touched, old: Mapping[date, list[DataFile]], new: list[DataFile]) -> totals.Figures:
        checked: totals.Figures = {}
        for days in self._steps(changed):
            checked |= self._derive_step(days, [file for day in days for file in old.get(day, ())], new)
        return checked

    def _steps(self, changed: Touched) -> Iterator[Touched]:
        """Days together up to a number of events; alone where only some hours of them are read."""
        step: Touched = {}
        size = 0
        for day, span in changed.items():
            rows = sum(file.record_count for files in self.events.values() for file in files.get(day, ()))
            if rows >= HOURS_PAY_ROWS and self.rollup.period and span != whole(day):
                yield {day: span}
                continue
            if step and size + rows > STEP_ROWS:
                yield step
                step, size = {}, 0
            step[day] = whole(day)
            size += rows
        if step:
            yield step

    def _derive_step(self, days: Touched, old: list[DataFile], new: list[DataFile]) -> totals.Figures:
        """Write files of some days, and check them; hours apart from their day are not taken where they do not fit."""
        spans = [span for day, span in days.items() if span != whole(day)]
        with connect(self.home) as connection:
            self._open(connection, days, old)
            expected = totals.of_rows(connection, self.rollup.totals)
            if spans:
                self._aggregate(connection, spans[0])
                if totals.of_rollup(connection, _ROLLED, self.rollup.totals) != expected:
                    spans = []
            if not spans:
                self._aggregate(connection, None)
            found = self._write(connection, days, new)
        totals.check(self.rollup.table, expected, found)
        return found

    def _open(self, connection: duckdb.DuckDBPyConnection, days: Touched, old: list[DataFile]) -> None:
        """Views of the days' events, and of what the rollup says of them."""
        connection.execute(f"SET memory_limit = '{MEMORY}'; {MACROS} CREATE SCHEMA {_CHOSEN}")
        for name in self.rollup.sources:
            files = [file for day in days for file in self.events[name].get(day, ())]
            connection.execute(view_of(name, self.tables[name], _paths(files)))
        connection.execute(view_of(self.rollup.table, self.tables[self.rollup.table], _paths(old)))

    def _aggregate(self, connection: duckdb.DuckDBPyConnection, span: Span | None) -> None:
        """The rows: of some hours derived anew and of the others as they were, or all derived."""
        rollup = self.rollup
        for name in rollup.sources:
            chosen = f"FROM main.{name}{_within('timestamp', span)}"
            connection.execute(f"CREATE OR REPLACE VIEW {_CHOSEN}.{name} AS {chosen}")
        names = ", ".join(map(quoted, arrow_schema(rollup.table).names))
        query = f"SELECT {names} FROM ({rollup.query})"  # noqa: S608 - names are the registry's, quoted
        if span:
            others = f"NOT ({_between(rollup.period, span)})"
            query += f" UNION ALL SELECT {names} FROM main.{rollup.table} WHERE {others}"  # noqa: S608
        connection.execute(f"SET search_path = '{_CHOSEN},main'")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_ROLLED} AS {query}")
        connection.execute("SET search_path = 'main'")

    def _write(self, connection: duckdb.DuckDBPyConnection, days: Touched, new: list[DataFile]) -> totals.Figures:
        """Files of the rows, day by day; their figures as read back."""
        rollup, table, written = self.rollup, self.tables[self.rollup.table], list[Any]()
        order = ", ".join(map(quoted, ROLLUP_ORDER[rollup.table]))
        for day in days:
            query = f"FROM {_ROLLED} WHERE event_date = DATE '{day}' ORDER BY {order}"
            rows = connection.sql(query).to_arrow_reader(BATCH_ROWS)
            for file in write_files(table, partition_of(day), rows, FILE_ROWS):
                written.append(file)
                new.append(file)
        if not written:
            return {}
        chosen = rows_of(table, _paths(written), arrow_schema(rollup.table))
        connection.execute(f"CREATE VIEW {_READ_BACK} AS {chosen}")
        return totals.of_rollup(connection, _READ_BACK, rollup.totals)


def _within(column: str, span: Span | None) -> str:
    return f" WHERE {_between(column, span)}" if span else ""


def _between(column: str, span: Span) -> str:
    start, stop = span
    return f"{quoted(column)} >= TIMESTAMP '{start}' AND {quoted(column)} < TIMESTAMP '{stop}'"


def _files_of(table: Table, days: Touched) -> dict[date, list[DataFile]]:
    """The data files of some days; all are planned at once."""
    found: dict[date, list[DataFile]] = {}
    listed = ", ".join(f"'{day}'" for day in days)
    for file in plan_files(table, f"event_date IN ({listed})") if days else ():
        found.setdefault(day_of(file), []).append(file)
    return found


def _paths(files: list[DataFile]) -> list[str]:
    return [local_path(file.file_path) for file in files]


def _exchange(table: Table, old: list[DataFile], new: list[DataFile], properties: dict[str, str]) -> None:
    """One commit: files for files, and up to where the rows have been read."""
    with table.transaction() as change:
        if old or new:
            with change.update_snapshot().overwrite() as snapshot:
                for file in old:
                    snapshot.delete_data_file(file)
                for file in new:
                    snapshot.append_data_file(file)
        change.set_properties(properties)
