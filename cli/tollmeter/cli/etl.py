"""`tollmeter etl`: raw objects into the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.etl_forget import forget
from tollmeter.cli.etl_maintenance import COMMANDS
from tollmeter.cli.options import HomeOption, JsonOption, OverlayOption, errors, print_json
from tollmeter.cli.rows import write_rows
from tollmeter.model.home import Home
from tollmeter.sql.parameters import Parameter

if TYPE_CHECKING:
    from tollmeter.etl import LakeStatus, RepriceReport, RunReport, Scope
    from tollmeter.etl.maintenance.upkeep import Upkeep
    from tollmeter.model.events import Run
    from tollmeter.model.settings import Settings

etl = typer.Typer(help="Raw events into the lake.", no_args_is_help=True)
for command in (*COMMANDS, forget):
    etl.command()(command)


@etl.command()
def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders, s3://bucket/prefix, or URLs of SQS queues.", show_default="raw_url, else raw/ of the home"
        ),
    ] = None,
    *,
    since: Annotated[str | None, typer.Option(help="First upload hour (UTC): 2026-11-01T05:00, -6h, -30d.")] = None,
    until: Annotated[str | None, typer.Option(help="Upload hour after the last, in the same forms.")] = None,
    shard: Annotated[str, typer.Option(help="Which one of how many runs that share the work, such as 1/4.")] = "1/1",
    max_memory: Annotated[
        str | None, typer.Option(help="Memory to stay below, such as 512M.", show_default="1.5G, about")
    ] = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be read, and change nothing.")] = False,
    emf: Annotated[
        bool, typer.Option("--emf", help="Print the run's events as lines that CloudWatch Logs makes metrics of.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ingest what has been uploaded since the last run.

    Reads every raw object that the ledger does not hold: below a folder, below a prefix of a bucket, by upload hour, or
    told of by S3 through a queue, whose messages are deleted once their objects are in the ledger. An object is what
    the forwarder, Firehose or a CloudWatch Logs subscription writes; plain, gzip or zstd. Checks each line, drops
    what has landed before, commits the rest to the lake's Iceberg tables and derives the rollups of the days it touched
    again. A line that is not a valid event goes to the table `quarantine` with the reason.

    Run it from a scheduler, as often as you like, and on several machines at once: a second run changes nothing, and a
    run after a crash finishes what was begun, on whichever machine.

    It ends by printing `lines read = rows landed + duplicates + quarantined` and that rollups equal rows, and fails if
    that does not hold.

    Exit code 0: done, or nothing to do. 1: a larger share of the lines than `max_quarantined_ratio` is quarantined, or
    it failed, and running it again later finishes what was begun. 2: wrong usage.

    ```
    tollmeter etl run
    tollmeter etl run s3://acme-telemetry/raw --since -6h --dry-run     # which objects would be read
    tollmeter etl run https://sqs.eu-central-1.amazonaws.com/111122223333/tollmeter-raw
    tollmeter etl run s3://acme-telemetry/raw --shard 1/4 --json | jq .landed
    tollmeter etl run --emf             # in a scheduled container: lag, rows, duplicates, quarantined for alarms
    ```
    """
    from tollmeter.etl import Scope, Shard, Span
    from tollmeter.model.settings import Settings

    settings, folder = Settings.load(etl_max_memory=max_memory), Home.resolve(home)
    span = Span(_moment("since", since), _moment("until", until))
    scope = Scope(tuple(sources or ()), span, Shard.parse(shard), settings.etl_max_memory)
    if dry_run:
        _print_pending(folder, scope, as_json=as_json)
        return
    from tollmeter.etl import run as run_etl

    told = _emf_printer(settings) if emf else None
    with _progress() as progress:
        report = run_etl(folder, progress=progress, settings=settings, scope=scope, told=told)
    too_many = report.quarantined > report.lines * settings.max_quarantined_ratio
    if as_json:
        print_json({**asdict(report), "invariant_holds": report.holds, "too_many_quarantined": too_many})
    elif not emf:
        _print_report(report)
    if too_many:
        allowed = f"{settings.max_quarantined_ratio:.1%}"
        errors.print(f"{report.quarantined:,} of {report.lines:,} lines are quarantined, {allowed} are allowed")
    raise typer.Exit(int(too_many))


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
    with _progress("days priced") as progress:
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


@contextmanager
def _progress(what: str = "raw objects") -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal; nothing where nobody looks."""
    if not errors.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _emf_printer(settings: Settings) -> Callable[[Run], None]:
    from tollmeter.model.emf import EventLines

    lines = EventLines(settings)
    return lambda event: typer.echo(lines.encode(event), nl=False)


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    found = Parameter(name, "timestamp", None, "").parse(text, datetime.now(UTC))
    assert isinstance(found, datetime)
    return found.replace(tzinfo=UTC)


def _print_pending(home: Home, scope: Scope, *, as_json: bool) -> None:
    from tollmeter.etl import pending_objects

    pending = pending_objects(home, scope)
    if as_json:
        print_json({"objects": [{"key": found.key, "bytes": found.size} for found in pending]})
        return
    for found in pending:
        typer.echo(f"{found.size:>12,} bytes  {found.key}")
    typer.echo(f"{len(pending)} objects would be read, {sum(found.size for found in pending):,} bytes; lines unknown.")


def _print_report(report: RunReport) -> None:
    rate = f" ({report.lines / report.seconds:,.0f} lines/s)" if report.lines else ""
    typer.echo(f"{report.objects} objects read in {report.seconds:.1f} s{rate}")
    for table, rows in sorted(report.by_table.items()):
        typer.echo(f"  {rows:>12,}  {table}")
    for reason, lines in sorted(report.quarantined_by_reason.items()):
        typer.echo(f"  {lines:>12,}  quarantined: {reason}")
    typer.echo(report.equation)
    if report.rollups.days:
        typer.echo(f"rolled up in {report.rollups.seconds:.1f} s")
    for table, written in sorted(report.rollups.rows.items()):
        typer.echo(f"  {written:>12,}  {table}, {report.rollups.days[table]} days")
    if report.rollups.days:
        typer.echo(report.rollups.equation)


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
