"""Redshift's dialect to DuckDB's, by sqlglot; each text is translated once per process."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import MissingExtraError, QueryError
from tollmeter.sql.folding import folded

if TYPE_CHECKING:
    from sqlglot import exp

Known = tuple[tuple[str, str], ...]
"""Parameters whose values are known, with them."""

_KEPT: Final = 2048


@lru_cache(maxsize=_KEPT)
def to_duckdb(sql: str, known: Known = ()) -> str:
    """One Redshift statement in DuckDB's dialect; `:name` becomes `$name`, but for parameters that are known.

    Raises:
        QueryError: the text is not one statement of Redshift SQL.
        MissingExtraError: sqlglot is not installed.

    >>> to_duckdb("SELECT NVL(model, :none) FROM llm_requests")
    'SELECT COALESCE(model, $none) FROM llm_requests'
    >>> to_duckdb("SELECT CASE WHEN :by = 'team' THEN team ELSE model END FROM llm_requests", (("by", "team"),))
    'SELECT team FROM llm_requests'
    """
    tree = _parsed(sql)
    if known:
        tree = folded(tree.copy(), dict(known))
    return tree.sql("duckdb", comments=False)


@lru_cache(maxsize=64)
def _parsed(sql: str) -> exp.Expr:
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ModuleNotFoundError as error:
        raise MissingExtraError("sqlglot", "etl") from error
    try:
        statements = sqlglot.parse(sql, read="redshift")
    except SqlglotError as error:
        raise QueryError(f"not Redshift SQL: {error}") from error
    if len(statements) != 1 or statements[0] is None:
        raise QueryError(f"expected one statement, found {len(statements)}")
    return statements[0]
