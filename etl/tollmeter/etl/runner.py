"""`run`: everything below `raw/` that has not been ingested, into the lake, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING

from tollmeter.etl.batch import Batch
from tollmeter.etl.commitments import derive_commitments
from tollmeter.etl.discover import RawObject, list_objects
from tollmeter.etl.lake import existing_tables, open_tables, snapshots_of
from tollmeter.etl.lock import etl_lock
from tollmeter.etl.maintenance.expiry import tend
from tollmeter.etl.maintenance.retention import whole_days
from tollmeter.etl.plan import Ledger, Memory, Plan, plans
from tollmeter.etl.report import RunReport, Tally
from tollmeter.etl.rollups import derive
from tollmeter.model.events import utc_now
from tollmeter.model.names import TABLE_LEDGER
from tollmeter.model.settings import Settings
from tollmeter.pricing.book import open_book

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

Progress = Callable[[int, int], None]


def run(home: Home, *, progress: Progress | None = None, settings: Settings | None = None) -> RunReport:
    """Ingest every raw object that the ledger does not hold; running twice changes nothing.

    A batch that an earlier run left unfinished is finished first. `progress` is told how many of how many objects are
    done.

    Raises:
        LockedError: another run is under way on this home.
        InvariantError: rows were lost or doubled; the batch is left unfinished and the ledger untouched.
        ConflictError: other writers were faster at every attempt; running again helps.
        DefinitionError: the price overlay says something that is not allowed; what was read has landed.
        MissingExtraError: the `etl` extra is not installed.
    """
    started = monotonic()
    chosen = settings or Settings.load()
    with etl_lock(home):
        tables, memory = open_tables(home, chosen.parquet_codec), Memory(home)
        tally = Tally()
        done = _counter(progress, len(pending_objects(home, tables.get(TABLE_LEDGER))))
        for plan in _batches(home, tables[TABLE_LEDGER], memory):
            memory.begin(plan)
            tally.add(Batch(home, tables, memory, plan, chosen.environment).carry_out(done))
        _derive(home, tables, memory, chosen)
        tend(tables, chosen)
    report = tally.report(monotonic() - started)
    report.check()
    return report


def _derive(home: Home, tables: dict[str, Table], memory: Memory, settings: Settings) -> None:
    """Bring what is derived up to date; the days are remembered until all of it is."""
    days, overlay = whole_days(memory.days(), settings), settings.price_overlay
    if days:
        derive(home, tables, days)
    if overlay:
        derive_commitments(home, tables, open_book(overlay).commitments, days, utc_now())
    memory.rolled_up()


def pending_objects(home: Home, ledger: Table | None = None) -> list[RawObject]:
    """The raw objects whose key no run has ingested, oldest first."""
    table = ledger or existing_tables(home).get(TABLE_LEDGER)
    return Ledger(table).pending(list_objects(home.raw))


def _batches(home: Home, ledger: Table, memory: Memory) -> Iterator[Plan]:
    unfinished = memory.unfinished()
    if unfinished and snapshots_of(ledger, unfinished.batch_id):
        memory.end()  # it was killed between the last commit and this line
    elif unfinished:
        yield unfinished
    known = Ledger(ledger)
    yield from plans(known.pending(list_objects(home.raw)), known.digests, utc_now())


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    count = 0

    def done() -> None:
        nonlocal count
        count += 1
        if progress:
            progress(count, max(total, count))

    return done
