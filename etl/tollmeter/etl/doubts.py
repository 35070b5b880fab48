"""Columns of decoded events, and which rows they leave in doubt."""

# pyarrow makes its compute functions at import, so pyright cannot see them.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.etl.parse import CLOCK_SKEW, SIGNED_MONEY
from tollmeter.etl.rows import column, value_columns
from tollmeter.etl.shapes import TABLE_OF_SHAPE
from tollmeter.model.columns import Column, columns_of

if TYPE_CHECKING:
    import pyarrow as pa

_AMOUNT: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,12})?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def checked_columns(shape: type, rows: Sequence[msgspec.Struct], now: datetime) -> tuple[dict[str, pa.Array], set[int]]:
    """The columns of some events of one shape, and the rows that need a closer look; then columns may be missing."""
    values, arrays, doubtful = value_columns(shape, rows), dict[str, Any](), set[int]()
    for each in _columns(shape):
        array, rows_in_doubt = _checked(each, values[each.name], now)
        doubtful.update(rows_in_doubt)
        arrays[each.name] = array
    return arrays, doubtful


@cache
def _columns(shape: type) -> tuple[Column, ...]:
    names = set(shape.__struct_fields__)  # type: ignore[attr-defined]  # a shape is a Struct
    return tuple(each for each in columns_of(TABLE_OF_SHAPE[shape]) if each.name in names)


def _checked(each: Column, values: Sequence[Any], now: datetime) -> tuple[pa.Array, Sequence[int]]:
    import pyarrow as pa

    try:
        array = column(each.type, values)
    except (pa.ArrowInvalid, OverflowError):
        return None, _unusual(each, values, now)
    mask = _mask(each, array, now)
    return array, () if mask is None else _places(mask)


def _mask(each: Column, array: pa.Array, now: datetime) -> pa.Array | None:
    """Which values are out of bounds; None where no value can be."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if each.type == "timestamp":
        first, last = (pa.scalar(at.replace(tzinfo=None), pa.timestamp("us")) for at in (_EPOCH, now + CLOCK_SKEW))
        return pc.or_(pc.less(array, first), pc.greater(array, last))
    if each.type == "money" and each.name not in SIGNED_MONEY:
        return pc.less(array, pa.scalar(0, array.type))
    return None


def _places(mask: pa.Array) -> Sequence[int]:
    import pyarrow.compute as pc

    places: list[int] = pc.indices_nonzero(mask).to_pylist()
    return places


def _unusual(each: Column, values: Sequence[Any], now: datetime) -> list[int]:
    """The rows that may be why a column could not be made."""
    if each.type == "money":
        return [row for row, text in enumerate(values) if text is not None and not _AMOUNT.fullmatch(str(text))]
    if each.type == "timestamp":
        return [row for row, moment in enumerate(values) if not _EPOCH <= moment <= now]
    return list(range(len(values)))
