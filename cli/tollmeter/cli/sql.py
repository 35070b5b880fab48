"""`tollmeter sql`: the query files themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from tollmeter.cli.options import JsonOption, print_json
from tollmeter.cli.query import print_queries
from tollmeter.sql.dialect import to_duckdb
from tollmeter.sql.named import load

sql = typer.Typer(help="Named queries: Redshift SQL in files.", no_args_is_help=True)


@sql.command(name="list")
def list_queries(*, as_json: JsonOption = False) -> None:
    """List all named queries with their parameters.

    ```
    tollmeter sql list
    ```
    """
    print_queries(as_json=as_json)


@sql.command()
def show(
    *,
    name: Annotated[str, typer.Argument(help="Name of the query.")],
    duckdb: Annotated[bool, typer.Option("--duckdb", help="As DuckDB gets it, instead of as written.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the text of a named query, to read it or to paste it into Redshift.

    ```
    tollmeter sql show cost_by_day_model
    tollmeter sql show overview --duckdb
    ```
    """
    found = load(name)
    text = to_duckdb(found.sql) if duckdb else found.sql.rstrip()
    if as_json:
        columns = [{"name": one.name, "type": one.type, "description": one.description} for one in found.columns]
        heading = {"name": found.name, "purpose": found.purpose, "parameters": found.parameter_help()}
        print_json({**heading, "columns": columns, "sql": text})
    else:
        typer.echo(text)
