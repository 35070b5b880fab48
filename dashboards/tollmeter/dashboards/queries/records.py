"""What the queries hand to the page: plain records, money as Decimal, times UTC without zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """One period in one row; unknown figures are None, not 0."""

    spend: Decimal | None = None
    calls: int = 0
    requests: int = 0
    failed_calls: int = 0
    unpriced_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    p95_latency_ms: float | None = None
    p95_ttft_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Spend:
    """What one model cost in one bucket; None where none of its calls has a price."""

    bucket: datetime
    model: str
    cost: Decimal | None
    calls: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of the calls of one bucket, in ms."""

    bucket: datetime
    p50: float | None
    p95: float | None
    p99: float | None
    calls: int


@dataclass(frozen=True, slots=True)
class Extent:
    """What the lake holds over all time: models in order of first call, first and last call, newest landing."""

    models: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    ingested: datetime | None = None
