"""Rows per second of `tollmeter etl run`, beside DuckDB's plain copy of the same lines to Parquet."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import uuid_utils
from benchmarks.paired import difference

from tollmeter import etl
from tollmeter.model.events import LlmCall, Request, encode
from tollmeter.model.home import Home
from tollmeter.pricing import Usage, price

TOLLMETER, DUCKDB = "tollmeter etl run", "DuckDB COPY"
_START = datetime(2026, 11, 1, tzinfo=UTC)
_OBJECTS = 4


def measure(rounds: int, rows: int, progress: Callable[[str], None]) -> dict[str, object]:
    """Interleaved runs over the same uncompressed lines, each into a fresh lake or file."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "raw"
        write_raw(lines, rows)
        warm = Path(folder) / "warm"
        write_raw(warm, _OBJECTS)
        _land(warm)
        _copy(warm)
        seconds: dict[str, list[float]] = {TOLLMETER: [], DUCKDB: []}
        for index in range(rounds):
            progress(f"etl: round {index + 1} of {rounds}")
            runs = ((TOLLMETER, _land), (DUCKDB, _copy))
            for name, run in runs if index % 2 else reversed(runs):
                seconds[name].append(run(lines))
    return _document(seconds, rows)


def _document(seconds: dict[str, list[float]], rows: int) -> dict[str, object]:
    rates = {name: [rows / value for value in values] for name, values in seconds.items()}
    found = difference(seconds[DUCKDB], seconds[TOLLMETER])
    result: dict[str, object] = {"rows": rows, "rounds": len(seconds[DUCKDB])}
    result |= {name: {"rows_per_s": median(values)} for name, values in rates.items()}
    return result | {"added_s": {"median": found.median, "low": found.low, "high": found.high}}


def write_raw(folder: Path, rows: int) -> None:
    """Raw objects of `rows` events, half of them requests and half their calls."""
    hour = folder / "dt=2026-11-01" / "hour=00"
    hour.mkdir(parents=True)
    share = rows // _OBJECTS
    for part in range(_OBJECTS):
        events = (_pair(index) for index in range(part * share // 2, (part + 1) * share // 2))
        lines = b"".join(encode(call) + encode(request) for request, call in events)
        (hour / f"{uuid_utils.uuid7()}.jsonl").write_bytes(lines)


def _pair(index: int) -> tuple[Request, LlmCall]:
    usage = Usage(input_tokens=1000 + index % 977, output_tokens=100 + index % 89, cache_read_tokens=index % 512)
    at = _START + timedelta(seconds=index % 86_400)
    cost = price("openai", "gpt-4o-mini", usage, at=at)
    shared: dict[str, Any] = {
        "timestamp": at,
        "service": "bench",
        "request_id": f"r-{index}",
        "tenant_id": f"tenant-{index % 20}",
    }
    shared |= {"trace_id": f"{index:032x}", "route": "/chat", "environment": "bench", "instance": "i-1"}
    request = Request(
        event_id=str(uuid_utils.uuid7()),
        method="POST",
        status_code=200,
        duration_ms=12.5 + index % 100,
        ttfb_ms=3.25,
        response_bytes=512,
        llm_calls=1,
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cost_usd=cost.cost_usd,
        **shared,
    )
    return request, _call(shared, usage, cost.cost_usd or Decimal(0))


def _call(shared: dict[str, Any], usage: Usage, cost: Decimal) -> LlmCall:
    return LlmCall(
        event_id=str(uuid_utils.uuid7()),
        provider="openai",
        operation="chat",
        request_model="gpt-4o-mini",
        response_model="gpt-4o-mini-2024-07-18",
        http_status=200,
        finish_reason="stop",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        usage_source="reported",
        latency_ms=10.5,
        cost_usd=cost,
        cost_status="priced",
        **shared,
    )


def _land(lines: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(lines, Path(folder) / "raw")
        start = time.perf_counter()
        etl.run(Home(Path(folder))).check()
        return time.perf_counter() - start


def _copy(lines: Path) -> float:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        start = time.perf_counter()
        database.execute(
            f"COPY (SELECT * FROM read_json_auto('{lines}/**/*.jsonl', format='newline_delimited')) "
            f"TO '{folder}/out.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        return time.perf_counter() - start
