"""A query narrowed to the rows of some tenants, whatever it says itself.

Every table and view that it reads is replaced by those of its rows that carry one of the tenants; what carries no
tenant is read as if it were empty. The text stays Redshift's, so that it runs wherever the query did.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import QueryError
from tollmeter.sql.ddl import table_columns
from tollmeter.sql.lake_views import TABLES
from tollmeter.sql.placing import edited, parsed

if TYPE_CHECKING:
    from sqlglot import exp

TENANT: Final = "tenant_id"
_PARAMETER: Final = "viewer_tenant_"
_VIEWS: Final = ("llm_requests", "raw_requests")
"""Views with the tenant among their columns."""


def scoped(sql: str, tenants: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The text that reads the rows of these tenants alone, and the parameters it takes besides its own.

    Raises:
        QueryError: the text is not one statement of Redshift SQL, or reads what is no table of the lake.

    >>> scoped("SELECT COUNT(*) FROM llm_calls AS c", ["acme"])
    ('SELECT COUNT(*) FROM (SELECT * FROM llm_calls WHERE tenant_id IN (:viewer_tenant_0)) AS c', {'viewer_tenant_0': 'acme'})
    >>> scoped("SELECT COUNT(*) FROM runs", ["acme"])[0]
    'SELECT COUNT(*) FROM (SELECT * FROM runs WHERE FALSE) AS runs'
    """  # noqa: E501 - a doctest's output is one line
    given = {f"{_PARAMETER}{index}": tenant for index, tenant in enumerate(tenants)}
    text = _narrowed(sql, tuple(given))
    # A parameter that no table of the text takes is one too many for DuckDB.
    return text, given if f":{_PARAMETER}" in text else {}


@lru_cache(maxsize=512)
def _narrowed(sql: str, parameters: tuple[str, ...]) -> str:
    from sqlglot import exp

    tree = parsed(sql)
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    if taken := ctes & _with_tenant().keys():
        raise QueryError(f"a WITH of the query has the name of a table: {', '.join(sorted(taken))}")
    tables = [found for found in tree.find_all(exp.Table) if found.db or found.name.lower() not in ctes]
    return edited(sql, {_start(found): (_end(found), _rows(sql, found, parameters)) for found in tables})


def _rows(sql: str, table: exp.Table, parameters: tuple[str, ...]) -> str:
    name = table.name.lower()
    if name not in _with_tenant():
        raise QueryError(f"{table.name or sql[_start(table) : _end(table)]} is no table of the lake")
    listed = ", ".join(f":{parameter}" for parameter in parameters)
    condition = f"{TENANT} IN ({listed})" if parameters and _with_tenant()[name] else "FALSE"
    rows = f"(SELECT * FROM {sql[_start(table) : _end(table)]} WHERE {condition})"  # noqa: S608 - names of the text
    return rows if table.alias else f"{rows} AS {name}"


def _start(table: exp.Table) -> int:
    first = table.args.get("db") or table.this
    return int(first.meta["start"])


def _end(table: exp.Table) -> int:
    return int(table.this.meta["end"]) + 1


@cache
def _with_tenant() -> dict[str, bool]:
    """Every table and view by name, and whether its rows carry a tenant."""
    tables = {name: any(column.name == TENANT for column in table_columns(name)) for name in TABLES}
    return tables | dict.fromkeys(_VIEWS, True)
