"""The objects of a plan, read in slices of whole lines that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from tollmeter.etl.judge import Piece
from tollmeter.etl.lines import read_blocks
from tollmeter.etl.opening import Opened, Opener
from tollmeter.etl.slices import Task
from tollmeter.etl.stretches import Cut, Stretch, cut_lines

if TYPE_CHECKING:
    from pathlib import Path

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
        size, lines = size + piece.size, lines + piece.line_count
        if size >= plan.slice_bytes or lines >= plan.slice_lines:
            yield task
            task, size, lines = Task(), 0, 0
    if task:
        yield task


def _pieces(plan: Plan, opener: Opener, done: Callable[[Opened], None]) -> Iterator[Piece | Stretch]:
    for origin, planned in enumerate(plan.objects):
        path = opener.path_of(planned.key)
        found = _cut(path, plan) if path else None
        if path and found:
            opened, cuts = found
            yield from _stretches(origin, planned.key, opened.sha256, path, cuts)
        else:
            with opener.open(planned.key) as opened:
                yield from _blocks(origin, planned.key, opened, plan)
        done(opened)


def _cut(path: Path, plan: Plan) -> tuple[Opened, list[Cut]] | None:
    try:
        with path.open("rb") as file:
            return cut_lines(file, *_block_limits(plan))
    except FileNotFoundError:
        return None  # whoever opens it by its key tells that it is gone


def _stretches(origin: int, key: str, sha256: str, path: Path, cuts: list[Cut]) -> Iterator[Stretch]:
    first = 1
    for cut in cuts:
        yield Stretch(origin, key, sha256, first, cut.lines, path, cut.start, cut.size)
        first += cut.lines


def _blocks(origin: int, key: str, opened: Opened, plan: Plan) -> Iterator[Piece]:
    first = 1
    for block in read_blocks(opened.file, *_block_limits(plan)):
        yield Piece(origin, key, opened.sha256, first, block)
        first += block.line_count


def _block_limits(plan: Plan) -> tuple[int, int]:
    return max(1, plan.slice_bytes // BLOCKS_IN_SLICE), max(1, plan.slice_lines // BLOCKS_IN_SLICE)
