"""Events that have landed before, found by `event_id` among the rows of the same days.

The same event has the same timestamp, hence the same day, so the days of the batch are all that is searched; within a
batch an `event_id` is taken once whatever its day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.etl.lake import connect, data_files

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

_LANDED = """
    SELECT DISTINCT event_id FROM read_parquet(?, hive_partitioning = false)
    WHERE (batch_id = ?) = ? AND event_id IN (SELECT event_id FROM incoming)
"""


def not_landed(home: Home, table: Table, rows: pa.Table, batch_id: str) -> pa.Table:
    """The rows whose `event_id` no other batch has landed."""
    import pyarrow.compute as pc

    landed = _landed_ids(home, table, rows, batch_id, mine=False)
    return rows.filter(pc.invert(pc.is_in(rows["event_id"], value_set=landed))) if len(landed) else rows


def landed_by(home: Home, table: Table, rows: pa.Table, batch_id: str) -> pa.Table:
    """The rows that this very batch has landed, before a crash."""
    import pyarrow.compute as pc

    return rows.filter(pc.is_in(rows["event_id"], value_set=_landed_ids(home, table, rows, batch_id, mine=True)))


def _landed_ids(home: Home, table: Table, rows: pa.Table, batch_id: str, *, mine: bool) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    files = data_files(table, pc.unique(rows["event_date"]).to_pylist()) if len(rows) else []
    if not files:
        return pa.array([], pa.string())
    with connect(home) as connection:
        connection.register("incoming", rows.select(["event_id"]))
        found = connection.sql(_LANDED, params=[files, batch_id, mine]).to_arrow_table()
    return found["event_id"].combine_chunks()
