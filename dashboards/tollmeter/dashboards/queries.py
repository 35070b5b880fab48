"""Named queries of the lake, run for a selection and turned into records."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.cache import Cache
from tollmeter.dashboards.filters import BUCKET_NAMES, Selection, Window, previous
from tollmeter.dashboards.records import Board, Call, Extent, Latency, Spend, Summary
from tollmeter.model.derived import ROLLUP_TABLES
from tollmeter.model.errors import TollmeterError
from tollmeter.model.names import EVENT_TABLES

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from tollmeter.model.home import Home
    from tollmeter.sql.engine import Engine

SIMULATED_TAG: Final = "tollmeter.simulated"
_KEPT_ANSWERS: Final = 64
_KEPT_SECONDS: Final = 60.0
_RECENT_CALLS: Final = 200

Row = dict[str, Any]


class Lake:
    """The lake of a home as the page asks it; answers are kept for a minute, and asked anew once the lake changed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None
        self._engine: Engine | None = None
        self._seen: tuple[str, ...] = ()
        self._boards = Cache[Board](_KEPT_ANSWERS, _KEPT_SECONDS)

    def board(self, selection: Selection, span: Window) -> Board:
        """Everything the page shows for a selection over a window."""
        engine, snapshot = self._newest()
        key = (snapshot, span.start, span.end, selection.models)
        try:
            return self._boards.get(key, lambda: _board(engine, selection, span))
        except TollmeterError:
            self._forget(engine)
            raise

    def _newest(self) -> tuple[Engine, tuple[str, ...]]:
        from tollmeter.sql.catalog import open_catalog
        from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine

        with self._lock:
            self._catalog = self._catalog or open_catalog(self._home)
            seen = _versions(self._catalog)
            if self._engine is None:
                self._engine = open_engine(ENGINE_DUCKDB, self._home)
            elif seen != self._seen:
                self._engine.refresh()
            self._seen = seen
            return self._engine, seen

    def _forget(self, engine: Engine) -> None:
        """After a failure the next question opens an engine anew, whatever state this one was left in."""
        with self._lock:
            if self._engine is engine:
                self._engine = None


def _versions(catalog: Catalog) -> tuple[str, ...]:
    """Where the metadata of each table stands: a commit moves it."""
    from tollmeter.sql.catalog import find_table

    tables = (find_table(catalog, name) for name in (*EVENT_TABLES, *ROLLUP_TABLES))
    return tuple(table.metadata_location if table else "" for table in tables)


def _board(engine: Engine, selection: Selection, span: Window) -> Board:
    extent = _extent(engine)
    if extent.last is None:
        return Board(extent)
    now, before = _parameters(selection, span), _parameters(selection, previous(span, selection))
    bucket = {"bucket": BUCKET_NAMES[span.bucket]}
    return Board(
        extent,
        now=_summary(engine, now),
        before=_summary(engine, before),
        spend=tuple(_spend(engine, now | bucket)),
        latency=tuple(_latency(engine, now | bucket)),
        calls=tuple(_calls(engine, now | {"limit": _RECENT_CALLS})),
        simulated=_simulated(engine, span),
    )


def simulated_fields(tag: str) -> list[str]:
    """The fields that the tag of a simulated row names.

    >>> simulated_fields('"tollmeter.simulated":"model,route, latency_ms"')
    ['model', 'route', 'latency_ms']
    """
    value = str(json.loads("{" + tag + "}").get(SIMULATED_TAG, ""))
    return [part for part in re.split(r"[,;\s]+", value) if part]


def _parameters(selection: Selection, span: Window) -> Row:
    return _times(span) | {"model": ",".join(selection.models)}


def _times(span: Window) -> Row:
    return {"since": span.start, "until": span.end}


def _rows(engine: Engine, query: str, **parameters: Any) -> list[Row]:
    rows: list[Row] = engine.query(query, **parameters).to_pylist()
    return rows


def _extent(engine: Engine) -> Extent:
    rows = _rows(engine, "models_seen")
    if not rows:
        return Extent()
    return Extent(
        models=tuple(row["model"] for row in rows),
        first=min(row["first_call"] for row in rows),
        last=max(row["last_call"] for row in rows),
        ingested=max(row["last_ingested"] for row in rows),
    )


def _summary(engine: Engine, parameters: Row) -> Summary:
    row = _rows(engine, "overview", **parameters)[0]
    return Summary(
        spend=row["spend_usd"],
        calls=row["calls"],
        requests=row["requests"],
        failed_calls=row["errors"],
        unpriced_calls=row["unpriced_calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        p95_latency_ms=row["p95_latency_ms"],
        p95_ttft_ms=row["p95_ttft_ms"],
    )


def _spend(engine: Engine, parameters: Row) -> Iterator[Spend]:
    for row in _rows(engine, "spend_over_time", **parameters):
        yield Spend(row["bucket"], row["model"], row["cost_usd"], row["calls"])


def _latency(engine: Engine, parameters: Row) -> Iterator[Latency]:
    for row in _rows(engine, "latency_over_time", **parameters):
        quantiles = (row["p50_latency_ms"], row["p95_latency_ms"], row["p99_latency_ms"])
        yield Latency(row["bucket"], *quantiles, calls=row["calls"])


def _calls(engine: Engine, parameters: Row) -> Iterator[Call]:
    for row in _rows(engine, "calls_recent", **parameters):
        yield Call(
            event_id=row["event_id"],
            timestamp=row["created_at"],
            model=row["model"],
            route=row["route"],
            tenant=row["tenant_id"],
            status=row["status"],
            error_type=row["error_type"],
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cost=row["cost_usd"],
            cost_status=row["cost_status"],
            latency_ms=row["latency_ms"],
            ttft_ms=row["ttft_ms"],
        )


def _simulated(engine: Engine, span: Window) -> tuple[str, ...]:
    tags = [row["simulated"] for row in _rows(engine, "simulated_fields", **_times(span)) if row["simulated"]]
    return tuple(dict.fromkeys(field for tag in tags for field in simulated_fields(tag)))
