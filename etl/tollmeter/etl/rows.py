"""Parsed events and faults as Arrow tables in the lake's schemas."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.etl.lines import KEPT_BYTES
from tollmeter.etl.parse import MONEY_UNIT
from tollmeter.model.arrow import arrow_schema, arrow_type
from tollmeter.model.columns import LAKE_COLUMNS, Column, columns_of
from tollmeter.model.names import TABLE_LEDGER, TABLE_OF_KIND, TABLE_QUARANTINE

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.etl.parse import Fault, Parsed

ORIGIN: Final = "__object"
"""Name of the helper column that holds which object of the batch a row came from; it never reaches the lake."""

_CHUNK_ROWS: Final = 8192
_MAX_VARCHAR: Final = KEPT_BYTES - 1  # what a Redshift VARCHAR holds, in bytes


@dataclass(slots=True)
class EventRows:
    """Rows of one event table, converted to Arrow a few thousand at a time so that Python objects stay few."""

    table: str
    batch_id: str
    ingested_at: datetime
    seen: set[str] = field(default_factory=set)
    _fields: tuple[str, ...] = ()
    _pending: list[tuple[Any, ...]] = field(default_factory=list)
    _chunks: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, parsed: Parsed, origin: int) -> bool:
        """Keep an event; False when one of the same `event_id` is here already."""
        event = parsed.event
        if event.event_id in self.seen:
            return False
        self.seen.add(event.event_id)
        values = msgspec.structs.astuple(event)
        if parsed.spelled:
            values = tuple(map(parsed.spelled.get, event.__struct_fields__, values))
        self._fields = event.__struct_fields__
        self._pending.append((*values, parsed.extra, origin))
        if len(self._pending) >= _CHUNK_ROWS:
            self._flush()
        return True

    def finish(self) -> pa.Table:
        """All rows, with the helper column `ORIGIN`."""
        import pyarrow as pa

        self._flush()
        schema = arrow_schema(self.table).append(pa.field(ORIGIN, pa.int32()))
        return pa.Table.from_batches(self._chunks, schema=schema)

    def _flush(self) -> None:
        if not self._pending:
            return
        import pyarrow as pa

        values = dict(zip((*self._fields, "extra", ORIGIN), zip(*self._pending, strict=True), strict=True))
        columns = columns_of(self.table)
        arrays = {c.name: _array(c, values[c.name]) for c in columns if c.name in values}
        rows = len(self._pending)
        arrays["event_date"] = arrays["timestamp"].cast(pa.date32())
        arrays["ingested_at"] = pa.repeat(pa.scalar(_naive(self.ingested_at), pa.timestamp("us")), rows)
        arrays["batch_id"] = pa.repeat(pa.scalar(self.batch_id), rows)
        arrays[ORIGIN] = pa.array(values[ORIGIN], pa.int32())
        schema = arrow_schema(self.table).append(pa.field(ORIGIN, pa.int32()))
        self._chunks.append(pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema))
        self._pending = []


@dataclass(slots=True)
class FaultRows:
    """Rows of the quarantine."""

    batch_id: str
    ingested_at: datetime
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, key: str, sha256: str, number: int, data: bytes, fault: Fault) -> None:
        """Keep one line that is not an event."""
        row = {"object_key": key, "sha256": sha256, "line_number": number, "raw_text": shown(data)}
        self.rows.append({**row, **fault._asdict()})

    def finish(self) -> pa.Table:
        """All rows; their day is that of the ingestion."""
        constant = {"event_date": self.ingested_at.date(), **_stamp(self.batch_id, self.ingested_at)}
        return _table(TABLE_QUARANTINE, [row | constant for row in self.rows])


def ledger_rows(rows: list[dict[str, Any]], batch_id: str, ingested_at: datetime) -> pa.Table:
    """Rows of the ledger: what became of each object of a batch."""
    return _table(TABLE_LEDGER, [row | _stamp(batch_id, ingested_at) for row in rows])


def event_rows(batch_id: str, ingested_at: datetime) -> dict[str, EventRows]:
    """Empty rows of each event table, by kind."""
    return {kind: EventRows(table, batch_id, ingested_at) for kind, table in TABLE_OF_KIND.items()}


def shown(data: bytes) -> str:
    r"""A line as text that any database stores: bytes that are no UTF-8, and NUL, escaped; cut below 64 KiB.

    >>> print(shown(bytes([97, 0, 255])))
    a\x00\xff
    """
    text = data[:KEPT_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return text.encode()[:_MAX_VARCHAR].decode("utf-8", "ignore")


def _array(column: Column, values: tuple[Any, ...]) -> pa.Array:
    import pyarrow as pa

    if column.type == "json" and column.name not in LAKE_COLUMNS:
        return pa.array(list(map(_json, values)), pa.string())
    if column.type == "timestamp":
        return pa.array(values, pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us"))
    if column.type == "money":
        values = tuple(value if value is None else value.quantize(MONEY_UNIT) for value in values)
    return pa.array(values, arrow_type(column.type))


def _json(value: Any) -> str | None:
    """JSON text of a structured field; null where it is empty, as most are."""
    if not value or isinstance(value, str):
        return value or None
    return msgspec.json.encode(value).decode()


def _stamp(batch_id: str, ingested_at: datetime) -> dict[str, Any]:
    return {"batch_id": batch_id, "ingested_at": _naive(ingested_at)}


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=arrow_schema(name))
