"""Rows into tables: one commit per table and part, each marked with the part's id, so that none is made twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from tollmeter.etl.dedupe import split
from tollmeter.etl.lake import BATCH_PROPERTY, snapshots_of
from tollmeter.etl.rows import ORIGIN
from tollmeter.model.errors import ConflictError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

ATTEMPTS: Final = 8
T = TypeVar("T")


def land_events(home: Home, table: Table, rows: pa.Table, batch_id: str) -> pa.Table:
    """Append the rows that nobody has landed; returns all that this batch landed, now or before a crash.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    import pyarrow as pa

    def attempt() -> pa.Table:
        fresh, mine = split(home, table, rows, batch_id)
        _append(table, fresh, batch_id)
        return pa.concat_tables([fresh, mine])

    return until_committed(table, attempt)


def land_once(table: Table, rows: pa.Table, batch_id: str) -> None:
    """Append rows unless this batch has done so before.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """

    def attempt() -> pa.Table:
        if not snapshots_of(table, batch_id):
            _append(table, rows, batch_id)
        return rows

    until_committed(table, attempt)


def until_committed(table: Table, attempt: Callable[[], T]) -> T:
    """Make an attempt to commit, again from the start whenever another writer was faster.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    from pyiceberg.exceptions import CommitFailedException, ValidationException

    lost: Exception | None = None
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except (CommitFailedException, ValidationException) as error:
            lost = error
            table.refresh()
    raise ConflictError(f"{'.'.join(table.name())}: other writers committed first {ATTEMPTS} times: {lost}") from lost


def _append(table: Table, rows: pa.Table, batch_id: str) -> None:
    if len(rows):
        table.append(_sorted(rows), snapshot_properties={BATCH_PROPERTY: batch_id})


def _sorted(rows: pa.Table) -> pa.Table:
    """Rows in the order readers prune by; an append does not sort."""
    kept = rows.drop_columns([ORIGIN]) if ORIGIN in rows.column_names else rows
    keys = [(name, "ascending") for name in ("service", "timestamp") if name in kept.column_names]
    return kept.sort_by(keys) if keys else kept
