"""Columns of the tables that the ETL derives: quarantine, ledger, rollups, hours of commitments, tombstones.

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
    TABLE_ROLLUP_CALLS_DAILY,
    TABLE_ROLLUP_LATENCY,
    TABLE_ROLLUP_LATENCY_DAILY,
    TABLE_ROLLUP_METRICS,
    TABLE_ROLLUP_REQUESTS,
    TABLE_ROLLUP_SESSIONS,
    TABLE_ROLLUP_SPEND,
    TABLE_TOMBSTONES,
)

LATENCY_GAMMA: Final = 1.02
"""Ratio of neighbouring latency buckets; the middle of a bucket is within 1 % of every value in it."""

METRIC_DURATION: Final = "http.duration_ms"
METRIC_LATENCY: Final = "llm.latency_ms"
METRIC_TTFT: Final = "llm.ttft_ms"
METRIC_SPEED: Final = "llm.output_tokens_per_s"
"""What the rollups of latency have buckets of."""

_Q, _L = (TABLE_QUARANTINE,), (TABLE_LEDGER,)
_RM, _RC, _RR, _RL = (TABLE_ROLLUP_METRICS,), (TABLE_ROLLUP_CALLS,), (TABLE_ROLLUP_REQUESTS,), (TABLE_ROLLUP_LATENCY,)
_RS, _RU = (TABLE_ROLLUP_SPEND,), (TABLE_ROLLUP_SESSIONS,)
_DC, _DL = (TABLE_ROLLUP_CALLS_DAILY,), (TABLE_ROLLUP_LATENCY_DAILY,)
_HOURLY: Final = _RC + _RR + _RL
_WHO: Final = _RS + _RU
_DAILY: Final = _DC + _DL + _WHO
_H, _T = (TABLE_COMMITMENTS,), (TABLE_TOMBSTONES,)
_MODELED: Final = _RM + _RC + _RL + _DAILY
_CALLED: Final = _RC + _DC + _WHO
_IN_FULL: Final = _RC + _DC + _RS

ROLLUP_TABLES: Final = (*_RM, *_HOURLY, *_DAILY)

ROLLUP_ORDER: Final = {
    TABLE_ROLLUP_METRICS: [
        "metric",
        "service",
        "environment",
        "route",
        "provider",
        "model",
        "team",
        "minute",
        "bucket",
    ],
    TABLE_ROLLUP_CALLS: ["service", "environment", "model", "route", "hour"],
    TABLE_ROLLUP_REQUESTS: ["service", "environment", "route", "hour"],
    TABLE_ROLLUP_LATENCY: ["metric", "service", "environment", "model", "route", "hour", "bucket"],
    TABLE_ROLLUP_CALLS_DAILY: ["service", "environment", "model", "route", "day"],
    TABLE_ROLLUP_LATENCY_DAILY: ["metric", "service", "environment", "model", "route", "day", "bucket"],
    TABLE_ROLLUP_SPEND: ["tenant_id", "team", "feature", "model", "day"],
    TABLE_ROLLUP_SESSIONS: ["tenant_id", "user_id", "session_id", "day"],
}
"""Columns that the rows of a day are sorted by: what readers prune by, and what puts like beside like."""

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
    Column("event_date", "date", "UTC", "day of the rows (UTC), the partition; for quarantine the day of ingestion", (*_Q, *ROLLUP_TABLES, *_H), required=True),
    Column("minute", "timestamp", "UTC", "start of the minute of the events", _RM, required=True),
    Column("arrived_at", "timestamp", "UTC", "first full minute at which the events were in the lake", _RM, required=True),
    Column("hour", "timestamp", "UTC", "start of the hour", _HOURLY + _H, required=True),
    Column("day", "date", "", "day in the reporting time zone (setting `timezone`)", _DAILY, required=True),
    Column("metric", "string", "", "name in the metric registry; of the rollups of latency http.duration_ms, llm.latency_ms, llm.ttft_ms, llm.output_tokens_per_s", _RM + _RL + _DL, required=True),
    Column("service", "string", "", "service", ROLLUP_TABLES, required=True),
    Column("environment", "string", "", "environment", ROLLUP_TABLES),
    Column("route", "string", "", "route template", _RM + _HOURLY + _DC + _DL),
    Column("commitment", "string", "", "name of the commitment in the price overlay", _H, required=True),
    Column("provider", "string", "", "provider; null in rows of requests", _MODELED + _H),
    Column("resource_id", "string", "", "deployment or provisioned throughput that is paid by the hour", _H, required=True),
    Column("model", "string", "", "model that answered, else the model asked for; null in rows of requests; of a commitment the one it names", _MODELED + _H),
    Column("request_model", "string", "", "model asked for", _RM),
    Column("tenant_id", "string", "", "tenant", _WHO),
    Column("team", "string", "", "team", _RM + _WHO),
    Column("feature", "string", "", "feature", _RS),
    Column("prompt_name", "string", "", "name in the prompt registry", _RS),
    Column("prompt_version", "string", "", "version in the prompt registry", _RS),
    Column("user_id", "string", "", "end user", _RU),
    Column("session_id", "string", "", "conversation or agent run", _RU),
    Column("component", "string", "", "etl, forward, …", _RM),
    Column("sink", "string", "", "the forwarder's sink", _RM),
    Column("status", "string", "", "ok, error or partial", _RC + _DC),
    Column("status_class", "string", "", "2xx, 3xx, 4xx, 5xx or none", _RR),
    Column("error_type", "string", "", "class or code of the error", _RC + _RR + _DC),
    Column("calls", "int", "calls", "model calls", _CALLED + _H, required=True),
    Column("requests", "int", "requests", "requests served", _RR + _DC + _WHO, required=True),
    Column("errors", "int", "", "failed calls; of the rollup of requests those answered with 5xx", _CALLED + _RR, required=True),
    Column("failures", "int", "requests", "requests of any kind that failed", _RR, required=True),
    Column("client_disconnects", "int", "requests", "clients that left early", _RR + _DC, required=True),
    Column("request_errors", "int", "requests", "requests answered with 5xx", _DC, required=True),
    Column("failed_requests", "int", "requests", "requests of any kind that failed", _DC, required=True),
    Column("response_bytes", "int", "bytes", "sum", _RR, required=True),
    Column("partial_calls", "int", "calls", "abandoned streams", _IN_FULL, required=True),
    Column("throttles", "int", "calls", "calls answered with 429", _IN_FULL, required=True),
    Column("retries", "int", "calls", "calls that were not the first try", _IN_FULL, required=True),
    Column("fallbacks", "int", "calls", "calls standing in for another model", _IN_FULL, required=True),
    Column("cache_hits", "int", "calls", "calls answered from the service's own cache", _IN_FULL, required=True),
    Column("unpriced_calls", "int", "calls", "calls whose cost is unknown, for whatever reason", _CALLED, required=True),
    Column("estimated_calls", "int", "calls", "calls whose usage was estimated", _IN_FULL, required=True),
    Column("missing_usage_calls", "int", "calls", "calls whose usage is not known", _IN_FULL, required=True),
    Column("inconsistent_calls", "int", "calls", "calls whose usage contradicts itself", _IN_FULL, required=True),
    Column("input_tokens", "int", "tokens", "sum", _CALLED + _H, required=True),
    Column("output_tokens", "int", "tokens", "sum", _CALLED + _H, required=True),
    Column("cache_read_tokens", "int", "tokens", "sum", _CALLED, required=True),
    Column("cache_write_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("cache_write_1h_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("reasoning_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("input_audio_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("output_audio_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("input_image_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("output_image_tokens", "int", "tokens", "sum", _IN_FULL, required=True),
    Column("capacity_tokens", "int", "tokens", "what the commitment could have served; null where its capacity is not known", _H),
    Column("used_share", "float", "", "tokens over capacity, at most 1; null where it cannot be told", _H),
    Column("idle_share", "float", "", "the rest of the hour's capacity", _H),
    Column("cost_usd", "money_sum", "USD", "sum over priced calls, null without any; of a commitment what the hour costs, used or not", _CALLED + _H),
    Column("input_cost_usd", "money_sum", "USD", "sum", _IN_FULL),
    Column("output_cost_usd", "money_sum", "USD", "sum", _IN_FULL),
    Column("cache_read_cost_usd", "money_sum", "USD", "sum", _IN_FULL),
    Column("cache_write_cost_usd", "money_sum", "USD", "sum", _IN_FULL),
    Column("fees_usd", "money_sum", "USD", "sum", _IN_FULL),
    Column("idle_cost_usd", "money_sum", "USD", "the idle share's part of the cost", _H),
    Column("cache_savings_usd", "money_sum", "USD", "sum", _CALLED),
    Column("ratelimit_used_requests", "float", "", "largest share of the provider's limit on requests that was used up, 0 to 1; null where no call told", _RC + _DC),
    Column("ratelimit_used_tokens", "float", "", "the same of the limit on tokens", _RC + _DC),
    Column("first_at", "timestamp", "UTC", "when the first of them began", _CALLED),
    Column("last_at", "timestamp", "UTC", "when the last of them began", _CALLED),
    Column("last_ingested_at", "timestamp", "UTC", "when the newest of them landed", _RC + _DC),
    Column("bucket", "int", "", "log bucket: ceil(ln(x) / ln(1.02)), values below 0.001 counting as that; null in rows of counters and gauges", _RM + _RL + _DL),
    Column("count", "int", "", "values in the bucket; of a counter or gauge the events that contributed", _RM + _RL + _DL, required=True),
    Column("value", "money_sum", "", "of a counter the sum, of a gauge the largest", _RM),
    Column("ingested_at", "timestamp", "UTC", "when the row was written", _Q + _L + _T, required=True),
    Column("batch_id", "string", "", "the ETL batch that wrote the row", _Q + _L, required=True),
)  # fmt: skip

DERIVED_TABLES: Final = (*_Q, *_L, *ROLLUP_TABLES, *_H, *_T)

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
