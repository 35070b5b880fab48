"""Events and faults as Arrow tables in the lake's schemas."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import repeat
from operator import sub
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.etl.bounded import MAX_TEXT_BYTES, bounded_json
from tollmeter.etl.lines import KEPT_BYTES
from tollmeter.etl.shapes import TABLE_OF_SHAPE, shape_of
from tollmeter.model.arrow import arrow_schema, arrow_type
from tollmeter.model.columns import Type, columns_of
from tollmeter.model.names import TABLE_QUARANTINE

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.etl.parse import Parsed

ORIGIN: Final = "__object"
"""Name of the helper column that holds which object of the batch a row came from; it never reaches the lake."""

STAMP: Final = ("ingested_at", "batch_id")
"""Columns that are the same for every row of a part, and are added last."""

_REPEATED: Final = frozenset({"string", "int", "bool"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode: Final = msgspec.json.Encoder().encode


def value_columns(shape: type, rows: Sequence[msgspec.Struct]) -> dict[str, Sequence[Any]]:
    """The values of events of one shape, column by column."""
    values = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return dict(zip(shape.__struct_fields__, values, strict=True))  # type: ignore[attr-defined]  # a shape is a Struct


def column(kind: Type, values: Sequence[Any]) -> pa.Array:
    """One column of the lake.

    Raises:
        pyarrow.ArrowInvalid: a text is no amount, or none that the column can hold exactly.
        OverflowError: a moment lies beyond the years that microseconds can count.
    """
    import pyarrow as pa

    if _is_constant(kind, values):
        return _constant(kind, None if values[0] is msgspec.UNSET else values[0], len(values))
    if kind == "json":
        return pa.array([_json(value) if value else None for value in values], pa.string())
    if kind == "timestamp":  # one difference of moments takes a quarter of the time of asking a moment for its zone
        return pa.array(list(map(sub, values, repeat(_EPOCH))), pa.duration("us")).view(pa.timestamp("us"))
    if kind == "money":
        texts = [None if value is None else str(value) for value in values]
        return pa.array(texts, pa.string()).cast(arrow_type(kind))
    return pa.array(values, arrow_type(kind))


@cache
def unstamped_schema(table: str) -> pa.Schema:
    """The schema of an event table, with the helper column `ORIGIN`, or of the quarantine, before rows are stamped."""
    import pyarrow as pa

    if table == TABLE_QUARANTINE:
        return pa.schema([field for field in arrow_schema(table) if field.name not in {*STAMP, "event_date"}])
    kept = [field for field in arrow_schema(table) if field.name not in STAMP]
    return pa.schema([*kept, pa.field(ORIGIN, pa.int32())])


def event_table(parsed: Sequence[Parsed], batch_id: str, ingested_at: datetime) -> pa.Table:
    """Parsed events of one kind as rows of their table, one at least, with `ORIGIN` 0."""
    import pyarrow as pa

    shapes = list(map(shape_of, parsed))
    name = TABLE_OF_SHAPE[type(shapes[0])]
    values = value_columns(type(shapes[0]), shapes)
    types: dict[str, Type] = {each.name: each.type for each in columns_of(name)}
    arrays = {each: column(types[each], found) for each, found in values.items()}
    rows = record_batch(name, arrays, [each.extra for each in parsed], 0)
    return stamped(name, pa.Table.from_batches([rows]), batch_id, ingested_at)


def record_batch(table: str, arrays: dict[str, pa.Array], extra: Sequence[str | None], origin: int) -> pa.RecordBatch:
    """Columns of events as rows that lack their stamp only."""
    import pyarrow as pa

    more = {
        "event_date": arrays["timestamp"].cast(pa.date32()),
        "extra": column("json", extra),
        ORIGIN: pa.repeat(pa.scalar(origin, pa.int32()), len(extra)),
    }
    found, schema = arrays | more, unstamped_schema(table)
    return pa.RecordBatch.from_arrays([found[name] for name in schema.names], schema=schema)


def stamped(name: str, rows: pa.Table, batch_id: str, ingested_at: datetime) -> pa.Table:
    """Rows with the columns that tell who landed them when, in the order of the table's schema, `ORIGIN` last."""
    import pyarrow as pa

    moment = pa.scalar(_naive(ingested_at), pa.timestamp("us"))
    constants = {"ingested_at": moment, "batch_id": pa.scalar(batch_id)}
    if name == TABLE_QUARANTINE:  # its day is that of the ingestion
        constants["event_date"] = moment.cast(pa.date32())
    schema = arrow_schema(name)
    if ORIGIN in rows.column_names:
        schema = schema.append(pa.field(ORIGIN, pa.int32()))
    arrays = [
        pa.chunked_array([pa.repeat(constants[each], len(rows))]) if each in constants else rows[each]
        for each in schema.names
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def fault_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of the quarantine that lack their stamp only."""
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=unstamped_schema(TABLE_QUARANTINE))


def joined(name: str, tables: list[pa.Table]) -> pa.Table:
    """Rows that lack their stamp only, in one piece: sorting and filtering many pieces takes several times as long."""
    import pyarrow as pa

    return pa.concat_tables([unstamped_schema(name).empty_table(), *tables]).combine_chunks()


def shown(data: bytes) -> str:
    r"""A line as text that any database stores: bytes that are no UTF-8, and NUL, escaped; cut below 64 KiB.

    >>> print(shown(bytes([97, 0, 255])))
    a\x00\xff
    """
    text = data[:KEPT_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return text.encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def _is_constant(kind: Type, values: Sequence[Any]) -> bool:
    """Whether a column holds one value throughout, as most do: that is told sooner than the column is made.

    Not asked of floats, for 0.0 equals -0.0, nor of what is hardly ever the same.
    """
    first = values[0]
    if first is not None and first is not msgspec.UNSET and kind not in _REPEATED:
        return False
    return bool(first == values[-1]) and values.count(first) == len(values)


@lru_cache(maxsize=256)
def _constant(kind: Type, value: str | int | None, count: int) -> pa.Array:
    """One value again and again; most chunks are equally long, and share such columns."""
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, arrow_type(kind)), count)


def _json(value: Any) -> str:
    """JSON text of a structured field, within its bound."""
    return bounded_json(value if isinstance(value, str) else _encode(value).decode())


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
