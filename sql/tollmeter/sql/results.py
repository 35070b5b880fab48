"""Rows of a remote engine as an Arrow table, exact: decimals stay decimals, times are UTC without zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import MissingExtraError, QueryError

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.sql.named import ResultColumn

_DECIMAL: Final = re.compile(r"(?:decimal|numeric)\((\d+),(\d+)\)")
_NUMERIC: Final = ("numeric", "decimal")
_INTEGERS: Final = ("int2", "int4", "int8", "smallint", "integer", "bigint")
_FLOATS: Final = ("float4", "float8", "real", "double")
MAX_PRECISION: Final = 38


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a Redshift type; text where Arrow has none of that kind.

    >>> str(arrow_type("decimal(38,12)")), str(arrow_type("int4")), str(arrow_type("super"))
    ('decimal128(38, 12)', 'int64', 'string')
    """
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "etl") from error
    if match := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(match[1]), int(match[2]))
    known = {"bool": pa.bool_(), "boolean": pa.bool_(), "date": pa.date32()}
    known |= dict.fromkeys(("timestamp", "timestamptz"), pa.timestamp("us"))
    known |= dict.fromkeys(_INTEGERS, pa.int64()) | dict.fromkeys(_FLOATS, pa.float64())
    return known.get(name, pa.string())


def table_of(names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """A table of rows whose columns have Redshift's types; a numeric without precision gets what its values need.

    Raises:
        QueryError: a value is not of its column's type.

    >>> table_of(["a"], ["numeric"], [["1.50"], [None]]).to_pylist()
    [{'a': Decimal('1.50')}, {'a': None}]
    """
    import pyarrow as pa

    arrays = []
    for index, kind in enumerate(types):
        values = [_plain(row[index], kind) for row in rows]
        exact = arrow_type(_sized(values) if kind in _NUMERIC else kind)
        try:
            arrays.append(pa.array(values, exact))
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise QueryError(f"column {names[index]} is {kind}, but: {error}") from error
    return pa.Table.from_arrays(arrays, names=list(names))


def as_told(table: pa.Table, columns: Sequence[ResultColumn]) -> pa.Table:
    """The table in the types that a query's header tells, so that every engine gives the same.

    Raises:
        QueryError: it has other columns, or a value does not fit.
    """
    import pyarrow as pa

    if [one.name for one in columns] != table.column_names:
        raise QueryError(f"expected columns {', '.join(one.name for one in columns)}; got {table.column_names}")
    wanted = pa.schema(
        [(one.name, arrow_type(one.type) if one.type else table.schema.field(one.name).type) for one in columns]
    )
    try:
        return table.cast(wanted)
    except pa.ArrowException as error:
        raise QueryError(f"the result does not fit the query's header: {error}") from error


def _sized(values: Sequence[Decimal | None]) -> str:
    exponents = (value.as_tuple().exponent for value in values if value is not None)
    scale = max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)
    return f"decimal({MAX_PRECISION},{max(scale, 0)})"


def _plain(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind.startswith(_NUMERIC):
        return Decimal(str(value))
    if kind in ("timestamp", "timestamptz"):
        return _moment(value)
    if kind == "date":
        return date.fromisoformat(value) if isinstance(value, str) else value
    if arrow_type(kind) == "string":
        return str(value)
    return value


def _moment(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
