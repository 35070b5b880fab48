"""Small lakes by hand: rows of the event tables, written through the catalog as the ETL does."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tollmeter.etl.lake import open_tables
from tollmeter.etl.rollups import derive
from tollmeter.model.arrow import arrow_schema
from tollmeter.model.home import Home
from tollmeter.model.ids import new_event_id
from tollmeter.model.settings import Settings

Row = dict[str, Any]

# Model, dollars per million input and output tokens (None: not in any price list), weight.
MODELS: Final = (
    ("gpt-4o", "2.5", "10", 5),
    ("gpt-4o-mini", "0.15", "0.6", 9),
    ("claude-sonnet-4-5", "3", "15", 4),
    ("house-model", None, None, 1),
)
ROUTES: Final = ("/chat", "/summarise", "/search/{index}")
_SIMULATED: Final = json.dumps({"tollmeter.simulated": "model,route,latency_ms"})


def write(home: Home, table: str, rows: list[Row]) -> None:
    """Append rows to one table of the lake, missing columns null."""
    schema = arrow_schema(table)
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    open_tables(home, "zstd")[table].append(pa.Table.from_pylist(full, schema=schema))


def call(moment: datetime, index: int) -> Row:
    """One model call whose figures follow from its index alone."""
    model, input_price, output_price, _ = _pick(index)
    tokens_in, tokens_out = 200 + index * 37 % 1800, 20 + index * 13 % 400
    failed = index % 53 == 0
    cost = None
    if input_price and output_price and not failed:
        cost = (tokens_in * Decimal(input_price) + tokens_out * Decimal(output_price)) / 1_000_000
    latency = 300.0 + 900 * abs(math.sin(index)) + (4000 if index % 71 == 0 else 0)
    return _base(moment, index) | {
        "provider": "openai",
        "request_model": model,
        "response_model": "" if failed else model,
        "status": "error" if failed else "ok",
        "error_type": "rate_limit" if failed else "",
        "input_tokens": tokens_in,
        "output_tokens": 0 if failed else tokens_out,
        "cache_read_tokens": tokens_in // 3,
        "latency_ms": latency,
        "ttft_ms": None if failed else latency / 4,
        "cost_usd": cost,
        "cost_status": "priced" if cost is not None else "unpriced",
    }


def request(moment: datetime, index: int) -> Row:
    """The request that made the call of the same index."""
    return _base(moment, index) | {"method": "POST", "status_code": 200, "duration_ms": 1500.0}


def fill(home: Home, now: datetime, *, calls: int, hours: float, simulated: bool = False) -> list[Row]:
    """A lake of evenly spread calls over the last `hours`; returns the rows of `llm_calls`."""
    step = timedelta(hours=hours) / calls
    moments = [now - timedelta(seconds=90) - step * index for index in range(calls)]
    made = [call(moment, index) for index, moment in enumerate(moments)]
    if simulated:
        made[0]["tags"] = _SIMULATED
    write(home, "llm_calls", made)
    write(home, "requests", [request(moment, index) for index, moment in enumerate(moments)])
    derive(home, open_tables(home, "zstd"), Settings.load({}))
    return made


def _pick(index: int) -> tuple[str, str | None, str | None, int]:
    spread = [model for model in MODELS for _ in range(model[3])]
    return spread[index * 7 % len(spread)]


def _base(moment: datetime, index: int) -> Row:
    return {
        "event_id": new_event_id(),
        "schema_version": 1,
        "timestamp": moment,
        "event_date": moment.date(),
        "service": "assistant",
        "environment": "test",
        "request_id": f"request-{index}",
        "tenant_id": ("acme", "globex", "initech")[index % 3],
        "route": ROUTES[index % 3],
        "tags": "{}",
        "ingested_at": moment + timedelta(seconds=30),
        "batch_id": "by-hand",
    }
