"""`run`: everything that sources hold and that has not been ingested, into the lake, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from tollmeter.etl.batch import Batch
from tollmeter.etl.commit import until_committed
from tollmeter.etl.commitments import derive_commitments
from tollmeter.etl.discover import RawObject, Span
from tollmeter.etl.folding import close_hours, fold_unlisted
from tollmeter.etl.lake import existing_tables, open_tables
from tollmeter.etl.ledger import Ledger, Listing
from tollmeter.etl.lock import etl_lock
from tollmeter.etl.maintenance.expiry import tend
from tollmeter.etl.plan import Memory, Plan, Planning, Shard, plans, sizes_for
from tollmeter.etl.pool import Crew
from tollmeter.etl.report import RunReport, Tally
from tollmeter.etl.rollups import RollupReport, derive
from tollmeter.etl.runs import run_without_batch
from tollmeter.etl.sources import Source, open_source, open_sources
from tollmeter.model.events import Run, utc_now
from tollmeter.model.names import TABLE_LEDGER
from tollmeter.model.settings import Settings
from tollmeter.pricing.book import open_book

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run is about: sources, by name or open (none: where forwarders ship to), upload hours, shard, memory.

    Memory is in bytes. `stop` is asked before each batch; once it says yes, the run begins no other, and a later one
    goes on from there.
    """

    sources: tuple[str | Source, ...] = ()
    span: Span = field(default_factory=Span)
    shard: Shard = field(default_factory=Shard)
    max_memory: int = 0
    stop: Callable[[], bool] = lambda: False


def run(
    home: Home,
    *,
    progress: Progress | None = None,
    settings: Settings | None = None,
    scope: Scope | None = None,
    lock: bool = True,
    told: Callable[[Run], None] | None = None,
) -> RunReport:
    """Ingest every raw object that the ledger does not hold; running twice, or two at once, changes nothing.

    A batch that an earlier run left unfinished is finished first. `progress` is told how many of how many objects are
    done, `told` the event of each batch, or of a run that had none or failed. The lock spares two runs of one machine
    the same work; nothing depends on it.

    Raises:
        LockedError: another run is under way on this home.
        InvariantError: rows were lost or doubled: the batch is left unfinished and the ledger untouched. Or a rollup
            does not add up to its rows, and is left as it was.
        ConflictError: other writers were faster at every attempt; running again helps.
        DefinitionError: the price overlay says something that is not allowed; what was read has landed.
        SettingError: a source is not one.
        MissingExtraError: the `etl` extra is not installed.
    """
    started, chosen, tell = monotonic(), settings or Settings.load(), told or _nobody
    try:
        report = _ingest_all(home, _Wish(scope or Scope(), chosen, progress, tell), lock=lock)
    except Exception as error:
        tell(run_without_batch(chosen.environment, monotonic() - started, error))
        raise
    if not report.objects:
        tell(run_without_batch(chosen.environment, monotonic() - started))
    return report


def _nobody(event: Run) -> None:
    del event


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the caller of a run asked for."""

    scope: Scope
    settings: Settings
    progress: Progress | None
    told: Callable[[Run], None]


def _ingest_all(home: Home, wish: _Wish, *, lock: bool) -> RunReport:
    started, chosen, about = monotonic(), wish.settings, wish.scope
    with etl_lock(home, str(about.shard)) if lock else nullcontext():
        tables, memory = open_tables(home, chosen.parquet_codec), Memory(home)
        with Crew() as crew:
            running = _Running(home, tables, memory, wish, crew)
            for source in open_sources(home, about.sources or _default(chosen), about.span):
                with closing(source):
                    running.drain(source)
        landed = monotonic()
        rollups = _derive(home, tables, chosen)
        tend(tables, chosen)
    report = replace(running.tally.report(landed - started), rollups=rollups)
    report.check()
    return report


@dataclass(slots=True)
class _Running:
    """One run over its sources."""

    home: Home
    tables: dict[str, Table]
    memory: Memory
    wish: _Wish
    crew: Crew
    tally: Tally = field(default_factory=Tally)
    stopped: bool = False
    _done: Iterator[int] = field(default_factory=lambda: count(1))
    _total: int = 0

    def drain(self, source: Source) -> None:
        """Ingest all that a source has, the unfinished first, and close the hours that are over."""
        self._finish()
        while (listing := source.find(self._ledger())).objects or source.whole_hours:
            self._ingest(source, listing)
            if source.whole_hours:
                close_hours(self.tables[TABLE_LEDGER], listing, utc_now())
                return
            if self.stopped:
                return
        self._sweep()

    def _finish(self) -> None:
        for plan in self.memory.unfinished(self.wish.scope.shard):
            if self._stops():
                return
            if self._ledger().without([{"object_key": planned.key} for planned in plan.objects]):
                self._total += len(plan.objects)
                self._carry_out(plan)
            else:
                self.memory.end(plan)  # it was killed between the last commit and this line

    def _ingest(self, source: Source, listing: Listing) -> None:
        ledger = self._ledger()
        pending = _pending(self.home, ledger, source, listing)
        mine = [found for found in pending if self.wish.scope.shard.has(found.key)]
        self._total += len(mine)
        snapshot = self.tables[TABLE_LEDGER].current_snapshot()
        how = Planning(
            utc_now(),
            self.wish.scope.shard,
            sizes_for(self.wish.scope.max_memory),
            str(snapshot.snapshot_id if snapshot else 0),
        )
        waiting = {found.key for found in pending}
        source.acknowledge({found.key for found in listing.objects if found.key not in waiting})
        for plan in plans(mine, how):
            if self._stops():
                return
            self._carry_out(self.memory.begin(plan))
            source.acknowledge({planned.key for planned in plan.objects})

    def _carry_out(self, plan: Plan) -> None:
        batch = Batch(self.home, self.tables, self.memory, plan, self.crew, self.wish.settings.environment)
        self.tally.add(batch.carry_out(self._count))
        if batch.event:
            self.wish.told(batch.event)

    def _stops(self) -> bool:
        self.stopped = self.stopped or self.wish.scope.stop()
        return self.stopped

    def _sweep(self) -> None:
        """Hours that a queue told of in part are listed once they are over: what nobody was told of is found so."""
        fold_unlisted(self.tables[TABLE_LEDGER])
        for hour in self._ledger().open_hours(utc_now()):
            if hour.prefix.startswith("s3://"):
                with closing(open_source(self.home, hour.prefix, Span())) as source:
                    listing = source.find(Ledger(None))
                    self._ingest(source, listing)
                    close_hours(self.tables[TABLE_LEDGER], replace(listing, complete_roots=(hour.root,)), utc_now())

    def _ledger(self) -> Ledger:
        table = self.tables[TABLE_LEDGER]
        until_committed(table, table.refresh)
        return Ledger(table)

    def _count(self) -> None:
        done = next(self._done)
        if self.wish.progress:
            self.wish.progress(done, max(self._total, done))


def _derive(home: Home, tables: dict[str, Table], settings: Settings) -> RollupReport:
    """Bring what is derived up to date."""
    report = derive(home, tables, settings)
    if settings.price_overlay:
        derive_commitments(home, tables, open_book(settings.price_overlay).commitments, utc_now())
    return report


def _default(settings: Settings) -> tuple[str, ...]:
    """Where forwarders ship to: a prefix of a bucket, or the home's own raw folder."""
    return (settings.raw_url,) if settings.raw_url else ()


def _pending(home: Home, ledger: Ledger, source: Source, listing: Listing) -> list[RawObject]:
    """The objects of a listing that have not been ingested.

    Those of a closed hour are told by all of its objects: where a queue names one, the hour is listed, and not read.
    """
    if source.whole_hours:
        return ledger.pending(listing.objects)
    told, beside = {each.key for each in listing.objects}, list[RawObject]()
    for prefix in ledger.closed_hours(told):
        with closing(open_source(home, prefix, Span())) as hour:
            beside += [each for each in hour.find(Ledger(None)).objects if each.key not in told]
    return [each for each in ledger.pending([*listing.objects, *beside]) if each.key in told]


def pending_objects(home: Home, scope: Scope | None = None) -> list[RawObject]:
    """The raw objects that no run has ingested, oldest first; what a queue tells of is looked at, and left in it.

    Raises:
        SettingError: a source is not one.
    """
    about, ledger = scope or Scope(), Ledger(existing_tables(home).get(TABLE_LEDGER))
    found = list[RawObject]()
    for source in open_sources(home, about.sources or _default(Settings.load()), about.span):
        with closing(source):
            found += _pending(home, ledger, source, source.find(ledger))
    return [each for each in found if about.shard.has(each.key)]
