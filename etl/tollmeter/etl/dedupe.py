"""Events that have landed before, found by `event_id` in the whole table, whatever day either carries."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.etl.id_ranges import files_that_may_hold
from tollmeter.etl.lake import connect

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

_LANDED = """
    SELECT event_id, bool_or(batch_id = ?) AS mine FROM read_parquet(?, hive_partitioning = false)
    WHERE event_id IN (SELECT event_id FROM incoming) GROUP BY event_id
"""


def first_of_each(rows: pa.Table) -> pa.Table:
    """The rows without those whose `event_id` came before, in the same order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = rows["event_id"]
    if pc.count_distinct(ids).as_py() == len(rows):
        return rows
    places = pa.table({"id": ids, "place": pa.array(range(len(rows)), pa.int64())})
    firsts = places.group_by("id").aggregate([("place", "min")])["place_min"]
    keep = pc.is_in(places["place"], value_set=firsts)
    return rows.filter(keep)


def split(home: Home, table: Table, rows: pa.Table, batch_id: str) -> tuple[pa.Table, pa.Table]:
    """The rows that nobody has landed, and those that this very batch landed before a crash.

    The rest are duplicates. Rows decide, not commits: whatever part of a batch is in the table, the missing part lands.
    """
    import pyarrow.compute as pc

    landed = _landed(home, table, rows, batch_id)
    if landed is None:
        return rows, rows.slice(0, 0)
    mine = landed.filter(landed["mine"])
    ids = rows["event_id"]
    fresh = rows.filter(pc.invert(pc.is_in(ids, value_set=landed["event_id"])))
    return fresh, rows.filter(pc.is_in(ids, value_set=mine["event_id"]))


def _landed(home: Home, table: Table, rows: pa.Table, batch_id: str) -> pa.Table | None:
    files = files_that_may_hold(table, rows["event_id"])
    if not files:
        return None
    with connect(home) as connection:
        connection.register("incoming", rows.select(["event_id"]))
        found = connection.sql(_LANDED, params=[batch_id, files]).to_arrow_table()
    return found if len(found) else None
