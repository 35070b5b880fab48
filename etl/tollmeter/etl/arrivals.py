"""The rows of one part for one table: which are new, the files they were made into, and the commit of those."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from tollmeter.etl.commit import append_files, until_committed
from tollmeter.etl.datafiles import FileStore, delete_file, read_file
from tollmeter.etl.dedupe import landed_among
from tollmeter.etl.id_ranges import IdRange, may_hold, ranges_of
from tollmeter.etl.parquet import Encoding
from tollmeter.etl.slices import Made, Order, Rows, files_of

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

_Span = tuple[str, str]


class Arrivals:
    """Rows on their way into a table, under the id of their part; counts are by the object's place in the plan.

    `mine` counts rows that this very part landed before a crash, or that another run landed of it.
    """

    def __init__(self, home: Home, table: Table, part_id: str, ingested_at: datetime) -> None:
        self.duplicates, self.mine = Counter[int](), Counter[int]()
        self._home, self._table = home, table
        self._part_id, self._ingested_at = part_id, ingested_at
        self._ranges: list[IdRange] | None = None
        self._sifted: list[tuple[_Span, Rows]] = []
        self._fresh: list[Rows] = []
        self._files: list[DataFile] = []
        self._attempts = 0

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding.of(self._table)

    @cached_property
    def _store(self) -> FileStore:
        return FileStore(self._table)

    def sift(self, rows: Rows) -> Order | None:
        """What to make files of: the rows that neither an earlier slice holds nor anybody has landed; None for none."""
        import pyarrow.compute as pc

        if self._ranges is None:
            self._ranges = ranges_of(self._table)
        first = self._first_in_part(rows)
        new = self._without(
            first, landed_among(self._home, first.ids, self._part_id, may_hold(self._ranges, first.ids))
        )
        self.duplicates += _count(rows) - _count(first)
        if not len(new.ids):
            return None
        self._fresh.append(new)
        keep = None if len(new.ids) == len(rows.ids) else pc.is_in(rows.ids, value_set=new.ids)
        return Order(keep, self._part_id, self._ingested_at, self._encoding)

    def store(self, files: list[Made]) -> None:
        """Write files beside the table's; they are not part of it yet."""
        self._files += [self._store.store(made.day, made.content) for made in files]

    def land(self) -> Counter[int]:
        """Commit the files; returns how many rows of each object this part has landed, now or before.

        Raises:
            ConflictError: other writers were faster at every attempt, or the catalog did not answer at any.
        """
        until_committed(self._table, self._attempt)
        return sum(map(_count, self._fresh), self.mine)

    def _attempt(self) -> None:
        self._attempts += 1
        if self._files and (self._attempts == 1 or self._is_wanted_still()):
            append_files(self._table, self._files, self._part_id)

    def _is_wanted_still(self) -> bool:
        """Look again at what others have landed; False where the attempt before did commit, or nothing is left."""
        old, now = {found.path for found in self._ranges or ()}, ranges_of(self._table)
        written = {file.file_path for file in self._files}
        if any(found.path in written for found in now):
            return False
        self._ranges = now
        others = [found for found in now if found.path not in old]
        for number, rows in enumerate(self._fresh):
            found = landed_among(self._home, rows.ids, self._part_id, may_hold(others, rows.ids))
            if found is not None:
                self._fresh[number] = self._without(rows, found)
                self._thin(found["event_id"])
        return bool(self._files)

    def _thin(self, landed: pa.ChunkedArray) -> None:
        """Make those files anew that hold rows which others have landed meanwhile."""
        import pyarrow.compute as pc

        kept: list[DataFile] = []
        for file in self._files:
            rows = read_file(self._table, file)
            others = rows.filter(pc.invert(pc.is_in(rows["event_id"], value_set=landed)))
            if len(others) == len(rows):
                kept.append(file)
                continue
            if len(others):
                kept += [self._store.store(made.day, made.content) for made in files_of(others, self._encoding)]
            delete_file(self._table, file.file_path)
        self._files = kept

    def _first_in_part(self, rows: Rows) -> Rows:
        """The rows whose id no earlier slice holds."""
        import pyarrow.compute as pc

        first, (low, high) = rows, _span(rows.ids)
        for (lowest, highest), earlier in self._sifted:
            if low <= highest and lowest <= high:
                first = _chosen(first, pc.invert(pc.is_in(first.ids, value_set=earlier.ids)))
        self._sifted.append(((low, high), rows))
        return first

    def _without(self, rows: Rows, landed: pa.Table | None) -> Rows:
        """The rows that are not landed; the others are counted as this part's own, or as duplicates."""
        import pyarrow.compute as pc

        if landed is None:
            return rows
        there = pc.is_in(rows.ids, value_set=landed["event_id"])
        mine = _chosen(rows, pc.is_in(rows.ids, value_set=landed.filter(landed["mine"])["event_id"]))
        fresh = _chosen(rows, pc.invert(there))
        self.mine += _count(mine)
        self.duplicates += _count(rows) - _count(fresh) - _count(mine)
        return fresh


def _span(ids: pa.StringArray) -> _Span:
    """The least and the greatest id, one at least; spans of our own events overlap where their times do."""
    import pyarrow.compute as pc

    bounds = pc.min_max(ids)
    return str(bounds["min"]), str(bounds["max"])


def _chosen(rows: Rows, mask: pa.BooleanArray) -> Rows:
    return Rows(rows.ids.filter(mask), rows.origins.filter(mask))


def _count(rows: Rows) -> Counter[int]:
    import pyarrow.compute as pc

    return Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(rows.origins).to_pylist()})
