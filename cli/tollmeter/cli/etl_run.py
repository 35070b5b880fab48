"""`tollmeter etl run`: raw objects into the lake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, errors, print_json
from tollmeter.cli.progress import progress_bar
from tollmeter.model.home import Home
from tollmeter.sql.parameters import Parameter

if TYPE_CHECKING:
    from tollmeter.etl import RunReport, Scope
    from tollmeter.model.events import Run
    from tollmeter.model.settings import Settings

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Folders, s3://bucket/prefix, or URLs of SQS queues.", show_default="raw_url, else raw/ of the home"
    ),
]
SinceOption = Annotated[str | None, typer.Option(help="First upload hour (UTC): 2026-11-01T05:00, -6h, -30d.")]
UntilOption = Annotated[str | None, typer.Option(help="Upload hour after the last, in the same forms.")]
ShardOption = Annotated[str, typer.Option(help="Which one of how many runs that share the work, such as 1/4.")]
MemoryOption = Annotated[
    str | None, typer.Option(help="Memory to stay below, such as 512M.", show_default="1.5G, about")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be read, and change nothing.")]
EmfOption = Annotated[
    bool, typer.Option("--emf", help="Print the run's events as lines that CloudWatch Logs makes metrics of.")
]


def run(
    sources: SourcesArgument = None,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    shard: ShardOption = "1/1",
    max_memory: MemoryOption = None,
    home: HomeOption = None,
    dry_run: DryRunOption = False,
    emf: EmfOption = False,
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

    settings = Settings.load(etl_max_memory=max_memory)
    span = Span(_moment("since", since), _moment("until", until))
    scope = Scope(tuple(sources or ()), span, Shard.parse(shard), settings.etl_max_memory)
    if dry_run:
        _print_pending(Home.resolve(home), scope, as_json=as_json)
        return
    report = _ingest(Home.resolve(home), scope, settings, emf=emf)
    too_many = report.quarantined > report.lines * settings.max_quarantined_ratio
    if as_json:
        print_json({**asdict(report), "invariant_holds": report.holds, "too_many_quarantined": too_many})
    elif not emf:
        _print_report(report)
    if too_many:
        allowed = f"{settings.max_quarantined_ratio:.1%}"
        errors.print(f"{report.quarantined:,} of {report.lines:,} lines are quarantined, {allowed} are allowed")
    raise typer.Exit(int(too_many))


def _ingest(home: Home, scope: Scope, settings: Settings, *, emf: bool) -> RunReport:
    from tollmeter.etl import run as run_etl

    told = _emf_printer(settings) if emf else None
    with progress_bar("raw objects") as progress:
        return run_etl(home, progress=progress, settings=settings, scope=scope, told=told)


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
