"""Edits to a text of Redshift SQL that leave the rest of it as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import MissingExtraError, QueryError

if TYPE_CHECKING:
    from sqlglot import exp

_CONSTANTS: Final[dict[object, str]] = {None: "NULL", "": "''"}


def with_schemas(sql: str, schemas: Mapping[str, str]) -> str:
    """The text with a schema before each table that has none, by the table's name; CTEs are no tables.

    Raises:
        QueryError: the text is not one statement of Redshift SQL.

    >>> with_schemas("SELECT r.route FROM requests AS r -- all", {"requests": '"public"'})
    'SELECT r.route FROM "public".requests AS r -- all'
    """
    tree = parsed(sql)
    from sqlglot import exp

    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    bare = [found.this for found in tree.find_all(exp.Table) if not found.db and found.name not in ctes]
    named = [found for found in bare if found.name in schemas]
    return edited(sql, {found.meta["start"]: (found.meta["start"], f"{schemas[found.name]}.") for found in named})


def without_unbindable(sql: str, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text with `NULL` and `''` in place of parameters of these two values, and the parameters that are left.

    The Data API binds neither: a parameter's value has at least one character, and there is no null
    (docs.aws.amazon.com/redshift-data/latest/APIReference/API_SqlParameter.html).

    >>> without_unbindable("SELECT :a, :b::text, ':a'", {"a": None, "b": "x"})
    ("SELECT NULL, :b::text, ':a'", {'b': 'x'})
    """
    constants = {name: _CONSTANTS[value] for name, value in params.items() if value is None or value == ""}
    edits = {start: (end, constants[name]) for name, start, end in _placeholders(sql) if name in constants}
    return edited(sql, edits), {name: value for name, value in params.items() if name not in constants}


def without_header(sql: str) -> str:
    r"""The text without the comment lines it begins with.

    >>> without_header("-- name: one\n-- purpose: none\nSELECT 1\n")
    'SELECT 1'
    """
    lines = sql.strip().splitlines()
    first = next((index for index, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return "\n".join(lines[first:]).strip()


def split(sql: str) -> list[str]:
    r"""The statements of a text, without their semicolons.

    >>> split("BEGIN; SELECT ';' -- one; two\n; COMMIT;")
    ['BEGIN', "SELECT ';' -- one; two", 'COMMIT']
    """
    ends = [token.start for token in _tokens(sql) if token.token_type.name == "SEMICOLON"]
    parts = (sql[start:end] for start, end in zip([0, *(end + 1 for end in ends)], [*ends, len(sql)], strict=True))
    return [part.strip() for part in parts if part.strip()]


def _placeholders(sql: str) -> list[tuple[str, int, int]]:
    """Name, start and end of each `:name`."""
    tokens = _tokens(sql)
    pairs = pairwise(tokens)
    return [
        (after.text, colon.start, after.end + 1)
        for colon, after in pairs
        if colon.token_type.name == "COLON" and after.start == colon.end + 1
    ]


def edited(sql: str, edits: Mapping[int, tuple[int, str]]) -> str:
    """The text with other words from some places on: by start, the end and what is put there."""
    for start in sorted(edits, reverse=True):
        end, text = edits[start]
        sql = sql[:start] + text + sql[end:]
    return sql


def _tokens(sql: str) -> list[Any]:
    try:
        from sqlglot.dialects.redshift import Redshift
        from sqlglot.errors import SqlglotError
    except ModuleNotFoundError as error:
        raise MissingExtraError("sqlglot", "etl") from error
    try:
        return Redshift().tokenize(sql)
    except SqlglotError as error:
        raise QueryError(f"not Redshift SQL: {error}") from error


def parsed(sql: str) -> exp.Expr:
    """The text as a tree; identifiers carry where they stand in it.

    Raises:
        QueryError: it is not one statement of Redshift SQL.
    """
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ModuleNotFoundError as error:
        raise MissingExtraError("sqlglot", "etl") from error
    try:
        return sqlglot.parse_one(sql, read="redshift")
    except SqlglotError as error:
        raise QueryError(f"not Redshift SQL: {error}") from error
