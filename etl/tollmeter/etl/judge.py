"""Blocks of lines as rows: each line's verdict, reached a few thousand lines at a time and never by its neighbours.

Nearly every line is decoded into a shape and checked column by column. Whatever line that leaves in doubt is judged by
`parse_line` alone, so the verdict is always the one that `parse_line` gives.
"""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tollmeter.etl.doubts import checked_columns
from tollmeter.etl.lines import Block, Line
from tollmeter.etl.parse import INVALID, Fault, is_plain, parse_line, text_fault
from tollmeter.etl.rows import fault_table, record_batch, shown, unstamped_schema
from tollmeter.etl.shapes import TABLE_OF_SHAPE, decode, shape_of
from tollmeter.etl.tombstones import Tombstones
from tollmeter.model.names import TABLE_OF_KIND

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE: Final = 2048
"""Lines whose Python values are held at once."""


class Piece(NamedTuple):
    """A block of one object: the object's place in the plan, its key and digest, the number of the first line."""

    origin: int
    key: str
    sha256: str
    first: int
    block: Block

    @property
    def size(self) -> int:
        """Bytes of its lines."""
        return len(self.block.data)

    @property
    def line_count(self) -> int:
        """How many lines it holds."""
        return self.block.line_count

    def read(self) -> Piece:
        """Itself."""
        return self


class Judging(NamedTuple):
    """What verdicts depend on beside the line: the latest plausible time less a day, and who was forgotten."""

    now: datetime
    tombstones: Tombstones


@dataclass(slots=True)
class Judged:
    """What became of some lines: rows by table and faults without stamp, counts by object."""

    tables: dict[str, pa.Table]
    quarantine: pa.Table
    lines: Counter[int]
    quarantined: Counter[int]
    forgotten: Counter[int]
    reasons: Counter[str]


def judge(pieces: Iterable[Piece], how: Judging) -> Judged:
    """The verdicts on all lines of some pieces, as rows in the order of the lines."""
    found = _Collector()
    for piece in pieces:
        first = piece.first
        for chunk in _chunks(piece.block, how):
            found.add(piece, first, chunk)
            first += len(chunk.lines)
    return found.finish()


@dataclass(slots=True)
class _Collector:
    batches: dict[str, list[pa.RecordBatch]] = field(default_factory=lambda: {t: [] for t in TABLE_OF_KIND.values()})
    faults: list[dict[str, Any]] = field(default_factory=list)
    lines: Counter[int] = field(default_factory=Counter)
    quarantined: Counter[int] = field(default_factory=Counter)
    forgotten: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, piece: Piece, first: int, chunk: _Chunk) -> None:
        self.lines[piece.origin] += len(chunk.lines)
        for table, rows in chunk.batches(piece.origin):
            self.batches[table].append(rows)
        for place, fault in chunk.faults():
            self._quarantine(piece, first + place, chunk.lines[place], fault)
        self.forgotten[piece.origin] += len(chunk.forgotten)

    def finish(self) -> Judged:
        import pyarrow as pa

        tables = {
            name: pa.Table.from_batches(batches, schema=unstamped_schema(name))
            for name, batches in self.batches.items()
        }
        return Judged(tables, fault_table(self.faults), self.lines, self.quarantined, self.forgotten, self.reasons)

    def _quarantine(self, piece: Piece, number: int, data: bytes, fault: Fault) -> None:
        row = {"object_key": piece.key, "sha256": piece.sha256, "line_number": number, "raw_text": shown(data)}
        self.faults.append(row | fault._asdict())
        self.quarantined[piece.origin] += 1
        self.reasons[fault.reason] += 1


def _chunks(block: Block, how: Judging) -> Iterator[_Chunk]:
    lines, plain = block.lines(), is_plain(block.data)
    for start in range(0, len(lines), _AT_ONCE):
        cut = {place - start: line for place, line in block.cut.items() if start <= place < start + _AT_ONCE}
        yield _Chunk(lines[start : start + _AT_ONCE], cut, how, plain=plain)


class _Chunk:
    """Consecutive lines, and of each a shape or a fault."""

    def __init__(self, lines: list[bytes], cut: dict[int, Line], how: Judging, *, plain: bool) -> None:
        self.lines = lines
        self.forgotten: set[int] = set()
        self._cut, self._how = cut, how
        self._settled: set[int] = set()
        self._extra: dict[int, str] = {}
        self._verdicts: list[msgspec.Struct | Fault | None] = []
        self._decode(lines if plain and not cut else [self._unless_doubtful(place) for place in range(len(lines))])
        if how.tombstones:
            self._forget()

    def batches(self, origin: int) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The rows of each table."""
        try:
            found = [(table, self._batch(shape, origin)) for shape, table in TABLE_OF_SHAPE.items()]
        except Exception:  # noqa: BLE001 - no line may stop a run, nor take others with it
            found = list(self._one_by_one(origin))
        for table, rows in found:
            if rows is not None:
                yield table, rows

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """The lines that are quarantined, by their place."""
        for place in sorted(self._settled):
            verdict = self._verdicts[place]
            if isinstance(verdict, Fault):
                if self._how.tombstones.cover_text(self.lines[place]):
                    self.forgotten.add(place)
                else:
                    yield place, verdict

    def _unless_doubtful(self, place: int) -> bytes:
        data = self.lines[place]
        return b"" if place in self._cut or text_fault(data) else data

    def _decode(self, lines: list[bytes]) -> None:
        rest = iter(lines)
        while len(self._verdicts) < len(lines):
            try:
                self._verdicts.extend(map(decode, rest))
            except Exception:  # noqa: BLE001 - whatever the matter is, a closer look at that line decides
                self._verdicts.append(self._settle(len(self._verdicts)))

    def _forget(self) -> None:
        """Drop the events of who was forgotten."""
        cover = self._how.tombstones.cover
        for place, verdict in enumerate(self._verdicts):
            if isinstance(verdict, msgspec.Struct) and cover(verdict):
                self.forgotten.add(place)
                self._verdicts[place] = None

    def _settle(self, place: int) -> msgspec.Struct | Fault:
        self._settled.add(place)
        data = self.lines[place]
        verdict = parse_line(self._cut.get(place) or Line(data, len(data)), self._how.now)
        if isinstance(verdict, Fault):
            return verdict
        if verdict.extra:
            self._extra[place] = verdict.extra
        return shape_of(verdict)

    def _batch(self, shape: type, origin: int) -> pa.RecordBatch | None:
        while places := [place for place, verdict in enumerate(self._verdicts) if type(verdict) is shape]:
            rows: list[Any] = [self._verdicts[place] for place in places]
            arrays, doubtful = checked_columns(shape, rows, self._how.now)
            unsettled = {places[row] for row in doubtful} - self._settled
            if not unsettled:
                return record_batch(TABLE_OF_SHAPE[shape], arrays, list(map(self._extra.get, places)), origin)
            for place in unsettled:
                self._verdicts[place] = self._settle(place)
        return None

    def _one_by_one(self, origin: int) -> Iterator[tuple[str, pa.RecordBatch | None]]:
        for place, data in enumerate(self.lines):
            if not isinstance(self._verdicts[place], msgspec.Struct):
                continue
            alone = _Chunk([data], {}, self._how, plain=False)
            try:
                found = [(table, alone._batch(shape, origin)) for shape, table in TABLE_OF_SHAPE.items()]
            except Exception as error:  # noqa: BLE001 - as above
                self._verdicts[place] = Fault(INVALID, f"cannot be stored: {error}")
                self._settled.add(place)
            else:
                self._settled.update(alone._settled and {place})
                self._verdicts[place] = alone._verdicts[0]
                yield from found
