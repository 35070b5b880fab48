"""One batch: every part landed table by table, then the ledger rows that end it."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from tollmeter.etl.commit import land_faults
from tollmeter.etl.dedupe import rows_of_batch
from tollmeter.etl.judge import Judging
from tollmeter.etl.lake import snapshots_of, summary_count
from tollmeter.etl.landing import EVENTS_IN_ORDER, Landing
from tollmeter.etl.ledger import record
from tollmeter.etl.opening import Opened, Opener
from tollmeter.etl.read import slices
from tollmeter.etl.report import Tally
from tollmeter.etl.runs import COMPONENT, COUNTS, land_run
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.errors import InvariantError
from tollmeter.model.events import Run
from tollmeter.model.ids import imported_event_id
from tollmeter.model.names import (
    TABLE_LEDGER,
    TABLE_QUARANTINE,
    TABLE_RUNS,
    TABLE_TOMBSTONES,
)

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.etl.plan import Memory, Plan
    from tollmeter.etl.pool import Crew, Work
    from tollmeter.model.home import Home


@dataclass(slots=True)
class Batch:
    """A plan being carried out; the counters are by the object's place in the plan."""

    home: Home
    tables: dict[str, Table]
    memory: Memory
    plan: Plan
    crew: Crew
    environment: str = ""
    tally: Tally = field(default_factory=Tally)
    lines: Counter[int] = field(default_factory=Counter)
    landed: Counter[int] = field(default_factory=Counter)
    duplicates: Counter[int] = field(default_factory=Counter)
    quarantined: Counter[int] = field(default_factory=Counter)
    forgotten: Counter[int] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)
    event: Run | None = None

    def carry_out(self, done: Callable[[], None]) -> Tally:
        """Read, land and account for all objects of the plan; what an earlier attempt committed is not redone.

        Raises:
            InvariantError: Iceberg counts other rows than were meant to land; the batch is left unfinished.
            ConflictError: other writers were faster at every attempt.
        """
        started = monotonic()
        how = Judging(self.plan.planned_at, Tombstones.of(self.tables[TABLE_TOMBSTONES]))
        opened = count()

        def has_read(found: Opened) -> None:
            self.digests[next(opened)] = found.sha256
            self.tally.bytes += found.size
            done()

        for part in self._parts(self.crew.work(slices(self.plan, Opener(self.home), has_read), how)):
            self._land(part)
        self.tally.objects = len(self.plan.objects)
        self._check()
        self._record_run(monotonic() - started)
        self._end()
        return self.tally

    def _parts(self, found: Iterator[Work]) -> Iterator[Landing]:
        """Slices by the part that they are landed in."""
        number = 0
        part = self._part(number)
        for work in found:
            part.add(work)
            if part.full:
                yield part
                number += 1
                part = self._part(number)
        if part.slices:
            yield part

    def _part(self, number: int) -> Landing:
        return Landing(self.home, self.tables, self.plan, number)

    def _land(self, part: Landing) -> None:
        part.store()
        self.lines += part.lines
        self.duplicates += part.duplicates
        self.forgotten += part.forgotten
        self._quarantine(part)
        for name in EVENTS_IN_ORDER:
            self._land_table(name, part)
        self.tally.lines += part.lines.total()

    def _quarantine(self, part: Landing) -> None:
        """Lines that are in quarantine already, by whichever object or run, are duplicates."""
        table = self.tables[TABLE_QUARANTINE]
        landed = land_faults(self.home, table, part.quarantine(), part.part_id)
        origins = {planned.key: origin for origin, planned in enumerate(self.plan.objects)}
        mine = Counter(origins[key] for key in landed["object_key"].to_pylist())
        self.quarantined += mine
        self.duplicates += part.quarantined - mine
        self.tally.reasons += Counter(landed["reason"].to_pylist())
        self.tally.quarantined += self._added(table, part.part_id, len(landed))

    def _land_table(self, name: str, part: Landing) -> None:
        arrivals = part.arrivals[name]
        landed = arrivals.land()
        self.landed += landed
        self.duplicates += arrivals.duplicates
        if landed:
            self.tally.by_table[name] += self._added(self.tables[name], part.part_id, landed.total())

    def _added(self, table: Table, part_id: str, expected: int) -> int:
        """Iceberg's count of the rows of a part; where its snapshots have expired, what is in the table."""
        added = sum(summary_count(snapshot, "added-records") for snapshot in snapshots_of(table, part_id))
        return added if added == expected else rows_of_batch(self.home, table, part_id)

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
                "sha256": self.digests[origin],
                "objects": 1,
                "watermark": None,
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
        counts = {name: getattr(report, name) for name in COUNTS}
        self.event = Run(
            event_id=imported_event_id("tollmeter.etl", self.plan.batch_id),
            timestamp=self.plan.planned_at,
            service="tollmeter",
            environment=self.environment,
            component=COMPONENT,
            duration_ms=round(seconds * 1000, 3),
            counts=counts,
            lag_ms=self._lag_ms(),
        )
        land_run(self.home, self.tables[TABLE_RUNS], self.event, self.plan.batch_id)

    def _end(self) -> None:
        stamp = {"ingested_at": self.plan.planned_at.replace(tzinfo=None), "batch_id": self.plan.batch_id}
        record(self.tables[TABLE_LEDGER], [row | stamp for row in self._accounts()], self.plan.batch_id)
        self.memory.end(self.plan)

    def _lag_ms(self) -> float:
        """How long the oldest of the objects has waited for this batch."""
        oldest = min(planned.modified for planned in self.plan.objects)
        return max(0.0, round((self.plan.planned_at - oldest) / timedelta(milliseconds=1), 3))
