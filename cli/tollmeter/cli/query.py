"""`tollmeter query`: one named query on the lake."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.rows import FORMATS, write_rows
from tollmeter.model.errors import SettingError, UnknownNameError, UsageError
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.engine import ENGINES, open_engine
from tollmeter.sql.named import load, names

if TYPE_CHECKING:
    import pyarrow as pa

_PARQUET: Final = "parquet"
_FORMATS: Final = (*FORMATS, _PARQUET)

EngineOption = Annotated[
    str | None,
    typer.Option("--engine", help=f"What runs it: {', '.join(ENGINES)}.", show_default="the setting engine"),
]


def query(
    *,
    name: Annotated[str, typer.Argument(help="Name of the query; --list shows them.", show_default=False)] = "",
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="A parameter, as k=v; repeatable.", show_default=False)
    ] = None,
    output: Annotated[str, typer.Option("--format", help="table, json, csv or parquet.")] = FORMATS[0],
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where parquet is written; stdout, piped, if left out.")
    ] = None,
    engine: EngineOption = None,
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
    tollmeter query calls_recent -p limit=100000 --format parquet -o calls.parquet
    TOLLMETER_REDSHIFT_WORKGROUP=ai-platform-workgroup tollmeter query overview --engine redshift-data
    ```

    The engine duckdb reads the lake of the home; redshift and redshift-data read what `tollmeter sql deploy` made.
    """
    if list_all:
        print_queries(as_json=as_json)
        return
    if not name:
        raise UsageError("name a query; `tollmeter query --list` shows all")
    _check_format(output, file)
    given = dict(name_and_value("--param", text) for text in param or [])
    load(name).bind(given)  # a slip of the keyboard is told before the lake is opened
    settings = Settings.load(engine=engine)
    with open_engine(settings.engine, Home.resolve(home), settings) as opened:
        table = opened.query(name, **given)
    if output == _PARQUET and not as_json:
        _write_parquet(table, file)
        return
    write_rows(table.schema.names, table.to_pylist(), "json" if as_json else output)


def _check_format(output: str, file: Path | None) -> None:
    if output not in _FORMATS:
        raise SettingError("--format", output, ", ".join(_FORMATS))
    if file and output != _PARQUET:
        raise UsageError("--output goes with --format parquet; pipe the others")
    if output == _PARQUET and file is None and sys.stdout.isatty():
        raise UsageError("parquet is not for a terminal: name a file with --output, or pipe it")


def _write_parquet(table: pa.Table, file: Path | None) -> None:
    import pyarrow.parquet as pq

    sink: Path | BinaryIO = file or sys.stdout.buffer
    pq.write_table(table, sink, compression="zstd", coerce_timestamps="us")


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


def name_and_value(option: str, text: str, known: Collection[str] | None = None) -> tuple[str, str]:
    """The two halves of `k=v`; where names are told, it is one of them.

    Raises:
        SettingError: there is no `=`.
        UnknownNameError: the name is none of those.
    """
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise SettingError(option, text, "name=value")
    if known is not None and name.strip() not in known:
        raise UnknownNameError("value", name.strip(), known)
    return name.strip(), value
