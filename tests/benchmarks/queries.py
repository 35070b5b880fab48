"""What a page asks, of rollups and of rows: the same questions of the same lake, in turns."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.query_lake import DAYS, FIRST, build, check_space

from tollmeter.etl.lake import summary_count
from tollmeter.etl.rollups import derive
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.engine import Engine, open_engine

_END = datetime.combine(FIRST + timedelta(days=DAYS), datetime.min.time()) - timedelta(minutes=23)
_MONTH: dict[str, Any] = {"since": _END - timedelta(days=29, hours=23, minutes=37), "until": _END}
_DAY: dict[str, Any] = {"since": _END - timedelta(days=1), "until": _END}
_WITHIN = (
    "created_at >= CAST(:since AS TIMESTAMP) AND created_at < CAST(:until AS TIMESTAMP) "
    "AND event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE)"
)
_PERCENTILES = ", ".join(
    f"PERCENTILE_CONT({share}) WITHIN GROUP (ORDER BY latency_ms) AS p{number}"
    for number, share in enumerate((0.5, 0.95, 0.99))
)
# Name of the query over rollups, its parameters, and the same question of rows.
_ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "overview": (
        _MONTH,
        (
            "SELECT SUM(cost_usd) AS usd, COUNT(*) AS calls, SUM(input_tokens) AS asked, SUM(output_tokens) AS said, "
            "SUM(cache_read_tokens) AS cached, SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END) AS errors, "
            f"PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95 FROM llm_requests WHERE {_WITHIN}"
        ),
    ),
    "spend_over_time": (
        _MONTH,
        (
            "SELECT DATE_TRUNC('day', created_at) AS bucket, model, COUNT(*) AS calls, SUM(cost_usd) AS usd "
            f"FROM llm_requests WHERE {_WITHIN} GROUP BY 1, 2"
        ),
    ),
    "latency_over_time": (
        _MONTH,
        (
            f"SELECT DATE_TRUNC('day', created_at) AS bucket, COUNT(*) AS calls, {_PERCENTILES} "
            f"FROM llm_requests WHERE {_WITHIN} GROUP BY 1"
        ),
    ),
    "models_seen": ({}, "SELECT model, MIN(created_at) AS first, MAX(created_at) AS last FROM llm_requests GROUP BY 1"),
    "spend_by_day": (
        {"since": _MONTH["since"].date(), "until": _END.date(), "by": "tenant"},
        (
            "SELECT event_date, tenant_id, COUNT(*) AS calls, SUM(cost_usd) AS usd FROM llm_requests "
            "WHERE event_date BETWEEN CAST(:since AS DATE) AND CAST(:until AS DATE) GROUP BY 1, 2"
        ),
    ),
}
_DRILLED: dict[str, dict[str, Any]] = {
    "calls_recent": _DAY,
    "spend_by_tenant": _DAY,
    "errors_by_type": _DAY,
}
"""Queries over rows, of one day."""


def measure(rows: int, rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Build a lake, derive its rollups by the code that a run uses, and ask in turns."""
    check_space(rows)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        started = time.perf_counter()
        tables = build(home, rows, progress)
        built = time.perf_counter() - started
        progress("queries: rollups 1 of 1")
        report = derive(home, tables, Settings.load({}))
        with open_engine("duckdb", home) as engine:
            asked = _ask(engine, rounds, progress)
        for table in tables.values():
            table.refresh()
        sizes = {name: summary_count(tables[name].current_snapshot(), "total-files-size") for name in report.rows}
    return {
        "rows": rows,
        "days": DAYS,
        "rounds": rounds,
        "build_s": built,
        "rollup_s": report.seconds,
        "rollups": {name: {"rows": found, "bytes": sizes[name]} for name, found in report.rows.items()},
        **asked,
    }


def _ask(engine: Engine, rounds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    rolled: dict[str, list[float]] = {name: [] for name in _ASKED}
    raw: dict[str, list[float]] = {name: [] for name in _ASKED}
    day: dict[str, list[float]] = {name: [] for name in _DRILLED}
    for number in range(rounds + 1):  # the first time warms up
        progress(f"queries: round {number} of {rounds}")
        for name, (given, sql) in _ASKED.items():
            turns: list[tuple[list[float], Callable[[], object]]] = [
                (rolled[name], partial(engine.query, name, **given)),
                (raw[name], partial(engine.execute, sql, _used(sql, given))),
            ]
            for kept, ask in turns if number % 2 else reversed(turns):
                kept.append(_ms(ask))
        for name, given in _DRILLED.items():
            day[name].append(_ms(partial(engine.query, name, **given)))
    return {
        "asked": {name: {"rollup_ms": median(rolled[name][1:]), "raw_ms": median(raw[name][1:])} for name in _ASKED},
        "drilled": {name: median(found[1:]) for name, found in day.items()},
    }


def _used(sql: str, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if f":{name}" in sql}


def _ms(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000
