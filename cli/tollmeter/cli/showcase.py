"""What `tollmeter demo` does before it serves: history, live replay, ETL, alarms, totals."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tollmeter.alarms import Backtest, backtest
from tollmeter.cli.sample.driver import SIMULATED
from tollmeter.cli.sample.session import Replayed, replay, source_name
from tollmeter.cli.sample.traces import TraceRow, read_trace
from tollmeter.cli.simulator.history import Plan, write_history
from tollmeter.cli.simulator.trace import simulated_rows
from tollmeter.cli.steps import Steps
from tollmeter.etl import RunReport
from tollmeter.etl import run as run_etl
from tollmeter.model.events import utc_now
from tollmeter.model.home import Home
from tollmeter.sql.engine import ENGINE_DUCKDB, open_engine

REPLAYED_ROWS: Final = 400
SIMULATED_SOURCE: Final = "simulated rows"

_TRACE: Final = Path("data/traces/azure_llm_2023/AzureLLMInferenceTrace_conv.csv")
_SHARED: Final = "TOLLMETER_SHARED"
_ALL_TIME: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Showcase:
    """What the demo made: totals of the whole lake, the replay and its source, the ETL's run, alarms as backtested."""

    home: Home
    totals: dict[str, Any]
    replayed: Replayed
    source: str
    etl: RunReport
    alarms: list[Backtest]
    seconds: float


def prepare(home: Home, *, rows: int, seed: int, steps: Steps) -> Showcase:
    """Fill a home with history and a live replay, and ingest both.

    Raises:
        MissingExtraError: a package of the extra `demo` is not installed.
        InvariantError: the ETL lost or doubled a row.
    """
    started = time.monotonic()
    _simulate(home, rows, seed, steps)
    replayed, source = _replay(home, seed, steps)
    etl = _ingest(home, steps)
    alarms = _backtest(home, steps)
    return Showcase(home, _totals(home), replayed, source, etl, alarms, time.monotonic() - started)


def find_trace() -> Path | None:
    """The real trace, from `TOLLMETER_SHARED` or `../shared`; None where there is none."""
    path = Path(os.environ.get(_SHARED) or "../shared") / _TRACE
    return path if path.is_file() else None


def _simulate(home: Home, rows: int, seed: int, steps: Steps) -> None:
    with steps.step("Simulate two months of history") as step:
        made = write_history(home, Plan(rows=rows, seed=seed), progress=step.progress)
        events = made.events.total()
        step.result = f"{events:,} events in {made.objects} new raw objects, {made.existing} there already"


def _replay(home: Home, seed: int, steps: Steps) -> tuple[Replayed, str]:
    rows, source, simulated = _rows(seed)
    with steps.step(f"Replay {len(rows)} rows through a live service ({source})") as step:
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            step.progress(done, len(rows))

        replayed = replay(home, rows, source, simulated=simulated, progress=advance)
        sent = replayed.outcome
        failed = f", {sent.errors.total():,} failed" if sent.errors else ""
        step.result = f"{sent.rows:,} answered in full, {sent.input_tokens + sent.output_tokens:,} tokens{failed}"
    return replayed, source


def _rows(seed: int) -> tuple[list[TraceRow], str, str]:
    path = find_trace()
    if path:
        return read_trace(path, REPLAYED_ROWS), source_name(path), SIMULATED
    return simulated_rows(REPLAYED_ROWS, seed), SIMULATED_SOURCE, f"{SIMULATED},tokens"


def _ingest(home: Home, steps: Steps) -> RunReport:
    with steps.step("Land raw events in the lake") as step:
        report = run_etl(home, progress=step.progress)
        step.result = report.equation
    return report


def _backtest(home: Home, steps: Steps) -> list[Backtest]:
    with steps.step("Try the alarms on that history") as step:
        tried = backtest(home)
        step.result = f"fired {sum(len(one.firings) for one in tried)} times; alarms tried: {len(tried)}"
    return tried


def _totals(home: Home) -> dict[str, Any]:
    with open_engine(ENGINE_DUCKDB, home) as engine:
        rows = engine.query("overview", since=utc_now() - _ALL_TIME, until=utc_now() + timedelta(days=1)).to_pylist()
    return dict(rows[0])
