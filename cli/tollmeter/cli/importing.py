"""`tollmeter etl import`: what another system recorded, into `raw/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, OverlayOption, print_json
from tollmeter.cli.progress import progress_bar
from tollmeter.model.home import Home

if TYPE_CHECKING:
    from tollmeter.etl.importing import ImportReport


def import_records(
    *,
    source: Annotated[str, typer.Argument(help="litellm, langfuse, openai-usage or bedrock-invocations.")],
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders whose files are all read.")],
    service: Annotated[
        str, typer.Option("--service", help="Service that rows are filed under.", show_default="the source")
    ] = "",
    overlay: OverlayOption = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and judge every record, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import the calls that LiteLLM, Langfuse or Bedrock recorded, or OpenAI's account of usage and costs.

    Records become raw events below `raw/`, which the next `tollmeter etl run` lands. Importing the same records again
    lands nothing twice. What a source does not tell stays null. Which field becomes which column: docs/imports.md.

    Exit code 0: every record is accounted for and none is bad. 1: some are bad; they are counted by reason, the first
    are shown, and the others are imported.

    ```
    tollmeter etl import litellm spend.csv --dry-run
    tollmeter etl import langfuse ./observations_v2 --service chat
    tollmeter etl import bedrock-invocations ./AWSLogs && tollmeter etl run
    ```
    """
    from tollmeter.etl.importing import import_files
    from tollmeter.model.settings import Settings
    from tollmeter.pricing.book import open_book

    settings = Settings.load()
    book = open_book(overlay or settings.price_overlay)
    folder = Home.resolve(home)
    with progress_bar("bytes read") as progress:
        report = import_files(folder, source, paths, book, service=service, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(report.document())
    else:
        _print(report, f" {folder.raw}" if settings.raw_url else "", dry_run=dry_run)
    raise typer.Exit(int(bool(report.bad)))


def _print(report: ImportReport, raw: str, *, dry_run: bool) -> None:
    would = "would be" if dry_run else "were"
    typer.echo(f"{report.records:,} records of {report.files} files: {report.events:,} events {would} written")
    for reason, records in sorted(report.skipped.items()):
        typer.echo(f"  {records:>12,}  skipped: {reason}")
    for reason, records in sorted(report.bad.items()):
        typer.echo(f"  {records:>12,}  bad: {reason}")
    for example in report.examples:
        typer.echo(f"  {example}")
    if report.objects:
        # Where runs read a bucket, the folder has to be named.
        typer.echo(f"`tollmeter etl run{raw}` lands them.")
