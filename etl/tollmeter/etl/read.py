"""The objects of a plan, read in slices of whole lines that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from tollmeter.etl.judge import Piece
from tollmeter.etl.lines import read_blocks
from tollmeter.etl.opening import Opened, Opener
from tollmeter.etl.slices import Task

if TYPE_CHECKING:
    from tollmeter.etl.plan import Plan

BLOCKS_IN_SLICE: Final = 8
"""A slice is read in blocks of this fraction of it; changing it changes the slices of a batch that is under way."""


def slices(plan: Plan, opener: Opener, done: Callable[[Opened], None]) -> Iterator[Task]:
    """The lines of all objects, in order, as much at a time as a slice may hold, and the same slices each time.

    `done` is called when an object has been read.

    Raises:
        DataError: an object of the plan is gone.
    """
    task, size, lines = Task(), 0, 0
    for piece in _pieces(plan, opener, done):
        task.append(piece)
        size, lines = size + len(piece.block.data), lines + piece.block.line_count
        if size >= plan.slice_bytes or lines >= plan.slice_lines:
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
    return max(1, plan.slice_bytes // BLOCKS_IN_SLICE), max(1, plan.slice_lines // BLOCKS_IN_SLICE)
