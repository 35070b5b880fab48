"""What runs SQL: one protocol, one implementation per place the lake is read from."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tollmeter.model.errors import UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.model.home import Home
    from tollmeter.model.settings import Settings
    from tollmeter.sql.cancelling import Cancel
    from tollmeter.sql.named import NamedQuery
    from tollmeter.sql.remote import RemoteEngine

ENGINE_DUCKDB: Final = "duckdb"
ENGINE_REDSHIFT: Final = "redshift"
ENGINE_REDSHIFT_DATA: Final = "redshift-data"
REMOTE_ENGINES: Final = (ENGINE_REDSHIFT, ENGINE_REDSHIFT_DATA)
ENGINES: Final = (ENGINE_DUCKDB, *REMOTE_ENGINES)


class Engine(Protocol):
    """Runs named queries and Redshift-dialect text on the lake; safe to share between threads."""

    def query(self, name: str, **params: Any) -> pa.Table:
        """The result of a named query; parameters left out take the defaults of its header.

        Raises:
            UnknownNameError: there is no query, or no parameter, of that name.
            SettingError: a parameter has a value of the wrong type.
        """
        ...

    def run(self, query: NamedQuery, values: Mapping[str, Any], cancel: Cancel | None = None) -> pa.Table:
        """The result of a query, of its file or made from one, with a value for each of its parameters.

        Raises:
            QueryError: it cannot be parsed or run.
            TransientError: the connection was lost, or the engine is busy.
            CancelledError: `cancel` was called, from another thread.
        """
        ...

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of one statement in Redshift's dialect, with parameters written `:name`.

        Raises:
            QueryError: the text cannot be parsed or run.
        """
        ...

    @property
    def snapshot(self) -> str:
        """Names the state of the lake that queries see; empty where the engine cannot tell."""
        ...

    def refresh(self) -> None:
        """See what has been committed to the lake since the engine was opened."""
        ...

    def close(self) -> None:
        """Give back what the engine holds; it cannot be used afterwards."""
        ...

    def __enter__(self) -> Self:
        """The engine itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        ...


def open_engine(
    kind: str, home: Home, settings: Settings | None = None, *, statements: int = 1, memory_bytes: int = 0
) -> Engine:
    """An engine: on the lake of a home, or on Redshift where the settings say it is.

    `statements` is how many run at a time where each takes a connection, `memory_bytes` what DuckDB may take (0: its
    own rule).

    Raises:
        UnknownNameError: there is no engine of that kind.
        UsageError: the settings do not say where Redshift is.
        MissingExtraError: what the engine needs is not installed.
    """
    if kind not in ENGINES:
        raise UnknownNameError("engine", kind, ENGINES)
    if kind in REMOTE_ENGINES:
        return open_remote(kind, settings, statements=statements)
    from tollmeter.sql.duckdb_engine import DuckDBEngine

    return DuckDBEngine(home, memory_bytes)


def open_remote(kind: str, settings: Settings | None = None, *, statements: int = 1) -> RemoteEngine:
    """An engine on Redshift, which runs so many statements at a time.

    Raises:
        UnknownNameError: there is no such engine, or it is not on Redshift.
        UsageError: the settings do not say where Redshift is.
        MissingExtraError: what the engine needs is not installed.
    """
    from tollmeter.model.settings import Settings

    if kind not in REMOTE_ENGINES:
        raise UnknownNameError("engine on Redshift", kind, REMOTE_ENGINES)
    chosen = settings or Settings.load()
    if kind == ENGINE_REDSHIFT:
        from tollmeter.sql.redshift_engine import RedshiftEngine

        return RedshiftEngine(chosen, statements)
    from tollmeter.sql.redshift_data_engine import RedshiftDataEngine

    return RedshiftDataEngine(chosen)
