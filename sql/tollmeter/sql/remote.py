"""What the engines on Redshift share: named queries in the types of their headers, schemas put before tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tollmeter.sql.identifiers import identifier
from tollmeter.sql.lake_views import TABLES
from tollmeter.sql.named import NamedQuery, load
from tollmeter.sql.placing import with_schemas, without_header
from tollmeter.sql.results import as_told

if TYPE_CHECKING:
    import pyarrow as pa

    from tollmeter.model.settings import Settings
    from tollmeter.sql.cancelling import Cancel

VIEW_REQUESTS: Final = "llm_requests"
_VIEWS: Final = (*TABLES, VIEW_REQUESTS)
_PUBLIC: Final = "public"


class RemoteEngine(ABC):
    """An engine elsewhere; views stand in the schema that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        schema = settings.redshift_schema
        # Every session searches `public`: there the text stays as it is written.
        self._schemas = {} if schema == _PUBLIC else dict.fromkeys(_VIEWS, identifier("redshift_schema", schema))

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
            QueryError: it cannot be parsed or run, took too long, or does not give what its header tells.
            TransientError: the connection was lost, or Redshift is busy.
            CancelledError: `cancel` was called, from another thread.
        """
        return as_told(self._run(self._placed(query.sql), dict(values), cancel), query.columns)

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of one statement, with parameters written `:name`; no columns where it has none.

        Raises:
            QueryError: the text cannot be parsed or run, or took too long.
        """
        return self._run(self._placed(sql), dict(params or {}))

    @property
    def snapshot(self) -> str:
        """Empty: what Redshift sees of the lake changes without a word."""
        return ""

    def define(self, sql: str) -> None:
        """Run one statement as it is written, for what it does: no result, no parameters, no schema put anywhere.

        Raises:
            QueryError: it cannot be run.
        """
        self._run(sql, {})

    @abstractmethod
    def transaction(self, statements: Sequence[str]) -> None:
        """Run statements in their order, all or none of them.

        Raises:
            QueryError: one of them cannot be run; then none was.
        """

    def refresh(self) -> None:  # noqa: B027 - not abstract, for there is nothing to do
        """Nothing to do: every statement sees what has been committed."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds; it cannot be used afterwards."""

    @abstractmethod
    def _run(self, sql: str, params: dict[str, Any], cancel: Cancel | None = None) -> pa.Table: ...

    def _placed(self, sql: str) -> str:
        text = without_header(sql)
        return with_schemas(text, self._schemas) if self._schemas else text

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()
