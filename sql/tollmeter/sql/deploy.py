"""What Redshift needs to read the lake, in order: external schema, views, native tables where asked for, grants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from tollmeter.sql.ddl import native_table, table_columns
from tollmeter.sql.identifiers import identifier
from tollmeter.sql.lake_views import TABLES
from tollmeter.sql.named import NamedQuery, parse
from tollmeter.sql.placing import with_schemas, without_header
from tollmeter.sql.remote import VIEW_REQUESTS
from tollmeter.sql.templates import template

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings
    from tollmeter.sql.remote import RemoteEngine

VIEW_RAW: Final = "raw_requests"
_PREFIX: Final = "redshift_"
_VALUES: Final = (
    "external_schema",
    "iam_role",
    "schema",
    "spectrum_schema",
    "native_schema",
    "reader_role",
    "database",
)
_ROLE_EXISTS: Final = "SELECT role_name FROM svv_roles WHERE role_name = :role"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a deployment, and what it is for."""

    purpose: str
    sql: str
    role: str = ""
    """A role that the statement makes; it is left out where that exists, for `CREATE ROLE` has no `IF NOT EXISTS`."""


def values_of(settings: Settings) -> dict[str, str]:
    """What the settings say of values that statements take, by the value's name."""
    known = {name: getattr(settings, _PREFIX + name) for name in _VALUES}
    return known | {"glue_database": settings.glue_database}


def steps_of(settings: Settings, *, native: bool = False, recreate: bool = False) -> list[Step]:
    """The statements of a deployment, in order; running them twice changes nothing.

    With `recreate` views are dropped first, which Redshift wants where their columns changed.

    Raises:
        SettingError: a name, role or address among the settings is not what it should be.
    """
    given = values_of(settings)
    steps = [*_filled("external_schema", given), *_filled("schemas", given)]
    steps += [step for view in _views(given) for step in _view_steps(*view, recreate=recreate)]
    if native:
        schema = identifier("redshift_native_schema", given["native_schema"])
        steps += _filled("native_schema", given)
        steps += [Step(f"native table {table}", native_table(table, schema)) for table in TABLES]
    role = identifier("redshift_reader_role", given["reader_role"]).strip('"')
    steps += [Step(one.purpose, one.sql, role) for one in _filled("reader_role", given)]
    steps += _filled("grants", given)
    for schema, view, _select in _views(given):
        steps += _filled("grant_view", given | {"schema": schema.strip('"'), "view": view})
    return steps


def run_steps(engine: RemoteEngine, steps: list[Step]) -> Iterator[tuple[Step, bool]]:
    """Run steps in their order; yields each with whether it was run, or what it makes was there.

    Raises:
        QueryError: Redshift refused one; those before it stand, and deploying again goes on.
    """
    for step in steps:
        there = bool(step.role) and engine.execute(_ROLE_EXISTS, {"role": step.role}).num_rows > 0
        if not there:
            # Each in a transaction of its own: an external schema cannot be made inside a longer one.
            engine.define(step.sql)
        yield step, not there


def view_file(name: str) -> NamedQuery:
    """A view as its file has it."""
    return parse((files("tollmeter.sql") / "views" / f"{name}.sql").read_text("utf-8"))


def _filled(name: str, given: dict[str, str]) -> list[Step]:
    return [Step(template(name).purpose, sql) for sql in template(name).filled(given)]


def _views(given: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Schema, name and text of every view, late-binding, as a view on external tables has to be."""
    schema = identifier("redshift_schema", given["schema"])
    external = identifier("redshift_external_schema", given["external_schema"])
    for table in TABLES:
        columns = ",\n".join(f'  "{column.name}"' for column in table_columns(table))
        yield schema, table, f'SELECT\n{columns}\nFROM {external}."{table}"'
    for name, where in ((VIEW_REQUESTS, schema), (VIEW_RAW, _spectrum(given))):
        text = without_header(view_file(name).sql)
        yield where, name, with_schemas(text, dict.fromkeys(TABLES, external))


def _view_steps(schema: str, name: str, select: str, *, recreate: bool) -> Iterator[Step]:
    if recreate:
        yield Step(f"view {name}, before it is made again", f'DROP VIEW IF EXISTS {schema}."{name}"')
    text = f'CREATE OR REPLACE VIEW {schema}."{name}" AS\n{select}\nWITH NO SCHEMA BINDING'
    yield Step(f"view {name}", text)


def _spectrum(given: dict[str, str]) -> str:
    return identifier("redshift_spectrum_schema", given["spectrum_schema"])
