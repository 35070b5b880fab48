"""The column registry: every column of every event table, once.

The Arrow and Iceberg schemas, the Redshift DDL and `docs/reference/columns.md` are generated from it, and golden tests
hold them. A column is added at the end of its group; none is renamed or dropped without a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tollmeter.model.names import TABLE_EVALUATIONS, TABLE_LLM_CALLS, TABLE_REQUESTS, TABLE_RUNS

Type = Literal["string", "int", "float", "bool", "timestamp", "date", "money", "money_sum", "json"]

MONEY_PRECISION: Final = 18
MONEY_SUM_PRECISION: Final = 38
MONEY_SCALE: Final = 12  # 212 of 5,863 public per-token rates need more than nine decimals

_R, _C, _E, _N = TABLE_REQUESTS, TABLE_LLM_CALLS, TABLE_EVALUATIONS, TABLE_RUNS
_ALL: Final = (_R, _C, _E, _N)
_WHO: Final = (_R, _C, _E)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, its unit ("" where it has none), what it means, and the tables that carry it."""

    name: str
    type: Type
    unit: str
    description: str
    tables: tuple[str, ...]
    required: bool = False


COLUMNS: Final[tuple[Column, ...]] = (
    # identity
    Column("event_id", "string", "", "UUIDv7 of the event; UUIDv5 of source and source id where imported", _ALL, required=True),
    Column("schema_version", "int", "", "version of this schema that the writer spoke", _ALL, required=True),
    Column("timestamp", "timestamp", "UTC", "when the request, call or run began", _ALL, required=True),
    Column("event_date", "date", "UTC", "day of timestamp; the partition", _ALL, required=True),
    Column("service", "string", "", "name of the service that wrote the event", _ALL, required=True),
    Column("environment", "string", "", "deployment environment, such as production", _ALL),
    Column("version", "string", "", "version of the service", _ALL),
    Column("region", "string", "", "cloud region the service runs in", _ALL),
    Column("account_id", "string", "", "cloud account the service runs in", _ALL),
    Column("instance", "string", "", "one process of the service", _ALL),
    Column("losses", "json", "events", "events this process lost since its last event, by reason", _ALL),
    # correlation
    Column("request_id", "string", "", "X-Request-ID, taken or made", _WHO),
    Column("trace_id", "string", "", "W3C trace id, 32 hex digits", _WHO),
    Column("span_id", "string", "", "W3C span id, 16 hex digits", _WHO),
    Column("parent_span_id", "string", "", "span id of the parent", _WHO),
    # attribution
    Column("user_id", "string", "", "end user", _WHO),
    Column("tenant_id", "string", "", "customer of a multi-tenant service", _WHO),
    Column("team", "string", "", "team that pays", _WHO),
    Column("feature", "string", "", "product feature", _WHO),
    Column("session_id", "string", "", "conversation or agent run", _WHO),
    Column("prompt_name", "string", "", "name in the prompt registry", _WHO),
    Column("prompt_version", "string", "", "version in the prompt registry", _WHO),
    Column("experiment", "string", "", "experiment name", _WHO),
    Column("variant", "string", "", "variant of the experiment", _WHO),
    Column("tags", "json", "", "free tags, text to text", _WHO),
    Column("route", "string", "", "route template of the request, such as /chat/{id}", _WHO),
    # HTTP
    Column("method", "string", "", "HTTP method, or WEBSOCKET, LAMBDA, QUEUE, JOB", (_R,)),
    Column("status_code", "int", "", "HTTP status sent to the client", (_R,)),
    Column("duration_ms", "float", "ms", "from the first byte of the request to the last of the response", (_R, _N)),
    Column("ttfb_ms", "float", "ms", "until the first byte of the body", (_R, _C)),
    Column("response_bytes", "int", "bytes", "body bytes sent", (_R,)),
    Column("client_disconnected", "bool", "", "the client left before the response was complete", (_R,)),
    Column("steps", "json", "", "named spans inside the request", (_R,)),
    Column("steps_dropped", "int", "steps", "steps over the cap", (_R,)),
    Column("llm_calls", "int", "calls", "model calls of the request; provisional, reports sum llm_calls", (_R,)),
    # call
    Column("provider", "string", "", "gen_ai.provider.name", (_C,)),
    Column("operation", "string", "", "gen_ai.operation.name: chat, text_completion, embeddings, …", (_C,)),
    Column("request_model", "string", "", "model asked for", (_C,)),
    Column("response_model", "string", "", "model that answered", (_C,)),
    Column("resource_id", "string", "", "deployment or inference profile", (_C,)),
    Column("provider_request_id", "string", "", "the provider's id of the request", (_C,)),
    Column("credential_ref", "string", "", "keyed hash of the credential, never the credential", (_C,)),
    Column("caller_principal", "string", "", "IAM role that called, where known: it joins the bill", (_C,)),
    Column("service_tier", "string", "", "tier that served the call: default, batch, flex, priority", (_C,)),
    Column("inference_region", "string", "", "region or geography of the inference", (_C,)),
    Column("stream", "bool", "", "the answer was streamed", (_C,)),
    Column("status", "string", "", "ok, error or partial", (_C,)),
    Column("error_type", "string", "", "class or code of the error; empty when there was none", (_R, _C, _N)),
    Column("http_status", "int", "", "HTTP status the provider answered", (_C,)),
    Column("finish_reason", "string", "", "why the model stopped", (_C,)),
    Column("max_tokens", "int", "tokens", "limit asked for", (_C,)),
    Column("attempt", "int", "", "1 for the first try; null where the client did not say", (_C,)),
    Column("fallback_from", "string", "", "model this call stands in for, where the caller or a LiteLLM proxy said so", (_C,)),
    Column("cache_hit", "bool", "", "answered from the service's own (semantic) cache: cost and tokens are 0", (_C,)),
    Column("ratelimit_limit_requests", "int", "requests", "limit the provider reported", (_C,)),
    Column("ratelimit_remaining_requests", "int", "requests", "what was left of it", (_C,)),
    Column("ratelimit_limit_tokens", "int", "tokens", "limit the provider reported", (_C,)),
    Column("ratelimit_remaining_tokens", "int", "tokens", "what was left of it", (_C,)),
    Column("input_content", "string", "", "redacted messages asked, JSON of the OTel GenAI schema; empty unless capture_content says input or all", (_C,)),
    Column("output_content", "string", "", "redacted messages answered, likewise; empty unless it says output or all", (_C,)),
    # tokens
    Column("input_tokens", "int", "tokens", "all input, cache and audio and image included", (_R, _C)),
    Column("output_tokens", "int", "tokens", "all output, reasoning included", (_R, _C)),
    Column("cache_read_tokens", "int", "tokens", "part of input_tokens read from the provider's cache", (_C,)),
    Column("cache_write_tokens", "int", "tokens", "part of input_tokens written to the provider's cache", (_C,)),
    Column("cache_write_1h_tokens", "int", "tokens", "part of cache_write_tokens kept for an hour", (_C,)),
    Column("reasoning_tokens", "int", "tokens", "part of output_tokens spent on reasoning", (_C,)),
    Column("input_audio_tokens", "int", "tokens", "part of input_tokens that is audio", (_C,)),
    Column("output_audio_tokens", "int", "tokens", "part of output_tokens that is audio", (_C,)),
    Column("input_image_tokens", "int", "tokens", "part of input_tokens that is images", (_C,)),
    Column("output_image_tokens", "int", "tokens", "part of output_tokens that is images", (_C,)),
    Column("server_tool_calls", "json", "calls", "tools the provider ran, such as web searches", (_C,)),
    Column("usage_source", "string", "", "reported, estimated or missing", (_C,)),
    Column("usage_method", "string", "", "how estimated usage was made", (_C,)),
    Column("raw_usage", "string", "", "usage as the provider sent it, JSON cut at 4,096 characters; kept where it contradicts itself or is not understood", (_C,)),
    # time
    Column("latency_ms", "float", "ms", "from sending the call to the end of the answer; null where an import does not know it", (_C,)),
    Column("ttft_ms", "float", "ms", "until the first content, reasoning or tool-call delta", (_C,)),
    Column("output_tokens_per_s", "float", "tokens/s", "output tokens over the time after the first", (_C,)),
    # money
    Column("cost_usd", "money", "USD", "cost of the call; null where unknown, never 0 for unknown", (_R, _C)),
    Column("input_cost_usd", "money", "USD", "of uncached input", (_C,)),
    Column("output_cost_usd", "money", "USD", "of output", (_C,)),
    Column("cache_read_cost_usd", "money", "USD", "of cache reads", (_C,)),
    Column("cache_write_cost_usd", "money", "USD", "of cache writes", (_C,)),
    Column("fees_usd", "money", "USD", "per-use fees, such as web searches", (_C,)),
    Column("cost_status", "string", "", "priced, estimated, partial, unpriced or inconsistent", (_C,)),
    Column("price_ref", "string", "", "price row used, and valid from when", (_C,)),
    Column("cache_savings_usd", "money", "USD", "what the provider's cache reads would have cost more; of a cache_hit, what the call would have cost", (_C,)),
    # evaluation
    Column("call_id", "string", "", "event_id of the call that is scored", (_E,), required=True),
    Column("name", "string", "", "what is scored, such as relevance", (_E,), required=True),
    Column("score", "float", "", "the score", (_E,), required=True),
    Column("evaluator", "string", "", "who scored", (_E,)),
    Column("comment", "string", "", "why", (_E,)),
    # run
    Column("component", "string", "", "etl, forward, …", (_N,), required=True),
    Column("sink", "string", "", "the forwarder's sink the run tells of; empty for what belongs to none", (_N,)),
    Column("outcome", "string", "", "ok or error", (_N,)),
    Column("counts", "json", "", "what the run counted, by name", (_N,)),
    Column("lag_ms", "float", "ms", "age of the oldest event not yet handled", (_N,)),
    # of the lake
    Column("extra", "json", "", "fields of the line that this version does not know", _ALL),
    Column("ingested_at", "timestamp", "UTC", "when the row was landed", _ALL, required=True),
    Column("batch_id", "string", "", "the ETL batch that landed the row", _ALL, required=True),
)  # fmt: skip

LAKE_COLUMNS: Final = frozenset({"event_date", "extra", "ingested_at", "batch_id"})
"""Columns the lake adds; the others are fields of the events."""


def columns_of(table: str) -> tuple[Column, ...]:
    """The columns of one event table, in registry order."""
    return tuple(column for column in COLUMNS if table in column.tables)
