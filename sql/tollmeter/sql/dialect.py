"""Redshift's dialect to DuckDB's, by sqlglot; each text is translated once per process."""

from __future__ import annotations

from functools import lru_cache

from tollmeter.model.errors import MissingExtraError, QueryError


@lru_cache(maxsize=512)
def to_duckdb(sql: str) -> str:
    """One Redshift statement in DuckDB's dialect; `:name` becomes `$name`.

    Raises:
        QueryError: the text is not one statement of Redshift SQL.
        MissingExtraError: sqlglot is not installed.

    >>> to_duckdb("SELECT NVL(model, :none) FROM llm_requests")
    'SELECT COALESCE(model, $none) FROM llm_requests'
    """
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ModuleNotFoundError as error:
        raise MissingExtraError("sqlglot", "etl") from error
    try:
        statements = sqlglot.transpile(sql, read="redshift", write="duckdb", comments=False)
    except SqlglotError as error:
        raise QueryError(f"not Redshift SQL: {error}") from error
    if len(statements) != 1:
        raise QueryError(f"expected one statement, found {len(statements)}")
    return statements[0]
