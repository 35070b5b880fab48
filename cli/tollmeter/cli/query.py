"""`tollmeter query`: one named query on the lake."""

from __future__ import annotations

from typing import Annotated

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.rows import FORMATS, write_rows
from tollmeter.model.errors import SettingError, UsageError
from tollmeter.model.home import Home
from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine
from tollmeter.sql.named import load, names


def query(
    *,
    name: Annotated[str, typer.Argument(help="Name of the query; --list shows them.", show_default=False)] = "",
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="A parameter, as k=v; repeatable.", show_default=False)
    ] = None,
    output: Annotated[str, typer.Option("--format", help="table, json or csv.")] = FORMATS[0],
    engine: Annotated[str, typer.Option("--engine", help="What runs the query.")] = ENGINE_DUCKDB,
    list_all: Annotated[bool, typer.Option("--list", help="List all queries.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a named query on the lake.

    Queries are files of Redshift SQL; `tollmeter sql show NAME` prints one. Times are UTC; a time may be an offset
    from now, such as `-7d`, `-6h` or `-15m`. Money is printed exactly as the lake holds it.

    ```
    tollmeter query --list
    tollmeter query cost_by_day_model
    tollmeter query cost_by_day_model -p since=2026-11-01 -p until=2026-12-01 --format csv
    tollmeter query calls_recent -p model=gpt-4o,gpt-4o-mini -p limit=20
    tollmeter query overview -p since=-1d --json | jq '.[0].spend_usd'
    ```
    """
    if list_all:
        print_queries(as_json=as_json)
        return
    if not name:
        raise UsageError("name a query; `tollmeter query --list` shows all")
    if output not in FORMATS:
        raise SettingError("--format", output, ", ".join(FORMATS))
    given = dict(_pair(text) for text in param or [])
    load(name).bind(given)  # a slip of the keyboard is told before the lake is opened
    with open_engine(engine, Home.resolve(home)) as opened:
        table = opened.query(name, **given)
    write_rows(table.schema.names, table.to_pylist(), "json" if as_json else output)


def print_queries(*, as_json: bool) -> None:
    """Print every named query with its purpose and parameters."""
    found = [load(name) for name in names()]
    if as_json:
        print_json([{"name": one.name, "purpose": one.purpose, "parameters": one.parameter_help()} for one in found])
        return
    width = max(len(one.name) for one in found)
    for one in found:
        typer.echo(f"{one.name:<{width}}  {one.purpose}")
        for name, text in one.parameter_help().items():
            typer.echo(f"{'':<{width}}    {name}: {text}")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise SettingError("--param", text, "name=value")
    return name.strip(), value
