"""A run's own row in the table `runs`, beside the rows it wrote and not among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.etl.commit import land_events
from tollmeter.etl.parse import Parsed
from tollmeter.etl.rows import event_table

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.events import Run
    from tollmeter.model.home import Home


def land_run(home: Home, table: Table, event: Run, batch_id: str) -> None:
    """Append the row of a run, once per id of the event.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    land_events(home, table, event_table([Parsed.of(event)], batch_id, event.timestamp), batch_id)
