"""A slice of a plan's lines: judged, told to whoever knows what the lake holds, and then made into data files.

All of it is work on bytes: a process that does it opens raw files of this machine, and neither lake nor network.
"""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tollmeter.etl.judge import Judging, Piece, judge
from tollmeter.etl.parquet import Encoding
from tollmeter.etl.rows import ORIGIN, stamped
from tollmeter.etl.stretches import Stretch
from tollmeter.model.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Task = list["Piece | Stretch"]

SORTED_BY: Final = ("service", "timestamp")
"""What rows are sorted by before they are written: what readers prune by."""


class Rows(NamedTuple):
    """Rows of one table by what tells them apart: their ids, each once, and the place in the plan of their object."""

    ids: pa.StringArray
    origins: pa.Int32Array


class Seen(NamedTuple):
    """What the lines of a slice are; which rows are new is not known. Counts are by object."""

    rows: dict[str, Rows]
    quarantine: pa.Table
    lines: Counter[int]
    duplicates: Counter[int]
    quarantined: Counter[int]
    forgotten: Counter[int]
    reasons: Counter[str]


class Order(NamedTuple):
    """Which rows of a table to keep (None: all), under which id and moment, and how to encode them."""

    keep: pa.BooleanArray | None
    batch_id: str
    ingested_at: datetime
    encoding: Encoding


class Made(NamedTuple):
    """A data file that is nowhere yet: its day and its bytes."""

    day: date
    content: pa.Buffer


class Desk:
    """Slices that were judged and wait to be made into files."""

    def __init__(self) -> None:
        self._held: dict[int, dict[str, Held]] = {}

    def judge(self, number: int, task: Task, how: Judging) -> Seen:
        """The verdicts on all lines of a slice; its rows are held under the number.

        Raises:
            DataError: a file is not what it was a moment ago.
        """
        judged = judge((each.read() for each in task), how)
        if judged.lines.total() != sum(each.line_count for each in task):
            raise DataError(f"a raw object changed while it was read: {', '.join(sorted({each.key for each in task}))}")
        duplicates, held, rows = Counter[int](), dict[str, Held](), dict[str, Rows]()
        for name, found in judged.tables.items():
            if len(found):
                held[name] = Held.of(found)
                rows[name] = held[name].told()
                duplicates += _count(found[ORIGIN]) - _count(rows[name].origins)
        self._held[number] = held
        return Seen(
            rows,
            judged.quarantine,
            judged.lines,
            duplicates,
            judged.quarantined,
            judged.forgotten,
            judged.reasons,
        )

    def make(self, number: int, orders: dict[str, Order]) -> dict[str, list[Made]]:
        """Files of the rows of a slice, by table; what is not ordered is let go."""
        held = self._held.pop(number)
        return {name: list(held.pop(name).made(name, order)) for name, order in orders.items()}


class Held(NamedTuple):
    """Rows of a table, and the places of those whose id came for the first time; None where all did."""

    rows: pa.Table
    firsts: pa.UInt64Array | None

    @classmethod
    def of(cls, rows: pa.Table) -> Held:
        """Rows by what tells them apart."""
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = rows["event_id"].combine_chunks().dictionary_encode()
        if len(encoded.dictionary) == len(rows):
            return cls(rows, None)
        codes = encoded.indices  # given in the order of first appearance, so a first one exceeds all before it
        before = pa.concat_arrays([pa.array([-1], codes.type), pc.cumulative_max(codes)[:-1]])
        return cls(rows, pc.indices_nonzero(pc.greater(codes, before)))

    def told(self) -> Rows:
        """What tells the rows apart, in their order."""
        ids, origins = (self.rows[name].combine_chunks() for name in ("event_id", ORIGIN))
        return Rows(ids, origins) if self.firsts is None else Rows(ids.take(self.firsts), origins.take(self.firsts))

    def made(self, name: str, order: Order) -> Iterator[Made]:
        """Files of the rows that are wanted, taken once, in the order readers prune by."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = self.firsts
        if order.keep is not None:
            every = wanted if wanted is not None else pa.array(range(len(self.rows)), pa.uint64())
            wanted = every.filter(order.keep)
        keys = self.rows.select(SORTED_BY)
        places = pc.sort_indices(
            keys if wanted is None else keys.take(wanted), [(key, "ascending") for key in SORTED_BY]
        )
        kept = self.rows.take(places if wanted is None else wanted.take(places))
        yield from files_of(stamped(name, kept, order.batch_id, order.ingested_at), order.encoding)


def files_of(rows: pa.Table, encoding: Encoding) -> Iterator[Made]:
    """Whole rows that are sorted as files, one for each day."""
    import pyarrow.compute as pc

    days = pc.unique(rows["event_date"])
    for day in days:
        of_day = rows if len(days) == 1 else rows.filter(pc.equal(rows["event_date"], day))
        yield Made(day.as_py(), _encoded(of_day, encoding))


def _encoded(rows: pa.Table, encoding: Encoding) -> pa.Buffer:
    import pyarrow as pa

    known = set(rows.column_names)
    columns = [
        rows[field.name] if field.name in known else pa.nulls(len(rows), field.type) for field in encoding.schema
    ]
    sink = pa.BufferOutputStream()
    with encoding.writer(sink) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=encoding.schema))
    return sink.getvalue()


def _count(origins: pa.ChunkedArray | pa.Int32Array) -> Counter[int]:
    import pyarrow.compute as pc

    return Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(origins).to_pylist()})
