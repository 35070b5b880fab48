"""The objects of a plan, read and judged line by line, in parts that fit in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tollmeter.etl.lines import Line, read_lines
from tollmeter.etl.parse import Fault, Parsed, parse_line
from tollmeter.etl.rows import EventRows, FaultRows, event_rows
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.errors import DataError
from tollmeter.model.events import Event
from tollmeter.model.names import TABLE_OF_KIND

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.etl.plan import Plan


@dataclass(slots=True)
class Part:
    """A run of lines of a plan: rows by table, faults, and counts by the object's place in the plan."""

    part_id: str
    tables: dict[str, pa.Table]
    quarantine: pa.Table
    lines: Counter[int]
    duplicates: Counter[int]
    quarantined: Counter[int]
    forgotten: Counter[int]
    reasons: Counter[str]


@dataclass(slots=True)
class _Collector:
    plan: Plan
    number: int
    events: dict[str, EventRows]
    faults: FaultRows
    tombstones: Tombstones
    size: int = 0
    count: int = 0
    lines: Counter[int] = field(default_factory=Counter)
    duplicates: Counter[int] = field(default_factory=Counter)
    quarantined: Counter[int] = field(default_factory=Counter)
    forgotten: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        return self.size >= self.plan.part_bytes or self.count >= self.plan.part_lines

    def take(self, origin: int, number: int, line: Line) -> None:
        self.lines[origin] += 1
        self.count += 1
        self.size += len(line.data)
        verdict = parse_line(line, self.plan.planned_at)
        if self._is_forgotten(verdict, line):
            self.forgotten[origin] += 1
        elif isinstance(verdict, Fault):
            planned = self.plan.objects[origin]
            self.faults.add(planned.key, planned.sha256, number, line.data, verdict)
            self.quarantined[origin] += 1
            self.reasons[verdict.reason] += 1
        elif not self.events[_kind(verdict.event)].add(verdict, origin):
            self.duplicates[origin] += 1

    def _is_forgotten(self, verdict: Parsed | Fault, line: Line) -> bool:
        if isinstance(verdict, Fault):
            return self.tombstones.cover_text(line.data)
        return self.tombstones.cover(verdict.event)

    def finish(self) -> Part:
        tables = {TABLE_OF_KIND[kind]: rows.finish() for kind, rows in self.events.items()}
        counts = (self.lines, self.duplicates, self.quarantined, self.forgotten, self.reasons)
        return Part(part_id(self.plan, self.number), tables, self.faults.finish(), *counts)


def part_id(plan: Plan, number: int) -> str:
    """The batch id that the rows and commits of one part carry."""
    return f"{plan.batch_id}-{number}"


def read_parts(plan: Plan, raw: Path, done: Callable[[], None], tombstones: Tombstones | None = None) -> Iterator[Part]:
    """The parts of a plan, the same ones each time; `done` is called after each object.

    Raises:
        DataError: an object of the plan is gone.
    """
    refused = tombstones or Tombstones()
    part = _collector(plan, 0, refused)
    for origin, planned in enumerate(plan.objects):
        for number, line in enumerate(_lines(raw, planned.key), start=1):
            if part.full:
                yield part.finish()
                part = _collector(plan, part.number + 1, refused)
            part.take(origin, number, line)
        done()
    yield part.finish()


def _collector(plan: Plan, number: int, tombstones: Tombstones) -> _Collector:
    stamp = (part_id(plan, number), plan.planned_at)
    return _Collector(plan, number, event_rows(*stamp), FaultRows(*stamp), tombstones)


def _lines(raw: Path, key: str) -> Iterator[Line]:
    try:
        yield from read_lines(raw / key)
    except FileNotFoundError:
        raise DataError(f"raw object {key!r} vanished while its batch is unfinished; put it back below {raw}") from None


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)
