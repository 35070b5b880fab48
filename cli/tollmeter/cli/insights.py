"""`tollmeter insights`: saved queries for CloudWatch Logs Insights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tollmeter.cli.options import JsonOption, print_json
from tollmeter.model.settings import Settings

insights = typer.Typer(help="Queries for CloudWatch Logs Insights.", no_args_is_help=True)

_GROUP_HELP = "Log group to query; may be given several times."


@insights.command("list")
def list_queries(*, as_json: JsonOption = False) -> None:
    """List the queries and what each answers."""
    from tollmeter.model.insights import queries

    if as_json:
        print_json([asdict(each) for each in queries()])
        return
    for each in queries():
        print(f"{each.name}\t{each.purpose}")


@insights.command()
def show(name: Annotated[str, typer.Argument(help="Name of the query.")]) -> None:
    """Print one query, to be pasted into the console.

    ```
    tollmeter insights show latency_percentiles
    ```
    """
    from tollmeter.model.insights import query

    print(query(name).text)


@insights.command()
def install(
    group: Annotated[list[str], typer.Option("--group", help=_GROUP_HELP)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be saved, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Save every query in the account, in the folder `tollmeter`; running it again updates them.

    ```
    tollmeter insights install --group /tollmeter/chat --dry-run
    tollmeter insights install --group /tollmeter/chat --group /tollmeter/search
    ```
    """
    from tollmeter.exporters.insights import PREFIX
    from tollmeter.exporters.insights import install as save
    from tollmeter.model.insights import queries

    done = [(PREFIX + each.name, "would save") for each in queries()] if dry_run else list(save(Settings.load(), group))
    if as_json:
        print_json([{"name": name, "outcome": outcome} for name, outcome in done])
        return
    for name, outcome in done:
        print(f"{outcome}\t{name}")
