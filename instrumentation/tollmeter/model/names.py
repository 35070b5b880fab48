"""Names that are written down once: GenAI attributes, header names, event kinds, providers.

Attribute names are those of the OpenTelemetry GenAI semantic conventions; the new name first, then what older
emitters wrote (semconv 1.36 to 1.41, and the generation before).
"""

from __future__ import annotations

from typing import Final

METHOD_WEBSOCKET: Final = "WEBSOCKET"
METHOD_QUEUE: Final = "QUEUE"
METHOD_LAMBDA: Final = "LAMBDA"
METHOD_JOB: Final = "JOB"

# Tags that are set by us, on requests that are no plain HTTP exchange.
TAG_ATTEMPT: Final = "attempt"
TAG_MESSAGE_ID: Final = "message_id"
TAG_CLOSE_CODE: Final = "close_code"
TAG_COLD_START: Final = "cold_start"
TAG_FUNCTION: Final = "function_name"
TAG_MEMORY_MB: Final = "memory_mb"
TAG_AWS_REQUEST_ID: Final = "aws_request_id"
TAG_RECORDS: Final = "records"
TAG_FAILED_RECORDS: Final = "failed_records"
ERROR_LAMBDA_TIMEOUT: Final = "LambdaTimeout"
TRUE: Final = "true"

KIND_REQUEST: Final = "request"
KIND_LLM_CALL: Final = "llm_call"
KIND_EVALUATION: Final = "evaluation"
KIND_RUN: Final = "run"
KINDS: Final = (KIND_REQUEST, KIND_LLM_CALL, KIND_EVALUATION, KIND_RUN)

TABLE_REQUESTS: Final = "requests"
TABLE_LLM_CALLS: Final = "llm_calls"
TABLE_EVALUATIONS: Final = "evaluations"
TABLE_RUNS: Final = "runs"
TABLE_QUARANTINE: Final = "quarantine"
TABLE_LEDGER: Final = "ingest_ledger"
TABLE_TOMBSTONES: Final = "tombstones"
TABLE_ROLLUP_METRICS: Final = "rollup_metrics_minute"
TABLE_ROLLUP_CALLS: Final = "rollup_calls_hourly"
TABLE_ROLLUP_REQUESTS: Final = "rollup_requests_hourly"
TABLE_ROLLUP_LATENCY: Final = "rollup_latency_hourly"
TABLE_ROLLUP_CALLS_DAILY: Final = "rollup_calls_daily"
TABLE_ROLLUP_LATENCY_DAILY: Final = "rollup_latency_daily"
TABLE_ROLLUP_SPEND: Final = "rollup_spend_daily"
TABLE_ROLLUP_SESSIONS: Final = "rollup_sessions_daily"
TABLE_COMMITMENTS: Final = "commitment_hours"
TABLE_OF_KIND: Final = {
    KIND_REQUEST: TABLE_REQUESTS,
    KIND_LLM_CALL: TABLE_LLM_CALLS,
    KIND_EVALUATION: TABLE_EVALUATIONS,
    KIND_RUN: TABLE_RUNS,
}
EVENT_TABLES: Final = tuple(TABLE_OF_KIND.values())

CONTENT_FIELDS: Final = ("input_content", "output_content")
"""Fields that hold what people wrote and models answered."""

HEADER_REQUEST_ID: Final = "x-request-id"
HEADER_TRACEPARENT: Final = "traceparent"
HEADER_TRACESTATE: Final = "tracestate"
HEADER_BAGGAGE: Final = "baggage"
HEADER_XRAY: Final = "x-amzn-trace-id"
HEADER_DATADOG_TRACE_ID: Final = "x-datadog-trace-id"
HEADER_DATADOG_PARENT_ID: Final = "x-datadog-parent-id"
HEADER_DATADOG_PRIORITY: Final = "x-datadog-sampling-priority"
HEADER_DATADOG_TAGS: Final = "x-datadog-tags"
ATTRIBUTE_AWS_TRACE: Final = "AWSTraceHeader"  # system attribute of an SQS message
ATTRIBUTE_DATADOG: Final = "_datadog"  # attribute of a message, or member of a detail, that holds Datadog's headers
HEADER_LAMBDA_CONTEXT: Final = "x-amzn-lambda-context"
PROPAGATION_TRACECONTEXT: Final = "tracecontext"
PROPAGATION_XRAY: Final = "xray"
PROPAGATION_DATADOG: Final = "datadog"

HEADERS_RECORDED: Final = frozenset(
    {
        # of a request that is served; those of the settings `headers`, `claims` and `baggage` come on top
        HEADER_REQUEST_ID, HEADER_TRACEPARENT, HEADER_TRACESTATE, HEADER_XRAY,
        HEADER_DATADOG_TRACE_ID, HEADER_DATADOG_PARENT_ID, HEADER_DATADOG_PRIORITY, HEADER_DATADOG_TAGS,
        # of a call to a provider: which try it is
        "x-stainless-retry-count", "amz-sdk-request",
        # of a provider's answer: ids, limits, where and how it was served, and usage
        "apim-request-id", "request-id", "x-amzn-requestid", "mistral-correlation-id", "x-debug-trace-id",
        "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
        "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
        "x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute",
        "x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute",
        "x-ratelimit-limit-requests-day", "x-ratelimit-remaining-requests-day",
        "anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-output-tokens-limit", "anthropic-ratelimit-output-tokens-remaining",
        "x-ms-deployment-name", "x-ms-region", "x-gemini-service-tier", "x-amzn-errortype",
        "x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count",
        "x-amzn-bedrock-cache-read-input-token-count", "x-amzn-bedrock-cache-write-input-token-count",
    }
)  # fmt: skip
"""The headers whose values, or parts of them, may stand on an event; a test proves that no other's does.

Of a credential (`authorization`, `api-key`, …) a keyed hash is recorded, never the value.
"""

SCOPE_STEPS: Final = "tollmeter"
"""Instrumentation scope of the spans that steps become in OTel mode."""
SCOPES_OF_FRAMEWORKS: Final = ("opentelemetry.instrumentation", "fastapi", "starlette")
"""Scopes, and prefixes of scopes, whose spans are not the application's own."""

GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_SYSTEM: Final = "gen_ai.system"  # until semconv 1.36
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_USAGE_CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"  # until semconv 1.41
GEN_AI_USAGE_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_PROMPT_NAME: Final = "gen_ai.prompt.name"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
ERROR_TYPE: Final = "error.type"
ERROR_OTHER: Final = "_OTHER"
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
HTTP_RESPONSE_BODY_SIZE: Final = "http.response.body.size"
HTTP_ROUTE: Final = "http.route"
ENDUSER_ID: Final = "enduser.id"
SESSION_ID: Final = "session.id"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
CLOUD_REGION: Final = "cloud.region"
CLOUD_ACCOUNT_ID: Final = "cloud.account.id"
XRAY_ANNOTATIONS: Final = "aws.xray.annotations"
DATADOG_STATS_COMPUTED: Final = "_dd.stats_computed"
"""On a resource: the Agent makes no metrics of its spans."""
OWN_PREFIX: Final = "tollmeter."
"""What an attribute of ours begins with; the name of the event's field follows."""
OWN_COST_USD: Final = OWN_PREFIX + "cost_usd"
OWN_COST_USD_EXACT: Final = OWN_PREFIX + "cost_usd_exact"
OWN_TAG_PREFIX: Final = OWN_PREFIX + "tags."

ATTRIBUTE_PREFIXES: Final = ("gen_ai.", "llm.")
"""What the names of all attributes of model calls begin with."""

# Each field in every spelling that is emitted, the newest first.
ATTRIBUTES_OF_PROVIDER: Final = (GEN_AI_PROVIDER_NAME, GEN_AI_SYSTEM, "llm.vendor")
ATTRIBUTES_OF_OPERATION: Final = (
    GEN_AI_OPERATION_NAME,
    "llm.request.type",
)  # the second is OpenLLMetry's and LiteLLM's
ATTRIBUTES_OF_REQUEST_MODEL: Final = (GEN_AI_REQUEST_MODEL, "llm.request.model")
ATTRIBUTES_OF_RESPONSE_MODEL: Final = (GEN_AI_RESPONSE_MODEL, "llm.response.model")
ATTRIBUTES_OF_STREAM: Final = (GEN_AI_REQUEST_STREAM, "gen_ai.is_streaming", "llm.is_streaming")
ATTRIBUTES_OF_FINISH_REASON: Final = (
    GEN_AI_RESPONSE_FINISH_REASONS,
    "gen_ai.response.finish_reason",
    "llm.response.finish_reason",
    "anthropic.message.stop_reason",
)
ATTRIBUTES_OF_TIER: Final = (
    OPENAI_RESPONSE_SERVICE_TIER,
    "gen_ai.openai.response.service_tier",  # until semconv 1.36
    "anthropic.response.service_tier",
)
ATTRIBUTES_OF_TTFT: Final = (GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, "gen_ai.client.operation.time_to_first_chunk")
ATTRIBUTES_OF_REQUEST_ID: Final = ("anthropic.request.id", "aws.request_id")
ATTRIBUTES_OF_HTTP_STATUS: Final = (HTTP_RESPONSE_STATUS_CODE, "http.status_code")
ATTRIBUTES_OF_USAGE: Final = {
    "input_tokens": (GEN_AI_USAGE_INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "output_tokens": (GEN_AI_USAGE_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    "cache_read_tokens": (
        GEN_AI_USAGE_CACHE_READ_TOKENS,
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.details.cached_tokens",
    ),
    "cache_write_tokens": (
        GEN_AI_USAGE_CACHE_WRITE_TOKENS,
        GEN_AI_USAGE_CACHE_CREATION_TOKENS,
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
    ),
    "cache_write_1h_tokens": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",),
    "reasoning_tokens": (
        GEN_AI_USAGE_REASONING_TOKENS,
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.usage.reasoning_tokens",
    ),
    "input_audio_tokens": ("gen_ai.usage.audio.input_tokens", "gen_ai.usage.details.input_audio_tokens"),
    "output_audio_tokens": ("gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens"),
    "input_image_tokens": ("gen_ai.usage.image.input_tokens",),
    "output_image_tokens": ("gen_ai.usage.image.output_tokens",),
}
ATTRIBUTES_OF_TOTAL_TOKENS: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
ATTRIBUTE_SPAN_KIND: Final = "traceloop.span.kind"
EVENT_EXCEPTION: Final = "exception"
EVENT_EXCEPTION_TYPE: Final = "exception.type"
EVENTS_OF_FIRST_TOKEN: Final = ("gen_ai.content.completion.chunk", "llm.content.completion.chunk", "first_token")
ATTRIBUTE_CLOUD_REGION: Final = "cloud.region"
ATTRIBUTE_RPC_METHOD: Final = "rpc.method"
ATTRIBUTE_LITELLM_MODEL: Final = "litellm.provider.model"  # provider/model
ATTRIBUTE_LITELLM_CALL: Final = "litellm.call_id"
ATTRIBUTE_LOGFIRE_DURATION: Final = "duration"  # seconds, on the log that ends a stream

PROVIDER_OPENAI: Final = "openai"
PROVIDER_AZURE_OPENAI: Final = "azure.ai.openai"
PROVIDER_ANTHROPIC: Final = "anthropic"
PROVIDER_BEDROCK: Final = "aws.bedrock"
PROVIDER_GEMINI: Final = "gcp.gemini"
PROVIDER_VERTEX: Final = "gcp.vertex_ai"
PROVIDER_AZURE_INFERENCE: Final = "azure.ai.inference"
PROVIDER_COHERE: Final = "cohere"
PROVIDER_OLLAMA: Final = "ollama"

OPERATION_CHAT: Final = "chat"
OPERATION_TEXT_COMPLETION: Final = "text_completion"
OPERATION_EMBEDDINGS: Final = "embeddings"
OPERATION_IMAGE: Final = "image_generation"
OPERATION_AUDIO: Final = "audio"
OPERATION_RERANK: Final = "rerank"

TIER_BATCH: Final = "batch"

STATUS_OK: Final = "ok"
STATUS_ERROR: Final = "error"
STATUS_PARTIAL: Final = "partial"

USAGE_REPORTED: Final = "reported"
USAGE_ESTIMATED: Final = "estimated"
USAGE_MISSING: Final = "missing"

COST_PRICED: Final = "priced"
COST_ESTIMATED: Final = "estimated"
COST_PARTIAL: Final = "partial"
COST_UNPRICED: Final = "unpriced"
COST_INCONSISTENT: Final = "inconsistent"

MESSAGE_REQUEST: Final = "Request completed"
MESSAGE_LLM_CALL: Final = "Model call completed"
MESSAGE_EVALUATION: Final = "Evaluation recorded"
MESSAGE_RUN: Final = "Run completed"

COMPONENT_FORWARD: Final = "forward"
DROP_LATE: Final = "late"
DROP_EARLY: Final = "early"
DROP_INVALID: Final = "invalid"
DROP_SAMPLED: Final = "sampled"
DROP_TOO_LARGE: Final = "too_large"
DROP_REJECTED: Final = "rejected"
DROP_REASONS: Final = {
    DROP_LATE: "too old to be sent, or held for too long by a sink that was down",
    DROP_EARLY: "too far ahead of the clock to be sent",
    DROP_INVALID: "lines that are no event",
    DROP_SAMPLED: "left out by the sampling of traces, as asked",
    DROP_TOO_LARGE: "larger than the sink takes",
    DROP_REJECTED: "refused by the receiver for what they hold",
}
"""Why a sink never sends a line, in words."""
