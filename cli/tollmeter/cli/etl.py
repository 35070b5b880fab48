"""`tollmeter etl`: raw objects into the lake, their prices, and what is there."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.etl_forget import forget
from tollmeter.cli.etl_maintenance import COMMANDS
from tollmeter.cli.etl_run import run
from tollmeter.cli.options import HomeOption, JsonOption, OverlayOption, print_json
from tollmeter.cli.progress import progress_bar
from tollmeter.cli.rows import write_rows
from tollmeter.model.home import Home
from tollmeter.sql.parameters import Parameter

if TYPE_CHECKING:
    from tollmeter.etl import LakeStatus, RepriceReport
    from tollmeter.etl.maintenance.upkeep import Upkeep

etl = typer.Typer(help="Raw events into the lake.", no_args_is_help=True)
for command in (run, *COMMANDS, forget):
    etl.command()(command)


@etl.command()
def reprice(
    *,
    since: Annotated[str, typer.Option(help="First day (UTC), such as 2026-11-01 or -30d.")],
    until: Annotated[str | None, typer.Option(help="Day after the last.", show_default="all days there are")] = None,
    overlay: OverlayOption = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compute the costs of calls that have landed again, under the price book of today.

    Calls are priced from the usage they were recorded with, by the prices that held when they were made. Costs of the
    requests they belong to and the rollups follow. Only money changes; the old costs stay in the history of the
    tables. Look at `--dry-run` first: the difference by day and model.

    Exit code 0: done, or nothing to do. 1: `--dry-run` found differences; or it failed, and running it again finishes
    what was begun.

    ```
    tollmeter etl reprice --since 2026-11-01 --overlay prices.yaml --dry-run
    tollmeter etl reprice --since -30d --json | jq .difference_usd
    ```
    """
    from tollmeter.etl import reprice as reprice_calls
    from tollmeter.model.settings import Settings
    from tollmeter.pricing.book import open_book

    days = [_day(name, text) for name, text in (("since", since), ("until", until)) if text is not None]
    book = open_book(overlay or Settings.load().price_overlay)
    with progress_bar("days priced") as progress:
        report = reprice_calls(
            Home.resolve(home),
            book,
            since=days[0],
            until=days[1] if until else None,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        print_json(report.document())
    else:
        _print_reprice(report)
    raise typer.Exit(int(dry_run and bool(report.changes)))


@etl.command()
def status(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what the lake holds, what waits in `raw/`, and what maintenance would do.

    One line per table: rows, data files and how many of them are small, snapshots, bytes, files that no table knows,
    first day and newest event (UTC). Reads only; lists every file of the lake.

    ```
    tollmeter etl status
    tollmeter etl status --json | jq '.tables[] | {table, rows}'
    ```
    """
    from tollmeter.etl import status as status_of
    from tollmeter.etl.maintenance.upkeep import upkeep

    folder = Home.resolve(home)
    found, work = status_of(folder), upkeep(folder)
    if as_json:
        pending = {"objects": len(found.pending), "bytes": found.pending_bytes}
        tables = [{**asdict(table), **asdict(work[table.table])} for table in found.tables]
        print_json({"tables": tables, "pending": pending, "last_run": found.last_run})
    else:
        _print_status(found, work)


def _day(name: str, text: str) -> date:
    found = Parameter(name, "date", None, "").parse(text, datetime.now(UTC))
    assert isinstance(found, date)
    return found


_CHANGE_COLUMNS = ("day", "provider", "model", "calls", "old_cost_usd", "new_cost_usd", "difference_usd", "status")


def _print_reprice(report: RepriceReport) -> None:
    rows = [change.document() for change in report.changes]
    for row in rows:
        row["status"] = ", ".join(f"{calls} {change}" for change, calls in sorted(row["status_changes"].items()))
    if rows:
        write_rows(_CHANGE_COLUMNS, rows, "table")
    total, would = report.document(), "would change" if report.dry_run else "changed"
    typer.echo(
        f"{report.calls:,} calls of {report.days} days {would} under {report.book}: "
        f"{total['old_cost_usd']:f} → {total['new_cost_usd']:f} USD, difference {total['difference_usd']:+f}"
    )
    typer.echo(f"{report.requests:,} requests with them; {report.requests_left:,} left, whose cost is no sum of calls")
    if not report.dry_run:
        typer.echo(report.equation)


_STATUS_COLUMNS = (
    "table", "rows", "files", "small", "snapshots", "bytes", "orphans", "oldest", "newest",
)  # fmt: skip


def _print_status(found: LakeStatus, work: dict[str, Upkeep]) -> None:
    rows = [
        {
            **asdict(table),
            "small": work[table.table].small_files,
            "orphans": work[table.table].orphans,
            "oldest": work[table.table].oldest,
            "newest": table.newest.isoformat(" ", "seconds") if table.newest else None,
        }
        for table in found.tables
    ]
    if rows:
        write_rows(_STATUS_COLUMNS, rows, "table")
    else:
        typer.echo("No lake yet: `tollmeter etl run` makes it.")
    typer.echo(f"{len(found.pending)} raw objects pending, {found.pending_bytes:,} bytes.")
    if found.last_run:
        typer.echo(f"last run: {found.last_run.isoformat(' ', 'seconds')}")
    todo = {name: sum(getattr(one, name) for one in work.values()) for name in _TODO}
    typer.echo(
        "compact would rewrite {compactable_files:,} files, expire forget {expirable_snapshots:,} snapshots, vacuum"
        " delete {orphans:,} orphans ({orphan_bytes:,} bytes) and drop {droppable_rows:,} rows.".format(**todo)
    )


_TODO = ("compactable_files", "expirable_snapshots", "orphans", "orphan_bytes", "droppable_rows")
