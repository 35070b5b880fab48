"""A part of a batch on its way into the lake: slices sifted in order, files stored, one commit for each table.

Files are written before the commit and are part of nothing until then; what a killed run leaves, vacuum removes.
"""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from tollmeter.etl.arrivals import Arrivals
from tollmeter.etl.rows import joined, stamped
from tollmeter.model.names import TABLE_EVALUATIONS, TABLE_LLM_CALLS, TABLE_QUARANTINE, TABLE_REQUESTS, TABLE_RUNS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.etl.plan import Plan
    from tollmeter.etl.pool import Work
    from tollmeter.model.home import Home

EVENTS_IN_ORDER: Final = (TABLE_EVALUATIONS, TABLE_RUNS, TABLE_REQUESTS, TABLE_LLM_CALLS)
"""The tables of events in the order of their commits."""

_UNSTORED: Final = 4
"""Slices whose files are being made while the next ones are sifted."""


class Landing:
    """Consecutive slices of a plan that are committed together; counts are by the object's place in the plan."""

    def __init__(self, home: Home, tables: dict[str, Table], plan: Plan, number: int) -> None:
        self.part_id = f"{plan.batch_id}-{number}"
        self.slices = 0
        self.lines, self.duplicates = Counter[int](), Counter[int]()
        self.quarantined, self.forgotten = Counter[int](), Counter[int]()
        self.arrivals = {name: Arrivals(home, tables[name], self.part_id, plan.planned_at) for name in EVENTS_IN_ORDER}
        self._plan = plan
        self._faults: list[pa.Table] = []
        self._unstored: deque[Work] = deque()

    @property
    def full(self) -> bool:
        """Whether a part ends here; that depends on the lines alone, so a part is the same each time."""
        held = sum(faults.nbytes for faults in self._faults)
        return self.slices >= self._plan.part_slices or held >= self._plan.slice_bytes

    def add(self, work: Work) -> None:
        """Sift the next slice, and have files made of what is new in it."""
        seen = work.seen()
        self.slices += 1
        self.lines += seen.lines
        self.duplicates += seen.duplicates
        self.quarantined += seen.quarantined
        self.forgotten += seen.forgotten
        self._faults.append(seen.quarantine)
        found = {name: self.arrivals[name].sift(rows) for name, rows in seen.rows.items()}
        work.order({name: order for name, order in found.items() if order})
        self._unstored.append(work)
        self._store(_UNSTORED)

    def quarantine(self) -> pa.Table:
        """The lines that are no events, as rows."""
        faults = joined(TABLE_QUARANTINE, self._faults)
        return stamped(TABLE_QUARANTINE, faults, self.part_id, self._plan.planned_at)

    def store(self) -> None:
        """Store every file that was ordered."""
        self._store(0)

    def _store(self, but: int) -> None:
        while len(self._unstored) > but:
            for name, files in self._unstored.popleft().made().items():
                self.arrivals[name].store(files)
