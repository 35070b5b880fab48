"""The lake as the dashboard asks it: one engine for all, each viewer's own rows, answers kept until it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.access.viewer import Viewer
from tollmeter.dashboards.answers import Answers
from tollmeter.model.errors import CancelledError, DataError, QueryError, TransientError, UsageError
from tollmeter.model.names import TABLE_LLM_CALLS
from tollmeter.model.settings import Settings
from tollmeter.sql.cancelling import Cancel
from tollmeter.sql.catalog import find_table, has_lake, open_catalog
from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine
from tollmeter.sql.named import NamedQuery, load, parse
from tollmeter.sql.scoping import scoped

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

    from tollmeter.model.home import Home
    from tollmeter.sql.engine import Engine

LOOK_S: Final = 2.0
"""How often the lake is looked at for what was committed."""
_REOPEN_S: Final = 10.0
_PING: Final = parse(
    f"-- name: ping\n-- purpose: whether a row can be read\n-- columns: event_id\n"
    f"SELECT event_id FROM {TABLE_LLM_CALLS} LIMIT 1"
)
_cancel: ContextVar[Cancel | None] = ContextVar("tollmeter_cancel", default=None)


class Lake:
    """Runs named queries for viewers; safe to share between threads.

    A viewer of some tenants gets the rows of these from whatever is asked, and none of tables that carry no tenant.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings | None = None,
        *,
        look_s: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is opened until something is asked."""
        self._home, self._settings = home, settings or Settings.load()
        self._look_s, self._clock = look_s, clock
        self._answers = Answers(self._settings.dashboard_cache_bytes, self._settings.dashboard_cache_age_s, clock)
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._catalog: Catalog | None = None
        self._told = ""
        self._looked_at = self._opened_at = float("-inf")
        self._cancels: dict[tuple[str, str], Cancel] = {}
        self.answered_at: float | None = None
        """When a query was answered last, by the clock; None where none was."""
        self.failed_at: float | None = None
        """When the lake could not be opened or asked; None once it was answered again."""

    @property
    def engine(self) -> str:
        """What runs the queries: duckdb, redshift or redshift-data."""
        return self._settings.engine

    def ping(self) -> None:
        """Open the lake's catalog anew and read one row, whatever is kept.

        Raises:
            QueryError: a row cannot be read. What a catalog that cannot be opened raises depends on its kind.
        """
        with self._watched():
            with self._lock:
                engine = self._opened()
            if self.engine == ENGINE_DUCKDB:
                # What is open already would not notice that a file has gone.
                if not has_lake(self._home):
                    raise DataError("the lake's catalog has gone")
                with closing(open_catalog(self._home)) as catalog:
                    find_table(catalog, TABLE_LLM_CALLS)
            engine.run(_PING, {})
        self._answered()

    @property
    def home(self) -> Home:
        """The home it was opened on."""
        return self._home

    @property
    def settings(self) -> Settings:
        """The settings it was opened with."""
        return self._settings

    def query(self, viewer: Viewer, name: str, /, **params: Any) -> pa.Table:
        """The result of a named query as this viewer may see it; parameters left out take the defaults of its header.

        Raises:
            UnknownNameError: there is no query, or no parameter, of that name.
            SettingError: a parameter has a value of the wrong type.
            QueryError: it cannot be run.
            TransientError: the connection was lost, or the engine is busy, twice.
            CancelledError: the block of `cancellable` that asks was cancelled.
        """
        return self.run(viewer, load(name), **params)

    def run(self, viewer: Viewer, query: NamedQuery, /, **params: Any) -> pa.Table:
        """As `query`, for one that no file holds as it is."""
        values = dict(query.bind(params))
        with self._watched():
            engine, snapshot = self._newest()
        if viewer.tenants is not None:
            text, tenants = scoped(query.sql, viewer.tenants)
            query, values = replace(query, sql=text), values | tenants
        key = (query.sql, tuple(sorted(values.items())), viewer.tenants, snapshot)
        cancel = _cancel.get()
        return self._answers.get(key, lambda: self._asked(engine, query, values, cancel), cancel)

    def rows(self, viewer: Viewer, name: str, /, **params: Any) -> list[dict[str, Any]]:
        """As `query`, row by row."""
        rows: list[dict[str, Any]] = self.query(viewer, name, **params).to_pylist()
        return rows

    @contextmanager
    def cancellable(self, viewer: Viewer, token: str) -> Iterator[None]:
        """Around reading: what this thread asks in the block ends when `cancel` is called with the token.

        The token is the asker's to choose; another viewer's is another token.
        """
        key, cancel = (viewer.subject, token), Cancel()
        with self._lock:
            self._cancels[key] = cancel
        before = _cancel.set(cancel)
        try:
            yield
        finally:
            _cancel.reset(before)
            with self._lock:
                if self._cancels.get(key) is cancel:
                    del self._cancels[key]

    def cancel(self, viewer: Viewer, token: str) -> bool:
        """End what is asked under a token, now; returns whether anything was."""
        with self._lock:
            found = self._cancels.get((viewer.subject, token))
        if found:
            found.now()
        return found is not None

    def close(self) -> None:
        """Give back the engine; another question opens one anew."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine:
            engine.close()

    def _asked(self, engine: Engine, query: NamedQuery, values: dict[str, Any], cancel: Cancel | None) -> pa.Table:
        with self._watched():
            try:
                answer = engine.run(query, values, cancel)
            except TransientError:
                answer = engine.run(query, values, cancel)
            except QueryError:
                anew = self._reopened(engine)
                if anew is None:
                    raise
                answer = anew.run(query, values, cancel)
        self._answered()
        return answer

    def _answered(self) -> None:
        self.answered_at, self.failed_at = self._clock(), None

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Around asking: remember a failure that is not the asker's own."""
        try:
            yield
        except (CancelledError, UsageError):
            raise
        except Exception:
            self.failed_at = self._clock()
            raise

    def _newest(self) -> tuple[Engine, str]:
        """The engine, and the state of the lake that it sees; who finds another thread looking takes what was seen."""
        if not self._lock.acquire(blocking=self._engine is None):
            engine = self._engine
            if engine is not None:
                return engine, self._snapshot(engine)
            self._lock.acquire()
        try:
            engine = self._opened()
            if self._clock() - self._looked_at >= self._look_s:
                engine.refresh()
                self._told = "" if engine.snapshot else self._told_by_catalog()
                self._looked_at = self._clock()
            return engine, self._snapshot(engine)
        finally:
            self._lock.release()

    def _opened(self) -> Engine:
        if self._engine is None:
            chosen = self._settings
            self._engine = open_engine(
                chosen.engine,
                self._home,
                chosen,
                statements=chosen.dashboard_threads,
                memory_bytes=chosen.dashboard_memory_bytes,
            )
            self._opened_at = self._clock()
            self._looked_at = self._opened_at if self._engine.snapshot else float("-inf")
        return self._engine

    def _snapshot(self, engine: Engine) -> str:
        if engine.snapshot:
            return engine.snapshot
        return self._told or f"until {self._clock() // self._settings.dashboard_stale_s}"

    def _told_by_catalog(self) -> str:
        """The state of a lake that an engine elsewhere reads, where its catalog can be reached; else empty."""
        from tollmeter.sql.lake_views import snapshot_of

        if not self._settings.lake_url:
            return ""
        self._catalog = self._catalog or open_catalog(self._home)
        return snapshot_of(self._catalog)

    def _reopened(self, failed: Engine) -> Engine | None:
        """Another engine to ask once more after a failure; None where that would be no use, or was done just now.

        An embedded engine holds credentials of S3 that expire, and paths of files that a vacuum removes. What others
        still ask of it goes on: it is not closed.
        """
        if not failed.snapshot:
            return None
        with self._lock:
            if self._engine is failed:
                if self._clock() - self._opened_at < _REOPEN_S:
                    return None
                self._engine = None
            return self._opened()
