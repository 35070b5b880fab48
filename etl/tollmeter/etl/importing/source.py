"""What an importer is: a name, its files, how a record becomes an event, and the table that documents it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tollmeter.model.events import LlmCall
from tollmeter.model.names import COST_PRICED, USAGE_MISSING, USAGE_REPORTED
from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.call import cost_columns, price_call
from tollmeter.pricing.usage import Usage


@dataclass(frozen=True, slots=True)
class Context:
    """What an importer may use beside the record: the service that rows are filed under, and the price book."""

    service: str
    book: PriceBook


@dataclass(frozen=True, slots=True)
class Source:
    """One system whose records can be imported.

    `events` turns one record into lines of raw events; it raises `RecordError` for one that cannot be, `SkippedError`
    for one that is something else. `mapping` tells, column by column, where a value comes from.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    events: Callable[[Mapping[str, Any], Context], Iterable[bytes]]
    mapping: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    reference: str
    ignored: Callable[[Path], bool] = lambda _path: False


def with_usage(call: LlmCall, usage: Usage | None) -> LlmCall:
    """The call with what it consumed; None leaves every count null."""
    if usage is None:
        return msgspec.structs.replace(call, usage_source=USAGE_MISSING)
    counts = {name: getattr(usage, name) for name in Usage.__struct_fields__ if name != "source"}
    return msgspec.structs.replace(call, usage_source=USAGE_REPORTED, **counts)


def with_cost(call: LlmCall, usage: Usage | None, told: Decimal | None, context: Context, source: str) -> LlmCall:
    """The call with its cost: what the source says it cost, else what the price book says; null where neither knows.

    An amount of 0 is what these systems write where they know no price, so it counts only as the book's.
    """
    if told and not call.cache_hit:
        return msgspec.structs.replace(call, cost_usd=told, cost_status=COST_PRICED, price_ref=source)
    cost = price_call(
        context.book,
        usage,
        provider=call.provider,
        request_model=call.request_model,
        response_model=call.response_model,
        at=call.timestamp,
        status=call.status,
        service_tier=call.service_tier,
        resource_id=call.resource_id,
        region=call.inference_region,
        cache_hit=call.cache_hit,
    )
    return msgspec.structs.replace(call, **cost_columns(cost))


def tokens_per_s(call: LlmCall) -> LlmCall:
    """The call with its rate after the first token, where both times and the count are known."""
    if not (call.ttft_ms is not None and call.latency_ms and call.output_tokens and call.latency_ms > call.ttft_ms):
        return call
    rate = call.output_tokens / (call.latency_ms - call.ttft_ms) * 1000
    return msgspec.structs.replace(call, output_tokens_per_s=rate)


def later(start: datetime, end: datetime | None) -> bool:
    """Whether there is an end, after the start."""
    return end is not None and end > start
