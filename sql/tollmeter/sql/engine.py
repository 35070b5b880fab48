"""What runs SQL: one protocol, one implementation per place the lake is read from."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tollmeter.model.errors import UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.model.home import Home

ENGINE_DUCKDB: Final = "duckdb"
ENGINES: Final = (ENGINE_DUCKDB,)


class Engine(Protocol):
    """Runs named queries and Redshift-dialect text on the lake; safe to share between threads."""

    def query(self, name: str, **params: Any) -> pa.Table:
        """The result of a named query; parameters left out take the defaults of its header.

        Raises:
            UnknownNameError: there is no query, or no parameter, of that name.
            SettingError: a parameter has a value of the wrong type.
        """
        ...

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of one statement in Redshift's dialect, with parameters written `:name`.

        Raises:
            QueryError: the text cannot be parsed or run.
        """
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


def open_engine(kind: str, home: Home) -> Engine:
    """An engine on the lake of a home.

    Raises:
        UnknownNameError: there is no engine of that kind.
        MissingExtraError: what the engine needs is not installed.
    """
    if kind != ENGINE_DUCKDB:
        raise UnknownNameError("engine", kind, ENGINES)
    from tollmeter.sql.duckdb_engine import DuckDBEngine

    return DuckDBEngine(home)
