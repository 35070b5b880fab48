"""How long the questions of the dashboard's pages take, in turns, over a lake of as many calls as are asked for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.page_asks import moment_after, questions
from benchmarks.query_lake import DAYS, FIRST, build, check_space

from tollmeter.etl.lake import summary_count
from tollmeter.etl.rollups import derive
from tollmeter.model.home import Home
from tollmeter.model.settings import Settings
from tollmeter.sql.engine import Engine, open_engine

_NOW = moment_after(datetime.combine(FIRST + timedelta(days=DAYS - 1), datetime.min.time()))


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
            pages = _ask(engine, rounds, progress)
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
        "pages": pages,
    }


def _ask(engine: Engine, rounds: int, progress: Callable[[str], None]) -> dict[str, dict[str, dict[str, float]]]:
    """Of each page's questions the median and the first time, which translates and plans, in ms."""
    asked = questions(engine, _NOW)
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        progress(f"queries: round {number} of {rounds}")
        for page, found in asked.items():
            for name, ask in found.items():
                taken.setdefault((page, name), []).append(_ms(ask))
    return {
        page: {name: {"ms": median(taken[page, name][1:]), "first_ms": taken[page, name][0]} for name in found}
        for page, found in asked.items()
    }


def _ms(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000
