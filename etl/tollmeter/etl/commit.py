"""Rows into tables: one commit per table and part, made again from the start where its outcome is not known.

Every attempt first looks at what is in the table, so it never matters how often one is made, nor by whom.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from tollmeter.etl.dedupe import split, split_faults
from tollmeter.etl.lake import BATCH_PROPERTY, snapshots_of
from tollmeter.etl.rows import ORIGIN
from tollmeter.model.errors import ConflictError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

ATTEMPTS: Final = 24
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 2.0
_FAULT: Final = 500
_THROTTLED: Final = (
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "SlowDown",
    "RequestLimitExceeded",
)
T = TypeVar("T")


def land_events(home: Home, table: Table, rows: pa.Table, batch_id: str) -> pa.Table:
    """Append the rows that nobody has landed; returns all that this batch landed, now or before a crash.

    Raises:
        ConflictError: other writers were faster at every attempt, or the catalog did not answer at any.
    """
    return _land(table, batch_id, lambda: split(home, table, rows, batch_id))


def land_faults(home: Home, table: Table, rows: pa.Table, batch_id: str) -> pa.Table:
    """As `land_events`, for lines in quarantine: the same line of the same content is there once.

    Raises:
        ConflictError: other writers were faster at every attempt, or the catalog did not answer at any.
    """
    return _land(table, batch_id, lambda: split_faults(home, table, rows, batch_id))


def land_once(table: Table, rows: pa.Table, batch_id: str) -> None:
    """Append rows unless this batch has done so before.

    Raises:
        ConflictError: other writers were faster at every attempt, or the catalog did not answer at any.
    """

    def attempt() -> pa.Table:
        if not snapshots_of(table, batch_id):
            _append(table, rows, batch_id)
        return rows

    until_committed(table, attempt)


def append_files(table: Table, files: Sequence[DataFile], batch_id: str) -> None:
    """Commit data files that are written; one attempt.

    Raises:
        pyiceberg.exceptions.CommitFailedException: another writer was faster; refresh the table and look again.
    """
    with table.transaction() as change, change.update_snapshot({BATCH_PROPERTY: batch_id}).merge_append() as snapshot:
        for file in files:
            snapshot.append_data_file(file)


def until_committed(table: Table, attempt: Callable[[], T]) -> T:
    """Make an attempt to commit, again from the start where another writer was faster or the answer was lost.

    Raises:
        ConflictError: other writers were faster at every attempt, or the catalog did not answer at any.
    """
    lost: Exception | None = None
    for number in range(ATTEMPTS):
        try:
            if lost:
                table.refresh()
            return attempt()
        except Exception as error:
            if not may_be_tried_again(error):
                raise
            lost = error
        _pause(number)
    raise ConflictError(f"{'.'.join(table.name())}: other writers committed first {ATTEMPTS} times: {lost}") from lost


def may_be_tried_again(error: Exception) -> bool:
    """Whether another writer was faster, or nobody knows what became of a call to the catalog or the store."""
    from pyiceberg.exceptions import CommitFailedException, ValidationException
    from sqlalchemy.exc import OperationalError

    if isinstance(
        error, CommitFailedException | ValidationException | OperationalError | ConnectionError | TimeoutError
    ):
        return True
    return _is_doubt_of_aws(error)


def _is_doubt_of_aws(error: Exception) -> bool:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _FAULT or response.get("Error", {}).get("Code") in _THROTTLED
    names = {kind.__name__ for kind in type(error).__mro__}
    return "HTTPClientError" in names  # botocore's: no connection, none in time, closed before the answer


def _land(table: Table, batch_id: str, look: Callable[[], tuple[pa.Table, pa.Table]]) -> pa.Table:
    import pyarrow as pa

    def attempt() -> pa.Table:
        fresh, mine = look()
        _append(table, fresh, batch_id)
        return pa.concat_tables([fresh, mine])

    return until_committed(table, attempt)


def _pause(number: int) -> None:
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**number)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - no secret


def _append(table: Table, rows: pa.Table, batch_id: str) -> None:
    if len(rows):
        table.append(_sorted(rows), snapshot_properties={BATCH_PROPERTY: batch_id})


def _sorted(rows: pa.Table) -> pa.Table:
    """Rows in the order readers prune by; an append does not sort."""
    kept = rows.drop_columns([ORIGIN]) if ORIGIN in rows.column_names else rows
    keys = [(name, "ascending") for name in ("service", "timestamp") if name in kept.column_names]
    return kept.sort_by(keys) if keys else kept
