"""The SQL of hourly and daily rollups, in DuckDB's dialect over views of the events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollmeter.etl.rollups.totals import Total
from tollmeter.model.derived import LATENCY_GAMMA, METRIC_DURATION, METRIC_LATENCY, METRIC_SPEED, METRIC_TTFT
from tollmeter.model.names import TABLE_LLM_CALLS, TABLE_REQUESTS

# A sum that no BIGINT holds comes from absurd counts; it is capped, for one such line must not stop the rollups.
MACROS: Final = f"""
    CREATE MACRO total(x) AS CAST(least(coalesce(sum(x), 0), 9223372036854775807) AS BIGINT);
    CREATE MACRO bucket_of(x) AS CAST(ceil(ln(greatest(x, 0.001)) / ln({LATENCY_GAMMA})) AS BIGINT);
    CREATE MACRO text_of(x) AS coalesce(x, '');
    CREATE MACRO model_of(answered, asked) AS coalesce(nullif(answered, ''), nullif(asked, ''), '(unknown)');
    CREATE MACRO day_in(x, zone) AS CAST(timezone(zone, timezone('UTC', x)) AS DATE);
"""
_MODEL: Final = "model_of(response_model, request_model)"
_COUNTS: Final = {
    "calls": "count(*)",
    "errors": "count(*) FILTER (status = 'error')",
    "partial_calls": "count(*) FILTER (status = 'partial')",
    "throttles": "count(*) FILTER (http_status = 429)",
    "retries": "count(*) FILTER (attempt > 1)",
    "fallbacks": "count(*) FILTER (fallback_from <> '')",
    "cache_hits": "count(*) FILTER (cache_hit)",
    "unpriced_calls": "count(*) FILTER (cost_usd IS NULL)",
    "estimated_calls": "count(*) FILTER (usage_source = 'estimated')",
    "missing_usage_calls": "count(*) FILTER (usage_source = 'missing')",
    "inconsistent_calls": "count(*) FILTER (cost_status = 'inconsistent')",
}
_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
)
_MONEY: Final = (
    "cost_usd",
    "input_cost_usd",
    "output_cost_usd",
    "cache_read_cost_usd",
    "cache_write_cost_usd",
    "fees_usd",
    "cache_savings_usd",
)
CALL_SUMS: Final = _COUNTS | {name: f"total({name})" for name in _TOKENS} | {name: f"sum({name})" for name in _MONEY}
_OF_SESSIONS: Final = (
    *("calls", "errors", "unpriced_calls", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cost_usd", "cache_savings_usd"),
)
SESSION_SUMS: Final = {name: CALL_SUMS[name] for name in _OF_SESSIONS}
SPEND_KEYS: Final = ("service", "environment", "tenant_id", "team", "feature", "prompt_name", "prompt_version")
SESSION_KEYS: Final = ("service", "environment", "tenant_id", "team", "user_id", "session_id")
_REQUEST_SUMS: Final = {
    "requests": "count(*)",
    "errors": "count(*) FILTER (status_code >= 500)",
    "failures": "count(*) FILTER (error_type <> '')",
    "client_disconnects": "count(*) FILTER (client_disconnected)",
    "response_bytes": "total(response_bytes)",
}
_OF_REQUESTS: Final = {
    "requests": "count(*)",
    "request_errors": _REQUEST_SUMS["errors"],
    "failed_requests": _REQUEST_SUMS["failures"],
    "client_disconnects": _REQUEST_SUMS["client_disconnects"],
}
_HEADROOM: Final = """
    max(1 - ratelimit_remaining_requests / nullif(ratelimit_limit_requests, 0)) AS ratelimit_used_requests,
    max(1 - ratelimit_remaining_tokens / nullif(ratelimit_limit_tokens, 0)) AS ratelimit_used_tokens
"""


def _named(expressions: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in expressions.items())


def _texts(*names: str) -> str:
    return _named({name: f"text_of({name})" for name in names})


CALLS_HOURLY: Final = f"""
    SELECT event_date, date_trunc('hour', "timestamp") AS hour, {_texts("service", "environment", "route", "provider")},
        {_MODEL} AS model, {_texts("status", "error_type")}, {_named(CALL_SUMS)},
        {_HEADROOM},
        min("timestamp") AS first_at, max("timestamp") AS last_at, max(ingested_at) AS last_ingested_at
    FROM llm_calls GROUP BY ALL
"""  # noqa: S608 - names are the registry's, as in all of this file
REQUESTS_HOURLY: Final = f"""
    SELECT event_date, date_trunc('hour', "timestamp") AS hour, {_texts("service", "environment", "route")},
        CASE WHEN status_code BETWEEN 200 AND 599 THEN (status_code // 100) || 'xx' ELSE 'none' END AS status_class,
        {_texts("error_type")}, {_named(_REQUEST_SUMS)}
    FROM requests GROUP BY ALL
"""  # noqa: S608


def _latency(period: str) -> str:
    """Values by bucket, and by a period: an expression with its name."""
    return f"""
        WITH samples AS (
            SELECT event_date, "timestamp", '{METRIC_DURATION}' AS metric, service, environment, route,
                NULL AS provider, NULL AS model, duration_ms AS sample
            FROM requests
            UNION ALL
            SELECT event_date, "timestamp", unnest(['{METRIC_LATENCY}', '{METRIC_TTFT}', '{METRIC_SPEED}']),
                service, environment, route, text_of(provider), {_MODEL},
                unnest([latency_ms, ttft_ms, output_tokens_per_s])
            FROM llm_calls
        )
        SELECT event_date, {period}, metric, {_texts("service", "environment", "route")},
            provider, model, bucket_of(sample) AS bucket, count(*) AS "count"
        FROM samples WHERE sample IS NOT NULL GROUP BY ALL
    """  # noqa: S608


LATENCY_HOURLY: Final = _latency("date_trunc('hour', \"timestamp\") AS hour")


def latency_daily(zone: str) -> str:
    """Values by bucket and day of a time zone."""
    return _latency(_day(zone))


def calls_daily(zone: str) -> str:
    """Calls and requests by day, with all that the hours have; rows of requests have no provider, model and status."""
    times = 'min("timestamp") AS first_at, max("timestamp") AS last_at, max(ingested_at) AS last_ingested_at'
    none = _nothing(CALL_SUMS)
    return f"""
        SELECT event_date, {_day(zone)}, {_texts("service", "environment", "route", "provider")}, {_MODEL} AS model,
            {_texts("status", "error_type")}, {_named(CALL_SUMS)}, {_named(_nothing(_OF_REQUESTS))}, {_HEADROOM},
            {times}
        FROM llm_calls GROUP BY ALL
        UNION ALL
        SELECT event_date, {_day(zone)}, {_texts("service", "environment", "route")}, NULL, NULL, NULL, NULL,
            {_named(none)}, {_named(_OF_REQUESTS)}, NULL, NULL, {times}
        FROM requests GROUP BY ALL
    """  # noqa: S608


def daily(keys: tuple[str, ...], sums: Mapping[str, str], zone: str) -> str:
    """Calls and requests by day and some keys; rows of requests have no provider and no model."""
    times = 'min("timestamp") AS first_at, max("timestamp") AS last_at'
    return f"""
        SELECT event_date, {_day(zone)}, {_texts(*keys, "provider")}, {_MODEL} AS model,
            CAST(0 AS BIGINT) AS requests, {_named(sums)}, {times}
        FROM llm_calls GROUP BY ALL
        UNION ALL
        SELECT event_date, {_day(zone)}, {_texts(*keys)}, NULL, NULL, count(*), {_named(_nothing(sums))}, {times}
        FROM requests GROUP BY ALL
    """  # noqa: S608


def _day(zone: str) -> str:
    return 'day_in("timestamp", \'' + zone.replace("'", "''") + "') AS day"


def _nothing(sums: Mapping[str, str]) -> dict[str, str]:
    """Sums over no call, or no request."""
    return {name: "CAST(NULL AS DECIMAL(38, 12))" if name in _MONEY else "CAST(0 AS BIGINT)" for name in sums}


def totals_of_calls(sums: Mapping[str, str]) -> tuple[Total, ...]:
    """Every sum of calls, over the rows and over the rollup."""
    return tuple(Total(name, TABLE_LLM_CALLS, sql, _summed(name)) for name, sql in sums.items())


def _summed(name: str) -> str:
    return f"sum({name})" if name in _MONEY else f"total({name})"


SERVED: Final = Total("requests", TABLE_REQUESTS, "count(*)", "total(requests)")
TOTALS_OF_REQUESTS: Final = tuple(
    Total(name, TABLE_REQUESTS, sql, f"total({name})") for name, sql in _REQUEST_SUMS.items()
)
TOTALS_OF_DAYS: Final = (
    *totals_of_calls(CALL_SUMS),
    *(Total(name, TABLE_REQUESTS, sql, f"total({name})") for name, sql in _OF_REQUESTS.items()),
)
TOTALS_OF_LATENCY: Final = tuple(
    Total(metric, source, f"count({column})", f"total(CASE WHEN metric = '{metric}' THEN \"count\" END)")
    for metric, source, column in (
        (METRIC_DURATION, TABLE_REQUESTS, "duration_ms"),
        (METRIC_LATENCY, TABLE_LLM_CALLS, "latency_ms"),
        (METRIC_TTFT, TABLE_LLM_CALLS, "ttft_ms"),
        (METRIC_SPEED, TABLE_LLM_CALLS, "output_tokens_per_s"),
    )
)
