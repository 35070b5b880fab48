"""In what order the rows of each table stand in a compacted file; docs/lake-layout.md has the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyiceberg.table import Table

_KEYS: Final = ("service", "timestamp", "hour", "object_key", "line_number")


def sort_keys(table: Table) -> list[str]:
    """The columns a table's files are sorted by: what readers prune by, and what puts like beside like."""
    names = set(table.schema().column_names)
    return [name for name in _KEYS if name in names]
