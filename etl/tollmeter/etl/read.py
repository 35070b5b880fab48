"""The objects of a plan, read and judged line by line, in parts that fit in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tollmeter.etl.dedupe import first_of_each
from tollmeter.etl.judge import Judged, Judging, Piece
from tollmeter.etl.lines import read_blocks
from tollmeter.etl.opening import Opened, Opener
from tollmeter.etl.pool import Task, judged_in_order
from tollmeter.etl.rows import counted, stamped, unstamped_schema
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.names import TABLE_OF_KIND, TABLE_QUARANTINE

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.etl.plan import Plan

TASKS_IN_PART: Final = 16
"""A part is read in blocks of this fraction of it; changing it changes the parts of a batch that is under way."""


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


def part_id(plan: Plan, number: int) -> str:
    """The batch id that the rows and commits of one part carry."""
    return f"{plan.batch_id}-{number}"


def read_parts(
    plan: Plan,
    opener: Opener,
    done: Callable[[Opened], None],
    tombstones: Tombstones | None = None,
    workers: int | None = None,
) -> Iterator[Part]:
    """The parts of a plan, the same ones each time; `done` is called when an object has been read.

    Other processes judge the lines of the next part while the caller lands this one: `workers` of them, by default one
    for each core.

    Raises:
        DataError: an object of the plan is gone.
        TransientError: a process that judged lines died.
    """
    held: list[Judged] = []
    number, size, lines = 0, 0, 0
    tasks, how = _tasks(plan, opener, done), Judging(plan.planned_at, tombstones or Tombstones())
    with closing(judged_in_order(tasks, how, workers, TASKS_IN_PART)) as found:
        for judged in found:
            held.append(judged)
            size, lines = size + judged.size, lines + judged.lines.total()
            if size >= plan.part_bytes or lines >= plan.part_lines:
                yield _part(plan, number, held)
                number, size, lines = number + 1, 0, 0
                held.clear()
    if held:
        yield _part(plan, number, held)


def _part(plan: Plan, number: int, held: list[Judged]) -> Part:
    """What was judged as one part; it is let go of here, so that it is not held twice."""
    import pyarrow as pa

    stamp = (part_id(plan, number), plan.planned_at)
    tables, duplicates = dict[str, pa.Table](), Counter[int]()
    for name in TABLE_OF_KIND.values():
        rows = _joined(name, [judged.tables.pop(name) for judged in held])
        first = first_of_each(rows)
        duplicates += counted(rows) - counted(first)
        tables[name] = stamped(name, first, *stamp)
    quarantine = stamped(TABLE_QUARANTINE, _joined(TABLE_QUARANTINE, [judged.quarantine for judged in held]), *stamp)
    lines, quarantined, forgotten, reasons = Counter[int](), Counter[int](), Counter[int](), Counter[str]()
    for judged in held:
        lines += judged.lines
        quarantined += judged.quarantined
        forgotten += judged.forgotten
        reasons += judged.reasons
    return Part(stamp[0], tables, quarantine, lines, duplicates, quarantined, forgotten, reasons)


def _joined(name: str, tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    # in one piece, for sorting and filtering rows of many pieces takes several times as long
    return pa.concat_tables([unstamped_schema(name).empty_table(), *tables]).combine_chunks()


def _tasks(plan: Plan, opener: Opener, done: Callable[[Opened], None]) -> Iterator[Task]:
    """The pieces of all objects, in order, as much at a time as a block may hold."""
    block_bytes, block_lines = _block_limits(plan)
    task, size, lines = Task(), 0, 0
    for piece in _pieces(plan, opener, done):
        task.append(piece)
        size, lines = size + len(piece.block.data), lines + piece.block.line_count
        if size >= block_bytes or lines >= block_lines:
            yield task
            task, size, lines = Task(), 0, 0
    if task:
        yield task


def _pieces(plan: Plan, opener: Opener, done: Callable[[Opened], None]) -> Iterator[Piece]:
    for origin, planned in enumerate(plan.objects):
        first = 1
        with opener.open(planned.key) as found:
            for block in read_blocks(found.file, *_block_limits(plan)):
                yield Piece(origin, planned.key, found.sha256, first, block)
                first += block.line_count
        done(found)


def _block_limits(plan: Plan) -> tuple[int, int]:
    return max(1, plan.part_bytes // TASKS_IN_PART), max(1, plan.part_lines // TASKS_IN_PART)
