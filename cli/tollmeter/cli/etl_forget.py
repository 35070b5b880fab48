"""`tollmeter etl forget`: one user or tenant out of the lake, with proof."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.progress import progress_bar
from tollmeter.cli.rows import write_rows
from tollmeter.model.errors import UsageError
from tollmeter.model.home import Home

if TYPE_CHECKING:
    from tollmeter.etl.forgetting import ForgetReport

_SHOWN = 50


def forget(
    *,
    user_id: Annotated[str | None, typer.Option("--user-id", help="Forget this user.")] = None,
    tenant_id: Annotated[str | None, typer.Option("--tenant-id", help="Forget this tenant, all its users.")] = None,
    mentions: Annotated[
        bool, typer.Option("--mentions", help="Also delete rows and lines of others in whose text the id stands.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be deleted, and change nothing.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete all rows and raw lines of one user or tenant, and prove it.

    Their rows go from every table, the rollups of those days are derived anew, raw objects are written anew without
    their lines, in the home, in `raw_url` and wherever else runs have read, and all old snapshots are expired with
    their files. Then every file that is left is searched for the id, inside of Parquet, Avro, zstd and gzip too. A
    keyed hash of the id stays, by which later runs drop what still comes. Look at `--dry-run` first: this cannot be
    undone.

    Exit code 0: the id was found nowhere. 1: it was, and the files are listed; `--mentions` deletes rows of others
    that name it, a tag or branch may hold an old snapshot, a bucket older versions, and what waits in `spool/` is
    dropped when it comes in.

    ```
    tollmeter etl forget --user-id 4711 --dry-run
    tollmeter etl forget --tenant-id acme --json | jq '{rows, found}'
    ```
    """
    from tollmeter.etl.forgetting import forget as forget_one
    from tollmeter.etl.forgetting.subject import Subject

    given = [(kind, value) for kind, value in (("user_id", user_id), ("tenant_id", tenant_id)) if value is not None]
    if len(given) != 1:
        raise UsageError(f"{len(given)} of --user-id and --tenant-id is not allowed: expected just one of them")
    subject = Subject(*given[0], mentions=mentions)
    with progress_bar("tables, then raw objects") as progress:
        report = forget_one(Home.resolve(home), subject, dry_run=dry_run, progress=progress)
    if as_json:
        print_json({**asdict(report), "is_gone": report.is_gone})
    else:
        _print(report)
    raise typer.Exit(int(not report.is_gone))


def _print(report: ForgetReport) -> None:
    if report.rows:
        write_rows(("table", "rows"), [{"table": name, "rows": rows} for name, rows in report.rows.items()], "table")
    would = "would be deleted" if report.dry_run else "deleted"
    typer.echo(
        f"{sum(report.rows.values()):,} rows of {len(report.days):,} days and {report.raw_lines:,} lines of"
        f" {report.raw_objects:,} raw objects {would}."
    )
    if report.dry_run:
        return
    typer.echo(f"{report.snapshots:,} snapshots expired, {report.deleted_files:,} files deleted.")
    for path in report.unreadable_objects:
        typer.echo(f"cannot be read to its end: {path}")
    for one in report.found[:_SHOWN]:
        typer.echo(f"still there: {one.path} ({one.where})")
    where = f"found in {len(report.found):,} places" if report.found else "found in none"
    typer.echo(f"{report.searched_files:,} files, {report.searched_bytes:,} bytes searched for the id: {where}.")
