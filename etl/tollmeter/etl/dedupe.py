"""Events that have landed before, found by `event_id` in the whole table, whatever day either carries."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.etl.id_ranges import may_hold, ranges_of
from tollmeter.etl.lake import connect, data_files

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

_LANDED = """
    SELECT event_id, bool_or(batch_id = ?) AS mine FROM read_parquet(?, hive_partitioning = false)
    WHERE event_id IN (SELECT event_id FROM incoming) GROUP BY event_id
"""


def split(home: Home, table: Table, rows: pa.Table, batch_id: str) -> tuple[pa.Table, pa.Table]:
    """The rows that nobody has landed, and those that this very batch landed before a crash.

    The rest are duplicates. Rows decide, not commits: whatever part of a batch is in the table, the missing part lands.
    """
    import pyarrow.compute as pc

    ids = rows["event_id"].combine_chunks()
    landed = landed_among(home, ids, batch_id, may_hold(ranges_of(table), ids))
    if landed is None:
        return rows, rows.slice(0, 0)
    mine = landed.filter(landed["mine"])
    fresh = rows.filter(pc.invert(pc.is_in(ids, value_set=landed["event_id"])))
    return fresh, rows.filter(pc.is_in(ids, value_set=mine["event_id"]))


def landed_among(home: Home, ids: pa.Array, batch_id: str, files: list[str]) -> pa.Table | None:
    """The ids that some files hold, and whether this very batch landed each (`mine`); None where they hold none."""
    import pyarrow as pa

    if not files:
        return None
    with connect(home) as connection:
        connection.register("incoming", pa.table({"event_id": ids}))
        found = connection.sql(_LANDED, params=[batch_id, files]).to_arrow_table()
    return found if len(found) else None


_FAULTS = """
    SELECT sha256, line_number, bool_or(batch_id = ?) AS mine FROM read_parquet(?, hive_partitioning = false)
    WHERE sha256 IN (SELECT DISTINCT sha256 FROM incoming) GROUP BY ALL
"""

# Objects that had other content when lines of theirs were quarantined: `forget` has written them anew since.
_REWRITTEN = """
    SELECT DISTINCT object_key FROM read_parquet(?, hive_partitioning = false)
    SEMI JOIN incoming USING (object_key) ANTI JOIN incoming AS same USING (object_key, sha256)
"""
_TEXTS = """
    SELECT object_key, raw_text FROM read_parquet(?, hive_partitioning = false)
    WHERE object_key IN (SELECT unnest(?)) AND sha256 NOT IN (SELECT sha256 FROM incoming)
"""


def split_faults(home: Home, table: Table, rows: pa.Table, batch_id: str) -> tuple[pa.Table, pa.Table]:
    """The lines that nobody has quarantined, and those that this batch did: known by content and number.

    An object may have been written anew without the lines of somebody who was forgotten, so that content and numbers
    are others: a line whose text is in quarantine from other content under the same key is known too.
    """
    import pyarrow as pa

    files = data_files(table) if len(rows) else []
    if not files:
        return rows, rows.slice(0, 0)
    with connect(home) as connection:
        connection.register("incoming", rows.select(["sha256", "object_key"]))
        found = connection.sql(_FAULTS, params=[batch_id, files]).fetchall()
        rewritten = [key for (key,) in connection.sql(_REWRITTEN, params=[files]).fetchall()]
        texts = set(connection.sql(_TEXTS, params=[files, rewritten]).fetchall()) if rewritten else set()
    landed = {(sha256, number): mine for sha256, number, mine in found}
    keys = [tuple(row.values()) for row in rows.select(["sha256", "line_number"]).to_pylist()]
    lines = [tuple(row.values()) for row in rows.select(["object_key", "raw_text"]).to_pylist()]
    fresh = [place for place, key in enumerate(keys) if key not in landed and lines[place] not in texts]
    mine = [place for place, key in enumerate(keys) if landed.get(key)]
    return rows.take(pa.array(fresh, pa.int64())), rows.take(pa.array(mine, pa.int64()))


def rows_of_batch(home: Home, table: Table, batch_id: str) -> int:
    """How many rows of a table a batch has landed."""
    files = data_files(table)
    if not files:
        return 0
    with connect(home) as connection:
        query = "SELECT count(*) FROM read_parquet(?, hive_partitioning = false) WHERE batch_id = ?"
        row = connection.execute(query, [files, batch_id]).fetchone()
    return int(row[0]) if row else 0
