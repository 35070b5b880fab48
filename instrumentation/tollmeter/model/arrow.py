"""Arrow schemas of the lake's tables, generated from the column registry."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tollmeter.model.columns import MONEY_PRECISION, MONEY_SCALE, MONEY_SUM_PRECISION, Type, columns_of
from tollmeter.model.derived import DERIVED_COLUMNS, DERIVED_TABLES
from tollmeter.model.errors import MissingExtraError, UnknownNameError
from tollmeter.model.names import EVENT_TABLES

if TYPE_CHECKING:
    import pyarrow as pa


@cache
def arrow_type(kind: Type) -> pa.DataType:
    """The Arrow type of a registry type; timestamps are microseconds without zone, which Spectrum reads rightly."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "etl") from error
    types: dict[Type, pa.DataType] = {
        "string": pa.string(),
        "json": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us"),
        "date": pa.date32(),
        "money": pa.decimal128(MONEY_PRECISION, MONEY_SCALE),
        "money_sum": pa.decimal128(MONEY_SUM_PRECISION, MONEY_SCALE),
    }
    return types[kind]


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of one table of the lake, event or derived.

    Raises:
        UnknownNameError: the lake has no table of that name.
        MissingExtraError: pyarrow is not installed.
    """
    if table in DERIVED_TABLES:
        columns = tuple(column for column in DERIVED_COLUMNS if table in column.tables)
    elif table in EVENT_TABLES:
        columns = columns_of(table)
    else:
        raise UnknownNameError("table", table, (*EVENT_TABLES, *DERIVED_TABLES))
    fields = [(column.name, arrow_type(column.type), not column.required) for column in columns]
    import pyarrow as pa

    return pa.schema([pa.field(name, kind, nullable=nullable) for name, kind, nullable in fields])
