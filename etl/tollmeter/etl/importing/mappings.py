"""Where each column of an imported event comes from, by source: `docs/imports.md` is made of these tables.

They stand beside the importers, and a test holds each importer to its table.
"""

from __future__ import annotations

from typing import Final

Mapping = tuple[tuple[str, str], ...]

LITELLM: Final[Mapping] = (
    ("event_id", "UUIDv5 of `request_id`"),
    ("timestamp, latency_ms", "`startTime`; `endTime` less `startTime`"),
    ("ttft_ms, stream", "`completionStartTime` where it is before `endTime`; LiteLLM sets both alike where nothing was streamed"),
    ("provider, operation", "`custom_llm_provider` and `call_type`, by OpenTelemetry's names where there is one"),
    ("request_model, response_model", "`model_group`, else `model`; `model`"),
    ("resource_id", "`model_id`, the deployment"),
    ("status, error_type, http_status", "`status`, else `metadata.status`; `metadata.error_information.error_class`, `error_code`"),
    ("input_tokens, output_tokens", "`prompt_tokens` (caches included), `completion_tokens`; null for a failure that has none"),
    ("cache_read_tokens, cache_write_tokens", "`metadata.additional_usage_values` or `usage_object`: `cache_read_input_tokens`, `cache_creation_input_tokens`, `prompt_tokens_details.cached_tokens`"),
    ("reasoning_tokens", "`…completion_tokens_details.reasoning_tokens`"),
    ("cost_usd", "`spend`; where it is 0, the price book"),
    ("cache_hit", "`cache_hit` is True: LiteLLM's own cache"),
    ("user_id, team, session_id", "`end_user`; `metadata.user_api_key_team_alias`, else `team_id`; `session_id`"),
    ("credential_ref", "`api_key`, where it is LiteLLM's hash"),
    ("tags", "`user`, `organization_id`, `request_tags`, `metadata.user_api_key_alias`, as `litellm.…`"),
)  # fmt: skip
LITELLM_NOTES: Final = (
    "Rows of the table `LiteLLM_SpendLogs`: `\\copy \"LiteLLM_SpendLogs\" to 'spend.csv' csv header`, or what `/spend/logs` answers. Times without a zone are UTC.",
    "Prompts, answers, IP addresses and e-mail addresses in the rows are not imported.",
)  # fmt: skip

LANGFUSE: Final[Mapping] = (
    ("event_id", "UUIDv5 of `project_id` and `id`"),
    ("timestamp, latency_ms, ttft_ms", "`start_time`; `end_time` and `completion_start_time` less it"),
    ("stream", "true where `completion_start_time` is told"),
    ("operation", "`type`: GENERATION is chat, EMBEDDING embeddings; other types are no calls and are skipped"),
    ("request_model", "`provided_model_name`; Langfuse names no provider, so `provider` stays empty"),
    ("status, error_type", "`level` ERROR is an error, whose type Langfuse does not tell"),
    ("input_tokens, output_tokens", "`usage_details`: `input` and `output` with their parts, which Langfuse counts apart, unless its `total` says that they are inside"),
    ("cache_read_tokens, cache_write_tokens, reasoning_tokens, …audio_tokens", "parts of `usage_details`, as OpenAI, Anthropic and Langfuse spell them"),
    ("cost_usd", "`total_cost`; where it is 0 or null, the price book, which needs a provider for most models"),
    ("max_tokens", "`model_parameters.max_tokens`"),
    ("environment, version", "`environment`, `version`"),
    ("user_id, session_id", "`user_id`, `session_id`; enriched observations have them, the legacy file has not"),
    ("prompt_name, prompt_version", "`prompt_name`, `prompt_version`"),
    ("trace_id, span_id, parent_span_id", "`trace_id`, `id`, `parent_observation_id`, where they are W3C ids"),
    ("tags", "`name`, `trace_name`, `tags`, and a `trace_id` that is no W3C id, as `langfuse.…`"),
)  # fmt: skip
LANGFUSE_NOTES: Final = (
    "Files of `observations_v2/` (enriched) or `observations/` (legacy) of the blob storage export, or the export of the observations page. Give those folders, not `traces/` and `scores/`.",
    "Input, output and metadata of observations are not imported.",
)  # fmt: skip

OPENAI_USAGE: Final[Mapping] = (
    ("event_id", "UUIDv5 of the bucket's bounds and of what it is the sum of"),
    ("timestamp, duration_ms", "`start_time`; `end_time` less it"),
    ("component", "`openai-usage`"),
    ("counts", "every whole number of the result: `input_tokens`, `input_cached_tokens`, `output_tokens`, `num_model_requests` …"),
    ("counts.cost_picousd", "`amount.value` of a cost result, in 1e-12 USD"),
    ("extra.openai", "`object`, and what the export is grouped by: `model`, `project_id`, `user_id`, `api_key_id`, `line_item` …"),
)  # fmt: skip
OPENAI_USAGE_NOTES: Final = (
    "Pages of `GET /v1/organization/usage/completions` (and `embeddings`, `images` …) and `/v1/organization/costs`, as they were answered, or their buckets, one a line.",
    "Buckets are sums, not calls: they land in `runs`, so that no count, latency or sum of `llm_calls` is changed by what would be counted there a second time. `input_tokens` includes cached ones, as in the lake.",
    "A page that was fetched again with other bounds or another grouping is another account of the same use: sum one grouping at a time.",
)  # fmt: skip

BEDROCK: Final[Mapping] = (
    ("event_id", "UUIDv5 of `accountId`, `region` and `requestId`"),
    ("timestamp", "`timestamp`"),
    ("latency_ms, ttft_ms", "`metrics.latencyMs` of a Converse body; `invocationLatency` and `firstByteLatency` of a stream's invocation metrics; else null, for the log tells no other"),
    ("provider, operation", "`aws.bedrock`; chat, or embeddings where the answer is an embedding"),
    ("request_model, resource_id", "`modelId`; the same where it is an ARN"),
    ("stream", "`operation` ends in Stream"),
    ("status, error_type", "`errorCode`"),
    ("input_tokens", "`input.inputTokenCount` with `cacheReadInputTokenCount` and `cacheWriteInputTokenCount`, which Bedrock counts apart"),
    ("output_tokens", "`output.outputTokenCount`"),
    ("cache_read_tokens, cache_write_tokens, cache_write_1h_tokens", "those, or the usage of the answer's body where it tells more"),
    ("cost_usd", "the price book, by `inferenceRegion` and the region in the model's name; the log tells no cost"),
    ("region, account_id, inference_region", "`region`, `accountId`, `inferenceRegion`"),
    ("caller_principal", "`identity.arn`"),
    ("provider_request_id", "`requestId`"),
    ("finish_reason, max_tokens", "`stopReason` or `stop_reason`, `maxTokens` or `max_tokens`, of bodies that are in the log"),
    ("user_id, tenant_id, team, feature, session_id", "keys of those names in `requestMetadata`"),
    ("tags", "the other keys of `requestMetadata`"),
)  # fmt: skip
BEDROCK_NOTES: Final = (
    "Files below `AWSLogs/<account>/BedrockModelInvocationLogs/<region>/<year>/<month>/<day>/<hour>/`, copied to a folder (`aws s3 sync`); bodies in `data/` are left alone.",
    "Prompts and answers in the log are read for counts and times only, and are not imported.",
    "A call that a service under Tollmeter made is in the lake already: import the logs of other callers.",
)  # fmt: skip
