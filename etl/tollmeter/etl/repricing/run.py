"""`reprice`: costs of calls, requests and rollups under a corrected price book, and nothing else changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Final

from tollmeter.etl.commitments import derive_commitments
from tollmeter.etl.lake import days_of, existing_tables, open_tables, snapshots_of, summary_count
from tollmeter.etl.lock import etl_lock
from tollmeter.etl.repricing.differences import differences
from tollmeter.etl.repricing.report import ModelDay, RepriceReport
from tollmeter.etl.repricing.requests import stage_requests
from tollmeter.etl.repricing.staged import COLUMNS, Change, Plan, Staged
from tollmeter.etl.rewrite import Replacement, replace_values
from tollmeter.etl.rollups import derive
from tollmeter.etl.runs import land_run
from tollmeter.model.events import Run, utc_now
from tollmeter.model.ids import imported_event_id, new_event_id
from tollmeter.model.names import TABLE_LLM_CALLS, TABLE_REQUESTS, TABLE_RUNS
from tollmeter.model.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home
    from tollmeter.pricing.book import PriceBook

COMPONENT: Final = "reprice"
Progress = Callable[[int, int], None]


def reprice(
    home: Home,
    book: PriceBook,
    *,
    since: date,
    until: date | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> RepriceReport:
    """Price the calls of some days again from their recorded usage, and sum their requests and rollups anew.

    Only rows and days in which something differs are touched, and of them only money; a second run changes nothing. All
    changes are worked out and written down first, so that a run after a crash makes the very same ones before its own.

    Args:
        home: the home; a dry run changes nothing in it, and needs no lock.
        book: the price book.
        since: first day (UTC).
        until: the day after the last; None means all days there are.
        dry_run: report what would change, and change nothing.
        progress: told how many of how many days are priced.
        settings: of the codec of files and the environment that the run's row names.

    Raises:
        LockedError: another run is under way on this home.
        InvariantError: rows were lost, or a column that is not money changed; that table and day is not committed.
        ConflictError: other writers were faster at every attempt; running again helps.
        MissingExtraError: the `etl` extra is not installed.
    """
    started = monotonic()
    asked = _Asked(book, since, until or date.max, progress)
    if dry_run:
        with TemporaryDirectory() as folder:
            report = _reckon(home, existing_tables(home), Staged(Path(folder)), asked)
        report.dry_run = True
    else:
        report = _reprice(home, asked, settings or Settings.load())
    report.seconds = monotonic() - started
    return report


@dataclass(frozen=True, slots=True)
class _Asked:
    book: PriceBook
    since: date
    until: date
    progress: Progress | None

    def days_of(self, calls: Table) -> Iterator[date]:
        days = [day for day in days_of(calls) if self.since <= day < self.until]
        for done, day in enumerate(days, start=1):
            yield day
            if self.progress:
                self.progress(done, len(days))


def _reprice(home: Home, asked: _Asked, settings: Settings) -> RepriceReport:
    with etl_lock(home):
        tables, staged = open_tables(home, settings.parquet_codec), Staged.of(home)
        if unfinished := staged.plan():
            _carry_out(home, tables, staged, unfinished, settings)
        staged.clear()
        report = _reckon(home, tables, staged, asked)
        if report.changes:
            plan = Plan(new_event_id(), utc_now(), report)
            staged.begin(plan)
            _carry_out(home, tables, staged, plan, settings)
        staged.forget()
        if asked.book.overlay:
            derive_commitments(home, tables, asked.book.commitments, utc_now())
    return report


def _reckon(home: Home, tables: dict[str, Table], staged: Staged, asked: _Asked) -> RepriceReport:
    """Write down what changes; nothing is committed."""
    overlay = asked.book.overlay
    report = RepriceReport(book=asked.book.source + (f" and {overlay.source}" if overlay else ""))
    calls = tables.get(TABLE_LLM_CALLS)
    for day in asked.days_of(calls) if calls else ():
        report.changes += _stage_calls(home, tables[TABLE_LLM_CALLS], day, asked.book, staged)
    if report.changes and TABLE_REQUESTS in tables:
        report.requests, report.requests_left = stage_requests(home, tables, staged)
    return report


def _stage_calls(home: Home, calls: Table, day: date, book: PriceBook, staged: Staged) -> list[ModelDay]:
    sums: dict[tuple[str, str], ModelDay] = {}
    with staged.calls_of(day) as sink:
        for found in differences(home, calls, day, book):
            sink.write(found)
            for one in found:
                key = (one.provider, one.model)
                if key not in sums:
                    sums[key] = ModelDay(day=day, provider=one.provider, model=one.model)
                sums[key].add(one)
    return [sums[key] for key in sorted(sums)]


def _carry_out(home: Home, tables: dict[str, Table], staged: Staged, plan: Plan, settings: Settings) -> None:
    """Make the changes of a plan that are not made, and forget it."""
    for change in staged.changes():
        before, after = _make(home, tables[change.table], change, plan.run_id)
        plan.report.rows_before += before
        plan.report.rows_after += after
    plan.report.check()
    land_run(home, tables[TABLE_RUNS], _event(plan, settings.environment), plan.run_id)
    derive(home, tables, settings)
    staged.forget()


def _make(home: Home, table: Table, change: Change, run_id: str) -> tuple[int, int]:
    """Rows that a change took out of the table and put in, by Iceberg's count."""
    batch_id = f"{run_id}-{change.day}"
    replace_values(home, table, Replacement(change.day, change.path, COLUMNS[change.table], batch_id))
    made = snapshots_of(table, batch_id)
    gone, come = (sum(summary_count(one, f"{what}-records") for one in made) for what in ("deleted", "added"))
    return gone, come


def _event(plan: Plan, environment: str) -> Run:
    report = plan.report
    names = ("calls", "days", "requests", "requests_left", "rows_before", "rows_after")
    return Run(
        event_id=imported_event_id("tollmeter.etl.reprice", plan.run_id),
        timestamp=plan.planned_at,
        service="tollmeter",
        environment=environment,
        component=COMPONENT,
        duration_ms=round((utc_now() - plan.planned_at).total_seconds() * 1000, 3),
        counts={name: getattr(report, name) for name in names},
    )
