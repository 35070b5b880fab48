"""Columns of the tables that the ETL derives: quarantine, ledger, hourly rollups, hours of commitments and tombstones.

Kept beside the event columns so that whoever writes these tables and whoever queries them read one definition.
"""

from __future__ import annotations

import math
from typing import Final

from tollmeter.model.columns import Column
from tollmeter.model.names import (
    TABLE_COMMITMENTS,
    TABLE_LEDGER,
    TABLE_QUARANTINE,
    TABLE_ROLLUP_CALLS,
    TABLE_ROLLUP_LATENCY,
    TABLE_ROLLUP_REQUESTS,
    TABLE_TOMBSTONES,
)

LATENCY_GAMMA: Final = 1.02
"""Ratio of neighbouring latency buckets; the middle of a bucket is within 1 % of every value in it."""

_Q, _L = (TABLE_QUARANTINE,), (TABLE_LEDGER,)
_RC, _RR, _RL = (TABLE_ROLLUP_CALLS,), (TABLE_ROLLUP_REQUESTS,), (TABLE_ROLLUP_LATENCY,)
_ROLLUPS: Final = _RC + _RR + _RL
_H, _T = (TABLE_COMMITMENTS,), (TABLE_TOMBSTONES,)

DERIVED_COLUMNS: Final[tuple[Column, ...]] = (
    Column("object_key", "string", "", "raw object the line stands in: path relative to raw/, or s3:// address; in the ledger also the start of the keys it stands for, and an asterisk", _Q + _L, required=True),
    Column("line_number", "int", "", "line in the object, from 1", _Q, required=True),
    Column("sha256", "string", "", "digest of the object's bytes as stored; of an hour that is closed, of its keys", _Q + _L, required=True),
    Column("objects", "int", "objects", "objects that the row stands for", _L),
    Column("watermark", "timestamp", "UTC", "upload hours before it are closed, and have no rows of their own any more", _L),
    Column("reason", "string", "", "class of the fault: not_utf8, not_json, too_long, unreadable, unknown_kind, invalid, money", _Q, required=True),
    Column("detail", "string", "", "what was found and what was expected", _Q),
    Column("raw_text", "string", "", "the line, cut at 64 KiB; bytes that are no UTF-8 are escaped", _Q),
    Column("lines", "int", "lines", "lines read from the object or objects", _L, required=True),
    Column("landed", "int", "rows", "rows landed in the event tables", _L, required=True),
    Column("duplicates", "int", "lines", "lines whose event_id had landed before", _L, required=True),
    Column("quarantined", "int", "lines", "lines that went to quarantine", _L, required=True),
    Column("forgotten", "int", "lines", "lines dropped because their user or tenant was forgotten", _L),
    Column("kind", "string", "", "what was forgotten: user_id or tenant_id", _T, required=True),
    Column("digest", "string", "", "HMAC-SHA256 of the id under the key of this lake; the id itself is nowhere", _T, required=True),
    Column("event_date", "date", "UTC", "day of the rows; for quarantine the day of ingestion", _Q + _ROLLUPS + _H, required=True),
    Column("hour", "timestamp", "UTC", "start of the hour", _ROLLUPS + _H, required=True),
    Column("metric", "string", "", "http.duration_ms, llm.latency_ms or llm.ttft_ms", _RL, required=True),
    Column("service", "string", "", "service", _ROLLUPS, required=True),
    Column("environment", "string", "", "environment", _ROLLUPS),
    Column("route", "string", "", "route template", _ROLLUPS),
    Column("commitment", "string", "", "name of the commitment in the price overlay", _H, required=True),
    Column("provider", "string", "", "provider", _RC + _RL + _H),
    Column("resource_id", "string", "", "deployment or provisioned throughput that is paid by the hour", _H, required=True),
    Column("model", "string", "", "model that answered, else the model asked for; of a commitment the one it names", _RC + _RL + _H),
    Column("tenant_id", "string", "", "tenant", _RC),
    Column("team", "string", "", "team", _RC),
    Column("feature", "string", "", "feature", _RC),
    Column("status", "string", "", "ok, error or partial", _RC),
    Column("error_type", "string", "", "class or code of the error", _RC),
    Column("status_class", "string", "", "2xx, 3xx, 4xx, 5xx or none", _RR),
    Column("calls", "int", "calls", "model calls", _RC + _H, required=True),
    Column("errors", "int", "", "failed calls, or requests answered with 5xx", _RC + _RR, required=True),
    Column("partial_calls", "int", "calls", "abandoned streams", _RC, required=True),
    Column("throttles", "int", "calls", "calls answered with 429", _RC, required=True),
    Column("unpriced_calls", "int", "calls", "calls whose cost is unknown", _RC, required=True),
    Column("estimated_calls", "int", "calls", "calls whose usage was estimated", _RC, required=True),
    Column("input_tokens", "int", "tokens", "sum", _RC + _H, required=True),
    Column("output_tokens", "int", "tokens", "sum", _RC + _H, required=True),
    Column("cache_read_tokens", "int", "tokens", "sum", _RC, required=True),
    Column("cache_write_tokens", "int", "tokens", "sum", _RC, required=True),
    Column("reasoning_tokens", "int", "tokens", "sum", _RC, required=True),
    Column("capacity_tokens", "int", "tokens", "what the commitment could have served; null where its capacity is not known", _H),
    Column("used_share", "float", "", "tokens over capacity, at most 1; null where it cannot be told", _H),
    Column("idle_share", "float", "", "the rest of the hour's capacity", _H),
    Column("cost_usd", "money_sum", "USD", "sum over priced calls; of a commitment what the hour costs, used or not", _RC + _H),
    Column("idle_cost_usd", "money_sum", "USD", "the idle share's part of the cost", _H),
    Column("cache_savings_usd", "money_sum", "USD", "sum", _RC),
    Column("requests", "int", "requests", "requests served", _RR, required=True),
    Column("client_disconnects", "int", "requests", "clients that left early", _RR, required=True),
    Column("bucket", "int", "", "log bucket: ceil(ln(ms) / ln(1.02)); values below 0.001 ms count as that", _RL, required=True),
    Column("count", "int", "", "values in the bucket", _RL, required=True),
    Column("ingested_at", "timestamp", "UTC", "when the row was written", _Q + _L + _T, required=True),
    Column("batch_id", "string", "", "the ETL batch that wrote the row", _Q + _L, required=True),
)  # fmt: skip

DERIVED_TABLES: Final = (*_Q, *_L, *_ROLLUPS, *_H, *_T)

UNPARTITIONED_TABLES: Final = (*_L, *_T)
"""The tables without a partition by `event_date`."""


def bucket_of(value_ms: float) -> int:
    """The latency bucket of a value.

    >>> bucket_of(100.0)
    233
    """
    return math.ceil(math.log(max(value_ms, 0.001)) / math.log(LATENCY_GAMMA))


def value_of(bucket: int) -> float:
    """The value in ms that stands for a bucket; within 1 % of all its members.

    >>> round(value_of(bucket_of(100.0)), 1)
    99.9
    """
    return 2 * LATENCY_GAMMA**bucket / (LATENCY_GAMMA + 1)
