"""A run's own row in the table `runs`, beside the rows it wrote and not among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollmeter.etl.commit import land_events
from tollmeter.etl.parse import Parsed
from tollmeter.etl.rows import event_table
from tollmeter.model.events import Run, utc_now
from tollmeter.model.ids import new_event_id

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home


COMPONENT: Final = "etl"
COUNTS: Final = ("objects", "bytes", "lines", "landed", "duplicates", "quarantined", "forgotten")
"""What the event of a run counts; fields of a `RunReport`."""


def run_without_batch(environment: str, seconds: float, error: Exception | None = None) -> Run:
    """The event of a run that had nothing to do, or failed; it lands nowhere, and says that somebody tried."""
    return Run(
        event_id=new_event_id(),
        timestamp=utc_now(),
        service="tollmeter",
        environment=environment,
        component=COMPONENT,
        duration_ms=round(seconds * 1000, 3),
        counts=dict.fromkeys(COUNTS, 0),
        outcome="error" if error else "ok",
        error_type=type(error).__name__ if error else "",
    )


def land_run(home: Home, table: Table, event: Run, batch_id: str) -> None:
    """Append the row of a run, once per id of the event.

    Raises:
        ConflictError: other writers were faster at every attempt.
    """
    land_events(home, table, event_table([Parsed.of(event)], batch_id, event.timestamp), batch_id)
