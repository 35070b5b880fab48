"""Changes worked out and written down before the first commit, so that a run after a crash makes the very same ones.

Below `<home>/state/etl/reprice/` stand `plan.json` and, for each table and day, a Parquet file of `event_id` and the
new values. A folder without a plan is of a run that died before it was done reckoning: nothing has been committed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tollmeter.etl.repricing.differences import Difference
from tollmeter.etl.repricing.report import RepriceReport
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.names import TABLE_LLM_CALLS, TABLE_REQUESTS
from tollmeter.pricing.call import COST_COLUMNS, cost_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    from tollmeter.model.home import Home

COLUMNS: Final = {TABLE_REQUESTS: ("cost_usd",), TABLE_LLM_CALLS: COST_COLUMNS}
"""The columns that change, by table, in the order of the commits.

Requests come first: a commit of theirs is never without that of their calls, so sums are right as soon as seen.
"""


class Plan(msgspec.Struct, frozen=True):
    """One run: its id, when it began (UTC), and what it will report."""

    run_id: str
    planned_at: datetime
    report: RepriceReport


class Change(NamedTuple):
    """One file of changes: for which table and day."""

    table: str
    day: date
    path: Path


class Staged:
    """The changes of one run in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._plan = folder / "plan.json"

    @classmethod
    def of(cls, home: Home) -> Staged:
        """The changes that a home remembers between runs."""
        return cls(home.state / "etl" / "reprice")

    def plan(self) -> Plan | None:
        """What a run began and did not end."""
        return msgspec.json.decode(self._plan.read_bytes(), type=Plan) if self._plan.exists() else None

    def clear(self) -> None:
        """An empty folder."""
        self.forget()
        self.folder.mkdir(parents=True)

    def begin(self, plan: Plan) -> None:
        """Remember the plan: all its changes are in the folder."""
        hidden = self.folder / ".plan.new"
        hidden.write_bytes(msgspec.json.encode(plan))
        hidden.replace(self._plan)

    def forget(self) -> None:
        """Remove the plan, then its changes."""
        self._plan.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, table: str, day: date) -> Path:
        """Where the changes of a table and day stand, if there are any."""
        return self.folder / f"{table}-{day}.parquet"

    def days(self, table: str) -> list[date]:
        """The days of a table that change, in order."""
        names = (path.stem.removeprefix(f"{table}-") for path in self.folder.glob(f"{table}-*.parquet"))
        return sorted(map(date.fromisoformat, names))

    def changes(self) -> Iterator[Change]:
        """All changes in the order of their commits."""
        for table in COLUMNS:
            for day in self.days(table):
                yield Change(table, day, self.path(table, day))

    @contextmanager
    def calls_of(self, day: date) -> Iterator[CallChanges]:
        """Takes the changed calls of one day."""
        sink = CallChanges(self.path(TABLE_LLM_CALLS, day))
        try:
            yield sink
        finally:
            sink.close()


class CallChanges:
    """Writes the new costs of calls, a few thousand at a time; no change makes no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: ParquetWriter | None = None

    def write(self, found: list[Difference]) -> None:
        """Add some calls."""
        if not found:
            return
        from pyarrow.parquet import ParquetWriter

        rows = _call_rows(found)
        self._writer = self._writer or ParquetWriter(self._path, rows.schema)
        self._writer.write_table(rows)

    def close(self) -> None:
        """End the file."""
        if self._writer:
            self._writer.close()


def _call_rows(found: list[Difference]) -> pa.Table:
    import pyarrow as pa

    known = arrow_schema(TABLE_LLM_CALLS)
    schema = pa.schema([known.field(name) for name in ("event_id", *COST_COLUMNS)])
    rows: list[dict[str, Any]] = [{"event_id": one.event_id, **cost_columns(one.new)} for one in found]
    return pa.Table.from_pylist(rows, schema=schema)
