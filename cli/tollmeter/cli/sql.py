"""`tollmeter sql`: the files of SQL themselves, and what of them is run on Redshift once."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Annotated, Any

import typer

from tollmeter.cli.options import HomeOption, JsonOption, print_json
from tollmeter.cli.query import name_and_value, print_queries
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.dialect import to_duckdb
from tollmeter.sql.engine import ENGINE_REDSHIFT_DATA, REMOTE_ENGINES
from tollmeter.sql.named import load, names
from tollmeter.sql.templates import template, template_names

sql = typer.Typer(help="Named queries and statements: Redshift SQL in files.", no_args_is_help=True)

RedshiftOption = Annotated[
    str,
    typer.Option("--engine", help=f"How Redshift is reached: {' or '.join(REMOTE_ENGINES)}."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the statements, and send nothing.")]


@sql.command(name="list")
def list_queries(
    *,
    statements: Annotated[
        bool, typer.Option("--statements", help="Statements that define or move things, instead of queries.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all named queries with their parameters, or all statements with their values.

    ```
    tollmeter sql list
    tollmeter sql list --statements
    ```
    """
    del home  # queries are the same for every home
    if not statements:
        print_queries(as_json=as_json)
        return
    found = [template(name) for name in template_names()]
    if as_json:
        print_json([{"name": one.name, "purpose": one.purpose, "values": one.value_help()} for one in found])
        return
    width = max(len(one.name) for one in found)
    for one in found:
        typer.echo(f"{one.name:<{width}}  {one.purpose}")
        for name, text in one.value_help().items():
            typer.echo(f"{'':<{width}}    {name}: {text}")


@sql.command()
def show(
    *,
    name: Annotated[str, typer.Argument(help="Name of a query or statement.")],
    duckdb: Annotated[bool, typer.Option("--duckdb", help="As DuckDB gets it, instead of as written.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the text of a named query or statement, to read it or to paste it into Redshift.

    ```
    tollmeter sql show cost_by_day_model
    tollmeter sql show overview --duckdb
    tollmeter sql show unload_by_model
    ```
    """
    del home  # queries are the same for every home
    if name in template_names() and name not in names():
        _show_statement(name, as_json=as_json)
        return
    found = load(name)
    text = to_duckdb(found.sql) if duckdb else found.sql.rstrip()
    if as_json:
        columns = [{"name": one.name, "type": one.type, "description": one.description} for one in found.columns]
        heading = {"name": found.name, "purpose": found.purpose, "parameters": found.parameter_help()}
        print_json({**heading, "columns": columns, "sql": text})
    else:
        typer.echo(text)


@sql.command()
def deploy(
    *,
    engine: RedshiftOption = ENGINE_REDSHIFT_DATA,
    native: Annotated[bool, typer.Option("--native", help="Make native tables as well, to copy into.")] = False,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Drop each view first: Redshift replaces none whose columns changed.")
    ] = False,
    dry_run: DryRunOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make in Redshift what queries read: external schema, views, and the role that may read them.

    Names and the IAM role come from the settings `TOLLMETER_REDSHIFT_*`, the Glue database from
    `TOLLMETER_GLUE_DATABASE` (docs/redshift.md).
    Deploying again changes nothing; after a fault it goes on.

    ```
    export TOLLMETER_REDSHIFT_WORKGROUP=ai-platform-workgroup TOLLMETER_GLUE_DATABASE=ai_platform_lake
    tollmeter sql deploy --dry-run
    tollmeter sql deploy
    ```
    """
    from tollmeter.sql.deploy import run_steps, steps_of
    from tollmeter.sql.engine import open_remote

    del home  # what is made reads the Glue catalog's lake
    settings = Settings.load()
    steps = steps_of(settings, native=native, recreate=recreate)
    if dry_run:
        _print_statements([(step.purpose, step.sql) for step in steps], as_json=as_json)
        return
    done: list[dict[str, Any]] = []
    with open_remote(engine, settings) as opened:
        for step, was_run in run_steps(opened, steps):
            done.append({"purpose": step.purpose, "run": was_run})
            if not as_json:
                typer.echo(f"{len(done)}/{len(steps)} {step.purpose}{'' if was_run else ': there already'}")
    if as_json:
        print_json({"steps": done})


@sql.command()
def run(
    *,
    name: Annotated[str, typer.Argument(help="Name of the statement; `tollmeter sql list --statements` shows all.")],
    value: Annotated[
        list[str] | None, typer.Option("--value", "-v", help="A value, as k=v; repeatable.", show_default=False)
    ] = None,
    engine: RedshiftOption = ENGINE_REDSHIFT_DATA,
    dry_run: DryRunOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy into native tables, load days from the lake, or unload by model: one file of statements, all or none.

    Schemas and the IAM role come from the settings, unless given.

    ```
    tollmeter sql run load_native -v table=llm_calls -v since=2026-11-01 -v until=2026-12-01
    tollmeter sql run copy_folder -v table=llm_calls -v url=s3://ai-platform-data/requests/
    tollmeter sql run unload_by_model -v url=s3://ai-platform-exports/x/ -v since=2026-11-01 -v until=2026-12-01
    ```
    """
    from tollmeter.sql.deploy import values_of
    from tollmeter.sql.engine import open_remote

    del home  # what is run reads the Glue catalog's lake, or S3
    settings = Settings.load()
    found = template(name)
    given = values_of(settings) | dict(name_and_value("--value", text, found.value_help()) for text in value or [])
    statements = found.filled(given)
    if dry_run:
        _print_statements([(found.purpose, one) for one in statements], as_json=as_json)
        return
    with open_remote(engine, settings) as opened:
        opened.transaction(statements)
    if as_json:
        print_json({"name": name, "statements": len(statements)})
    else:
        typer.echo(f"{name}: {len(statements)} statements run")


@sql.command()
def manifest(
    *,
    table: Annotated[str, typer.Argument(help="A table of the lake, such as llm_calls.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the manifest of a table's live files, for `tollmeter sql run copy_manifest`.

    Store it beside the lake; it is JSON either way. Files of older snapshots and of unfinished runs, which stand in the
    same folder, are not in it.

    ```
    tollmeter sql manifest llm_calls | aws s3 cp - s3://my-lake/llm_calls.manifest
    tollmeter sql run copy_manifest -v table=llm_calls -v url=s3://my-lake/llm_calls.manifest
    ```
    """
    from tollmeter.model.errors import UnknownNameError
    from tollmeter.sql.catalog import find_table, open_catalog
    from tollmeter.sql.lake_views import TABLES
    from tollmeter.sql.manifest import copy_manifest

    del as_json  # a manifest is JSON
    catalog = open_catalog(Home.resolve(home))
    try:
        found = find_table(catalog, table) if table in TABLES else None
        if found is None:
            raise UnknownNameError("table", table, TABLES)
        print_json(copy_manifest(found))
    finally:
        catalog.close()


@sql.command()
def check(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check every data file of the lake against what Redshift Spectrum reads: types, times, codecs, lengths of texts.

    Exit code 0: every file can be read as the DDL says. 1: some cannot; each fault is printed with its file. Texts that
    fit their columns, but that Spectrum cuts at 16,384 bytes when it reads an Iceberg table, are counted beside, by
    table and column: read those from native tables, or with another engine.

    ```
    tollmeter sql check
    tollmeter sql check --json | jq '.faults[].file'
    ```
    """
    from tollmeter.cli.progress import progress_bar
    from tollmeter.sql.catalog import open_catalog
    from tollmeter.sql.spectrum import ICEBERG_TEXT_BYTES, data_files

    faults: list[dict[str, str]] = []
    cut = Counter[tuple[str, str]]()
    with closing(open_catalog(Home.resolve(home))) as catalog, progress_bar("files") as progress:
        files = list(data_files(catalog))
        for done, file in enumerate(files, start=1):
            faults += [{"table": file.table, "file": file.address, "fault": fault} for fault in file.faults]
            cut.update({(file.table, name): count for name, count in file.cut_texts.items()})
            progress(done, len(files))
    if as_json:
        texts = [{"table": table, "column": name, "texts": count} for (table, name), count in sorted(cut.items())]
        print_json({"files": len(files), "faults": faults, "cut_by_spectrum": texts})
    else:
        for one in faults:
            typer.echo(f"{one['file']}: {one['fault']}")
        for (table, name), count in sorted(cut.items()):
            typer.echo(f"{table}.{name}: {count:,} texts longer than {ICEBERG_TEXT_BYTES:,} bytes, cut when read")
        typer.echo(f"{len(files)} data files, {len(faults)} faults")
    raise typer.Exit(int(bool(faults)))


def _show_statement(name: str, *, as_json: bool) -> None:
    found = template(name)
    if as_json:
        heading = {"name": found.name, "purpose": found.purpose, "values": found.value_help()}
        print_json({**heading, "sql": found.sql.rstrip()})
    else:
        typer.echo(found.sql.rstrip())


def _print_statements(statements: list[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        print_json([{"purpose": purpose, "sql": text} for purpose, text in statements])
        return
    said = ""
    for purpose, text in statements:
        if purpose != said:
            typer.echo(f"-- {purpose}")
            said = purpose
        typer.echo(f"{text};\n")
