"""Lines of wide events (46 fields and more, about 1.1 kB) for the ETL's benchmark.

Tokens and pace are those of the Azure LLM inference traces of 2023, played again until there are rows enough. What the
traces do not hold is made up, with the bonds that real traffic has: a user and a route belong to a tenant, a prompt and
a model to a feature, latency follows the tokens. One line in a hundred is delivered again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any, Final

from tollmeter.cli.sample.traces import TraceRow, read_trace

AGAIN: Final = 0.01
SEED: Final = 20261125
START: Final = datetime(2026, 11, 1, tzinfo=UTC)
_TRACES: Final = ("AzureLLMInferenceTrace_conv.csv", "AzureLLMInferenceTrace_code.csv")
_MODELS: Final = (("gpt-4o-mini", "2024-07-18", 150, 600), ("gpt-4o", "2024-08-06", 2500, 10000))
_TENANTS: Final = 400
_PACE_S: Final = 0.1
"""Between rows: 26 days of rows would be 22 million, and three days hold 2.6 million."""


def trace_rows() -> list[TraceRow]:
    """The rows of both traces, or of neither where TOLLMETER_SHARED holds none: then tokens are drawn."""
    root = Path(os.environ.get("TOLLMETER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    folder = root / "data" / "traces" / "azure_llm_2023"
    if folder.exists():
        return [row for name in _TRACES for row in read_trace(folder / name)]
    dice = Random(SEED)
    tokens = ((int(dice.lognormvariate(6.5, 1.2)) + 1, int(dice.lognormvariate(4.8, 1)) + 1) for _ in range(20_000))
    return [TraceRow(index, index * _PACE_S, given, made) for index, (given, made) in enumerate(tokens)]


def wide_lines(first: int, count: int) -> Iterator[bytes]:
    """Lines number `first` and following, with some of them again; the same each time."""
    dice = Random(SEED + first)
    rows, recent = trace_rows(), list[bytes]()
    for number, row in enumerate(islice(cycle(rows), first % len(rows), None), start=first):
        if recent and dice.random() < AGAIN:
            yield dice.choice(recent)
            count -= 1
        if count <= 0:
            return
        line = _line(number, row, dice)
        if len(recent) < 1000:
            recent.append(line)
        else:
            recent[dice.randrange(1000)] = line
        yield line
        count -= 1
        if count <= 0:
            return


def write_objects(folder: Path, first: int, count: int, objects: int) -> None:
    """Raw objects that hold so many lines, one upload after another."""
    folder.mkdir(parents=True)
    share = -(-count // objects)
    for index in range(objects):
        lines = wide_lines(first + index * share, min(share, count - index * share))
        with (folder / f"{first:010d}-{index:03d}.jsonl").open("wb") as file:
            file.writelines(lines)


def _line(number: int, row: TraceRow, dice: Random) -> bytes:
    at = START + timedelta(seconds=number * _PACE_S, microseconds=dice.randrange(100_000))
    tenant = min(int(dice.expovariate(1 / 40)), _TENANTS - 1)
    feature = tenant % 7 + (1 if row.output_tokens > 200 else 0)
    model, version, given, made = _MODELS[feature % 2]
    cached = row.input_tokens // 2 if feature % 3 == 0 else 0
    parts = (row.input_tokens - cached) * given, row.output_tokens * made, cached * given // 2
    total, paid_in, paid_out, paid_cached = (f"0.{amount:010d}" for amount in (sum(parts), *parts))
    ttft = 80 + row.input_tokens * 0.03 + dice.random() * 60
    latency = ttft + row.output_tokens * (7 + feature % 2 * 9) * (0.8 + 0.4 * dice.random())
    speed = row.output_tokens / (latency - ttft) * 1000
    user = tenant * 1000 + int(dice.expovariate(1 / 50))
    ids = f"{dice.getrandbits(288):072x}"
    return (
        f'{{"kind":"llm_call","event_id":"{_uuid7(at, dice)}","timestamp":"{at:%Y-%m-%dT%H:%M:%S.%fZ}",'
        f'"service":"assistant-{feature % 3}","environment":"production","version":"1.{number // 500_000}.0",'
        f'"region":"eu-central-1","account_id":"123456789012","instance":"{feature % 3 * 7 + number % 5:016x}",'
        f'"request_id":"{ids[:24]}","trace_id":"{ids[:32]}","span_id":"{ids[32:48]}","parent_span_id":"{ids[48:64]}",'
        f'"user_id":"u{user}","tenant_id":"tenant-{tenant}","team":"team-{tenant % 12}","feature":"feature-{feature}",'
        f'"session_id":"s{user}-{number // 2000}","prompt_name":"prompt-{feature}","prompt_version":"v{tenant % 3}",'
        f'"experiment":"reranker","variant":"{"ab"[user % 2]}",'
        f'"tags":{{"tollmeter.simulated":"all","plan":"p{tenant % 4}"}},'
        f'"route":"/chat/{{id}}","provider":"openai","operation":"chat","request_model":"{model}",'
        f'"response_model":"{model}-{version}","provider_request_id":"req_{ids[40:]}","service_tier":"default",'
        f'"stream":{"true" if feature % 2 else "false"},"http_status":200,"finish_reason":"stop","max_tokens":4096,'
        f'"attempt":1,"input_tokens":{row.input_tokens},"output_tokens":{row.output_tokens},'
        f'"cache_read_tokens":{cached},"reasoning_tokens":0,"usage_source":"reported","latency_ms":{latency:.3f},'
        f'"ttft_ms":{ttft:.3f},"output_tokens_per_s":{speed:.3f},"cost_usd":"{total}",'
        f'"input_cost_usd":"{paid_in}","output_cost_usd":"{paid_out}","cache_read_cost_usd":"{paid_cached}",'
        f'"cost_status":"priced","price_ref":"genai-prices 0.2.3 openai/{model}"}}\n'
    ).encode()


def _uuid7(at: datetime, dice: Random) -> str:
    at_ms, noise = int(at.timestamp() * 1000), f"{dice.getrandbits(72):018x}"
    made = f"{at_ms:012x}7{noise[:3]}8{noise[3:]}"
    return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"


def fields_of(line: bytes) -> dict[str, Any]:
    """What a line holds."""
    import json

    found: dict[str, Any] = json.loads(line)
    return found
