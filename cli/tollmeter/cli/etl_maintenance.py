"""`tollmeter etl compact | expire | vacuum`: the lake kept small and fast."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.progress import progress_bar
from tollmeter.cli.rows import write_rows
from tollmeter.model.home import Home

if TYPE_CHECKING:
    from tollmeter.etl import CompactReport, ExpireReport, VacuumReport

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")]


def compact(
    *,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be repeated.", show_default="all")
    ] = None,
    home: HomeOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write small data files anew as large, sorted ones.

    Works a day of a table at a time, and only where it pays: files below `compact_small_bytes` become files of about
    `compact_target_bytes`. Rows are counted and checksummed before each commit. Runs may go on meanwhile. The old files
    stay until `expire`.

    Exit code 0: done, or nothing to do. 1: another writer replaced some of the files at the same time; run it again.

    ```
    tollmeter etl compact --dry-run
    tollmeter etl compact --table llm_calls && tollmeter etl expire
    ```
    """
    from tollmeter.etl import compact as compact_lake
    from tollmeter.etl.lake import TABLES
    from tollmeter.model.errors import UnknownNameError

    for name in table or ():
        if name not in TABLES:
            raise UnknownNameError("table", name, TABLES)
    with progress_bar("days of tables") as progress:
        report = compact_lake(Home.resolve(home), tables=table, dry_run=dry_run, progress=progress)
    if as_json:
        print_json({**asdict(report), "left": report.left})
    else:
        _print_compacted(report)
    raise typer.Exit(int(report.left > 0))


def expire(*, home: HomeOption = None, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Forget old snapshots, and delete the files that only they led to.

    A snapshot goes when it was replaced longer than `snapshot_max_age_s` ago, or when there are more than
    `snapshot_max_count`; never when it was replaced within `snapshot_min_age_s`, when a branch or tag points at it, or
    when an unfinished batch needs it.

    ```
    tollmeter etl expire --dry-run
    TOLLMETER_SNAPSHOT_MAX_AGE_S=86400 tollmeter etl expire
    ```
    """
    from tollmeter.etl import expire as expire_lake

    report = expire_lake(Home.resolve(home), dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    else:
        _print_expired(report)


def vacuum(*, home: HomeOption = None, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Delete files that no table knows, and what is past its retention.

    Orphans are what killed and overtaken runs leave; they go once they are older than `vacuum_grace_s`. Whole days go
    by `retention_days`, raw objects that have landed by `raw_retention_days`.

    ```
    tollmeter etl vacuum --dry-run
    TOLLMETER_RETENTION_DAYS=requests=90,llm_calls=400,quarantine=30 tollmeter etl vacuum
    ```
    """
    from tollmeter.etl import vacuum as vacuum_lake

    report = vacuum_lake(Home.resolve(home), dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    else:
        _print_vacuumed(report)


COMMANDS = (compact, expire, vacuum)


def _print_compacted(report: CompactReport) -> None:
    rows: list[dict[str, Any]] = [asdict(group) for group in report.groups]
    if rows:
        columns = (
            "table", "day", "rows", "files_before", "bytes_before", "files_after", "bytes_after", "outcome",
        )  # fmt: skip
        write_rows(columns, rows, "table")
    before, after = (sum(row[f"files_{when}"] for row in rows) for when in ("before", "after"))
    would = "would become" if report.dry_run else "became"
    typer.echo(f"{before:,} files {would} {after:,} in {report.seconds:.1f} s.")


def _print_expired(report: ExpireReport) -> None:
    rows = [asdict(table) for table in report.tables if table.snapshots]
    if rows:
        write_rows(("table", "snapshots_before", "snapshots", "files"), rows, "table")
    snapshots, files = (sum(row[name] for row in rows) for name in ("snapshots", "files"))
    if report.dry_run:
        typer.echo(f"{snapshots:,} snapshots would be expired, and the files deleted that only they lead to.")
    else:
        typer.echo(f"{snapshots:,} snapshots expired, {files:,} files deleted in {report.seconds:.1f} s.")


def _print_vacuumed(report: VacuumReport) -> None:
    rows = [asdict(table) for table in report.tables if table.orphans or table.dropped_rows]
    if rows:
        write_rows(("table", "orphans", "orphan_bytes", "dropped_rows"), rows, "table")
    orphans, size = (sum(row[name] for row in rows) for name in ("orphans", "orphan_bytes"))
    would = "would be " if report.dry_run else ""
    typer.echo(
        f"{orphans:,} orphans ({size:,} bytes) {would}deleted, {sum(row['dropped_rows'] for row in rows):,} rows"
        f" {would}dropped, {report.raw_objects:,} raw objects ({report.raw_bytes:,} bytes) {would}deleted."
    )
