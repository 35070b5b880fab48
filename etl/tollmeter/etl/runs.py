"""A run's own row in the table `runs`, beside the rows it wrote and not among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.etl.commit import land_once
from tollmeter.etl.parse import Parsed
from tollmeter.etl.rows import EventRows
from tollmeter.model.names import TABLE_RUNS

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.events import Run


def land_run(table: Table, event: Run, batch_id: str) -> None:
    """Append the row of a run, once per batch id.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    rows = EventRows(TABLE_RUNS, batch_id, event.timestamp)
    rows.add(Parsed(event), 0)
    land_once(table, rows.finish(), batch_id)
