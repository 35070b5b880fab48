"""Rows of one user or tenant, cut out of the tables file by file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from tollmeter.etl.commit import until_committed
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
from tollmeter.etl.lake import connect
from tollmeter.etl.maintenance.compaction import MAINTENANCE_PROPERTY, day_of
from tollmeter.model.names import TABLE_EVALUATIONS, TABLE_LLM_CALLS, TABLE_REQUESTS
from tollmeter.sql.lake_views import quoted

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.etl.forgetting.subject import Subject
    from tollmeter.model.home import Home

# Rows that carry no id themselves and belong to one that does: by which column of which table.
_LINKS: Final = {
    TABLE_LLM_CALLS: ("request_id", TABLE_REQUESTS, "request_id"),
    TABLE_EVALUATIONS: ("call_id", TABLE_LLM_CALLS, "event_id"),
}
_MARK: Final = {MAINTENANCE_PROPERTY: "forget"}


@dataclass(frozen=True, slots=True)
class Cut:
    """One file with rows that go: how many, of which day."""

    file: DataFile
    rows: int

    @property
    def day(self) -> date | None:
        """The day of its partition."""
        return day_of(self.file)


class Cutter:
    """Finds and cuts the rows of a subject; `tables` are those of the lake."""

    def __init__(self, home: Home, tables: dict[str, Table], subject: Subject) -> None:
        self._home, self._tables, self._subject = home, tables, subject

    def cuts(self, name: str) -> list[Cut]:
        """The files of a table that hold rows that go."""
        with connect(self._home) as connection:
            condition = self._condition(connection, name)
            return list(self._found(connection, name, condition)) if condition else []

    def cut(self, name: str) -> list[Cut]:
        """Cut the rows out of a table in one commit; the other rows are counted and checksummed.

        Raises:
            InvariantError: what was written is not what was to stay; nothing is committed.
            ConflictError: other writers were faster at every attempt.
        """
        table = self._tables[name]

        def attempt() -> list[Cut]:
            with connect(self._home) as connection:
                condition = self._condition(connection, name)
                found = list(self._found(connection, name, condition)) if condition else []
                new: list[DataFile] = []
                try:
                    for cut in found:
                        new += _without(connection, table, cut, condition)
                    if found:
                        exchange(table, [cut.file for cut in found], new, _MARK)
                except BaseException:
                    discard(table, new)
                    raise
            return found

        return until_committed(table, attempt)

    def _found(self, connection: duckdb.DuckDBPyConnection, name: str, condition: str) -> Iterator[Cut]:
        table = self._tables[name]
        for file in plan_files(table):
            create_view(connection, "before", table, [file])
            row = connection.execute(f"SELECT count(*) FROM before WHERE {condition}").fetchone()  # noqa: S608 - quoted
            if row and row[0]:
                yield Cut(file, row[0])

    def _condition(self, connection: duckdb.DuckDBPyConnection, name: str) -> str:
        """The condition on rows of a table that go, the linked ones included."""
        table = self._tables[name]
        condition = self._subject.condition(_types(table))
        if name not in _LINKS or not plan_files(table):
            return condition
        own, source, key = _LINKS[name]
        self._collect(connection, source, key)
        kind = quoted(self._subject.kind)
        link = f"({quoted(own)} IN (FROM linked) AND coalesce({kind}, '') = '')"
        return f"({condition} OR {link})" if condition else link

    def _collect(self, connection: duckdb.DuckDBPyConnection, source: str, key: str) -> None:
        """The keys of the rows that others hang on. They are looked up before their own table is cut."""
        condition = self._condition(connection, source)
        create_view(connection, "source", self._tables[source], plan_files(self._tables[source]))
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE linked AS SELECT DISTINCT {quoted(key)} AS key FROM source"  # noqa: S608 - quoted
            f" WHERE {condition} AND coalesce({quoted(key)}, '') <> ''"
        )


def _without(connection: duckdb.DuckDBPyConnection, table: Table, cut: Cut, condition: str) -> list[DataFile]:
    if cut.rows == cut.file.record_count:
        return []
    names, stays = table.schema().column_names, f"NOT {condition}"
    create_view(connection, "before", table, [cut.file])
    rows = connection.sql(f"FROM before WHERE {stays}").to_arrow_reader(BATCH_ROWS)
    new = list(write_files(table, cut.file.partition, rows, cut.file.record_count))
    create_view(connection, "after", table, new)
    before: Any = checksum(connection, "before", names, stays)
    check_same(f"{table.name()[-1]} {cut.day or ''}".strip(), before, checksum(connection, "after", names))
    return new


def _types(table: Table) -> dict[str, str]:
    return {field.name: str(field.field_type) for field in table.schema().fields}
