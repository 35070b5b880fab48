"""Redshift DDL of the lake's tables, generated from the column registry."""

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec

from tollmeter.model import events
from tollmeter.model.columns import MONEY_PRECISION, MONEY_SCALE, MONEY_SUM_PRECISION, Column, columns_of
from tollmeter.model.derived import DERIVED_COLUMNS, DERIVED_TABLES
from tollmeter.model.errors import UnknownNameError
from tollmeter.model.names import EVENT_TABLES

MAX_VARCHAR: Final = 65_535
"""Bytes that Redshift's longest VARCHAR holds (docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html)."""
UTF8_BYTES: Final = 4
_TYPES: Final = {
    "int": "BIGINT",
    "float": "DOUBLE PRECISION",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "money": f"DECIMAL({MONEY_PRECISION},{MONEY_SCALE})",
    "money_sum": f"DECIMAL({MONEY_SUM_PRECISION},{MONEY_SCALE})",
}
_STRUCTS: Final = (events.Request, events.LlmCall, events.Evaluation, events.Run)
_SORTED_BY: Final = ("event_date", "timestamp", "hour", "ingested_at")
_DEFAULT_CHARACTERS: Final = 4096


def table_columns(table: str) -> tuple[Column, ...]:
    """The columns of a table of the lake, event or derived, in their order.

    Raises:
        UnknownNameError: the lake has no table of that name.
    """
    if table in EVENT_TABLES:
        return columns_of(table)
    if table in DERIVED_TABLES:
        return tuple(column for column in DERIVED_COLUMNS if table in column.tables)
    raise UnknownNameError("table", table, (*EVENT_TABLES, *DERIVED_TABLES))


def column_type(column: Column) -> str:
    """The Redshift type of a column; a text's length is in bytes.

    >>> column_type(Column("cost_usd", "money", "USD", "cost", ()))
    'DECIMAL(18,12)'
    """
    return _TYPES.get(column.type) or f"VARCHAR({max_bytes(column)})"


def max_bytes(column: Column) -> int:
    """Most bytes of a text column: its bound in characters, of up to four bytes each; JSON has none of its own."""
    if column.type == "json" or (column in DERIVED_COLUMNS and column.name in ("raw_text", "detail")):
        return MAX_VARCHAR
    known = _bounds().get(column.name, _DEFAULT_CHARACTERS * UTF8_BYTES)
    return min(known, MAX_VARCHAR)


def native_table(table: str, schema: str) -> str:
    """`CREATE TABLE` of a native table; `schema` is quoted already.

    Raises:
        UnknownNameError: the lake has no table of that name.
    """
    columns = table_columns(table)
    lines = ",\n".join(f'  "{one.name}" {column_type(one)}{" NOT NULL" if one.required else ""}' for one in columns)
    names = {one.name for one in columns}
    sorted_by = ", ".join(f'"{name}"' for name in _SORTED_BY if name in names)
    return (
        f'CREATE TABLE IF NOT EXISTS {schema}."{table}" (\n{lines}\n)\nDISTSTYLE AUTO\nCOMPOUND SORTKEY ({sorted_by})'
    )


@cache
def _bounds() -> dict[str, int]:
    """Bytes by column of the events' texts; where a pattern holds them, a character is one byte."""
    fields = {field.name: field for struct in _STRUCTS for field in msgspec.structs.fields(struct)}
    return {name: found for name, field in fields.items() if (found := _bytes(msgspec.inspect.type_info(field.type)))}


def _bytes(kind: msgspec.inspect.Type) -> int:
    if isinstance(kind, msgspec.inspect.StrType):
        return (kind.max_length or _DEFAULT_CHARACTERS) * (1 if kind.pattern else UTF8_BYTES)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return max(len(str(value)) for value in kind.values)
    return 0
