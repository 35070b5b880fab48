"""One batch: every part landed table by table, then the ledger rows that end it."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from tollmeter.etl.commit import land_events, land_once
from tollmeter.etl.lake import snapshots_of, summary_count
from tollmeter.etl.read import Part, read_parts
from tollmeter.etl.report import Tally
from tollmeter.etl.rows import counted, ledger_rows
from tollmeter.etl.runs import land_run
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.errors import InvariantError
from tollmeter.model.events import Run
from tollmeter.model.ids import imported_event_id
from tollmeter.model.names import (
    TABLE_EVALUATIONS,
    TABLE_LEDGER,
    TABLE_LLM_CALLS,
    TABLE_QUARANTINE,
    TABLE_REQUESTS,
    TABLE_RUNS,
    TABLE_TOMBSTONES,
)

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.etl.plan import Memory, Plan
    from tollmeter.model.home import Home

COMPONENT: Final = "etl"
_EVENTS_IN_ORDER: Final = (TABLE_EVALUATIONS, TABLE_RUNS, TABLE_REQUESTS, TABLE_LLM_CALLS)
_COUNTS: Final = ("objects", "lines", "landed", "duplicates", "quarantined", "forgotten")
_ROLLED_UP: Final = (TABLE_REQUESTS, TABLE_LLM_CALLS)


@dataclass(slots=True)
class Batch:
    """A plan being carried out; the counters are by the object's place in the plan."""

    home: Home
    tables: dict[str, Table]
    memory: Memory
    plan: Plan
    environment: str = ""
    tally: Tally = field(default_factory=Tally)
    lines: Counter[int] = field(default_factory=Counter)
    landed: Counter[int] = field(default_factory=Counter)
    duplicates: Counter[int] = field(default_factory=Counter)
    quarantined: Counter[int] = field(default_factory=Counter)
    forgotten: Counter[int] = field(default_factory=Counter)

    def carry_out(self, done: Callable[[], None]) -> Tally:
        """Read, land and account for all objects of the plan; what an earlier attempt committed is not redone.

        Raises:
            InvariantError: Iceberg counts other rows than were meant to land; the batch is left unfinished.
            ConflictError: other writers were faster at every attempt.
        """
        started = monotonic()
        tombstones = Tombstones.of(self.tables[TABLE_TOMBSTONES])
        for part in read_parts(self.plan, self.home.raw, done, tombstones):
            self._land(part)
        self.tally.objects = len(self.plan.objects)
        self._check()
        self._record_run(monotonic() - started)
        self._end()
        return self.tally

    def _land(self, part: Part) -> None:
        self.memory.touch(_days(part))
        self.lines += part.lines
        self.duplicates += part.duplicates
        self.quarantined += part.quarantined
        self.forgotten += part.forgotten
        quarantine = self.tables[TABLE_QUARANTINE]
        land_once(quarantine, part.quarantine, part.part_id)
        for name in _EVENTS_IN_ORDER:
            self._land_table(name, part)
        self.tally.lines += part.lines.total()
        self.tally.reasons += part.reasons
        self.tally.quarantined += _added(quarantine, part.part_id)

    def _land_table(self, name: str, part: Part) -> None:
        rows = part.tables[name]
        if not len(rows):
            return
        landed = counted(land_events(self.home, self.tables[name], rows, part.part_id))
        self.landed += landed
        self.duplicates += counted(rows) - landed
        self.tally.by_table[name] += _added(self.tables[name], part.part_id)

    def _check(self) -> None:
        """Iceberg's own counts on one side, the lines read on the other: neither is derived from the other."""
        self.tally.duplicates, self.tally.forgotten = self.duplicates.total(), self.forgotten.total()
        self.tally.report(0.0).check()
        for row in self._accounts():
            if row["lines"] != row["landed"] + row["duplicates"] + row["quarantined"] + row["forgotten"]:
                raise InvariantError(f"{row['object_key']}: {row}")

    def _accounts(self) -> list[dict[str, Any]]:
        return [
            {
                "object_key": planned.key,
                "sha256": planned.sha256,
                "lines": self.lines[origin],
                "landed": self.landed[origin],
                "duplicates": self.duplicates[origin],
                "quarantined": self.quarantined[origin],
                "forgotten": self.forgotten[origin],
            }
            for origin, planned in enumerate(self.plan.objects)
        ]

    def _record_run(self, seconds: float) -> None:
        """The run's own row, beside the rows it landed and not among them."""
        report = self.tally.report(seconds)
        counts = {name: getattr(report, name) for name in _COUNTS}
        event = Run(
            event_id=imported_event_id("tollmeter.etl", self.plan.batch_id),
            timestamp=self.plan.planned_at,
            service="tollmeter",
            environment=self.environment,
            component=COMPONENT,
            duration_ms=round(seconds * 1000, 3),
            counts=counts,
        )
        land_run(self.tables[TABLE_RUNS], event, self.plan.batch_id)

    def _end(self) -> None:
        rows = ledger_rows(self._accounts(), self.plan.batch_id, self.plan.planned_at)
        land_once(self.tables[TABLE_LEDGER], rows, self.plan.batch_id)
        self.memory.end()


def _days(part: Part) -> set[Any]:
    import pyarrow.compute as pc

    return {day for name in _ROLLED_UP for day in pc.unique(part.tables[name]["event_date"]).to_pylist()}


def _added(table: Table, batch_id: str) -> int:
    return sum(summary_count(snapshot, "added-records") for snapshot in snapshots_of(table, batch_id))
