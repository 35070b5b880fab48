"""Tables as bytes, a part at a time, so that no export is held in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(parts: Iterable[pa.Table]) -> Iterator[bytes]:
    """UTF-8 with a header; times as ISO 8601 in UTC, money with all its digits.

    A text that a spreadsheet would take for a formula has an apostrophe before it
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    for number, part in enumerate(parts):
        lines = io.StringIO()
        writer = csv.writer(lines)
        if number == 0:
            writer.writerow(part.schema.names)
        columns = [column.to_pylist() for column in part.columns]
        writer.writerows([cell(value) for value in row] for row in zip(*columns, strict=True))
        yield lines.getvalue().encode("utf-8", "replace")


def cell(value: Any) -> str:
    """A value as a spreadsheet may read it.

    >>> cell("=1+1"), cell(Decimal("0.000000120000")), cell(datetime(2026, 11, 23, 10, 37)), cell(None), cell(-1)
    ("'=1+1", '0.000000120000', '2026-11-23T10:37:00.000000Z', '', '-1')
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def as_parquet(parts: Iterable[pa.Table]) -> Iterator[bytes]:
    """One Parquet file, a row group for each part."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = _Drained()
    writer = None
    for part in parts:
        writer = writer or parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), part.schema, compression="zstd")
        writer.write_table(part.cast(writer.schema))
        yield sink.drain()
    if writer:
        writer.close()
    yield sink.drain()


class _Drained(io.RawIOBase):
    """A file that is written once from start to end, and read while it is."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(data)

    def drain(self) -> bytes:
        """What was written since the last time."""
        held, self._held = self._held, []
        return b"".join(held)
