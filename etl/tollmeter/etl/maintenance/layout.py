"""In what order the rows of each table stand in a compacted file; docs/lake-layout.md has the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.model.derived import ROLLUP_ORDER

if TYPE_CHECKING:
    from pyiceberg.table import Table

_KEYS: Final = ("service", "timestamp", "hour", "object_key", "line_number")


def sort_keys(table: Table) -> list[str]:
    """The columns a table's files are sorted by: what readers prune by, and what puts like beside like."""
    if rollup := ROLLUP_ORDER.get(table.name()[-1]):
        return rollup
    names = set(table.schema().column_names)
    return [name for name in _KEYS if name in names]
