"""The embedded engine: DuckDB over the Parquet files of the home's Iceberg tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tollmeter.model.errors import MissingExtraError, QueryError
from tollmeter.sql.cancelling import stoppable
from tollmeter.sql.catalog import open_catalog
from tollmeter.sql.dialect import to_duckdb
from tollmeter.sql.lake_views import LakeViews
from tollmeter.sql.named import load
from tollmeter.sql.places import open_place

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tollmeter.model.home import Home
    from tollmeter.sql.cancelling import Cancel
    from tollmeter.sql.named import NamedQuery
    from tollmeter.sql.parameters import Parameter

_PARAMETER: Final = re.compile(r"\$(\w+)")
VIEWS: Final = {"llm_requests": "llm_requests", "raw_requests": "spectrum_schema.raw_requests"}
"""Views people already query, by the file that defines them."""


class DuckDBEngine:
    """Runs Redshift-dialect text on the lake of one home, in this process, reading nothing outside that lake."""

    def __init__(self, home: Home, memory_bytes: int = 0) -> None:
        """`memory_bytes` is what DuckDB may take; 0 leaves it to itself: four fifths of the machine's."""
        self._catalog = open_catalog(home)
        self._views = LakeViews(self._catalog)
        self._connection = _connect()
        if memory_bytes:
            self._connection.execute(f"SET GLOBAL memory_limit = '{int(memory_bytes)}B'")
        place = open_place(home)
        place.attach(self._connection)
        self._lock = Lock()
        self._connection.execute("CREATE SCHEMA spectrum_schema")
        self.refresh()
        for file, name in VIEWS.items():
            self._connection.execute(f"CREATE VIEW {name} AS {_view_text(file)}")
        _confine(self._connection, place.warehouse)

    def query(self, name: str, **params: Any) -> pa.Table:
        """The result of a named query; parameters left out take the defaults of its header.

        Raises:
            UnknownNameError: there is no query, or no parameter, of that name.
            SettingError: a parameter has a value of the wrong type.
        """
        named = load(name)
        return self.run(named, named.bind(params))

    def run(self, query: NamedQuery, values: Mapping[str, Any], cancel: Cancel | None = None) -> pa.Table:
        """The result of a query, of its file or made from one, with a value for each of its parameters.

        Raises:
            QueryError: it cannot be parsed or run.
            CancelledError: `cancel` was called, from another thread.
        """
        known = {one.name: str(values[one.name]) for one in query.parameters if _is_known(one, values.get(one.name))}
        text = to_duckdb(query.sql, tuple(sorted(known.items())))
        left = set(_PARAMETER.findall(text))
        return self._run(text, {name: value for name, value in values.items() if name in left}, cancel)

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of one statement in Redshift's dialect, with parameters written `:name`.

        Raises:
            QueryError: the text cannot be parsed or run.
        """
        return self._run(to_duckdb(sql), params or {}, None)

    @property
    def snapshot(self) -> str:
        """Names the state of the lake that queries see: another one after each commit."""
        return self._views.snapshot

    def _run(self, text: str, values: Mapping[str, Any], cancel: Cancel | None) -> pa.Table:
        import duckdb

        try:
            # A cursor of its own: a DuckDB connection serves one thread at a time.
            with self._connection.cursor() as cursor, stoppable(cancel, cursor.interrupt):
                return cursor.sql(text, params=dict(values)).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(f"{str(error).strip()}\nin: {text}") from error

    def refresh(self) -> None:
        """See what has been committed to the lake since the engine was opened; only tables that changed are planned."""
        with self._lock:
            for statement in self._views.changed():
                self._connection.execute(statement)

    def close(self) -> None:
        """Close the connection and the catalog; closing twice does nothing."""
        self._connection.close()
        self._catalog.close()

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()


def _is_known(parameter: Parameter, value: object) -> bool:
    """Whether a value decides which branches and conditions of a text there are: a choice, or no filter."""
    return "|" in parameter.type or (parameter.type == "text" and value == "")


def _connect() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise MissingExtraError("duckdb", "etl") from error
    connection = duckdb.connect()
    # GLOBAL, or cursors would keep the machine's zone.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    # Files of the lake never change: their footers are read once.
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    return connection


def _confine(connection: duckdb.DuckDBPyConnection, warehouse: str) -> None:
    folder = warehouse.replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{folder}']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _view_text(file: str) -> str:
    return to_duckdb((files("tollmeter.sql") / "views" / f"{file}.sql").read_text("utf-8"))
