"""Names that are written down once: GenAI attributes, header names, event kinds, providers.

Attribute names are those of the OpenTelemetry GenAI semantic conventions; the new name first, then what older
emitters wrote (semconv 1.36 to 1.41, and the generation before).
"""

from __future__ import annotations

from typing import Final

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
TABLE_ROLLUP_CALLS: Final = "rollup_calls_hourly"
TABLE_ROLLUP_REQUESTS: Final = "rollup_requests_hourly"
TABLE_ROLLUP_LATENCY: Final = "rollup_latency_hourly"
TABLE_OF_KIND: Final = {
    KIND_REQUEST: TABLE_REQUESTS,
    KIND_LLM_CALL: TABLE_LLM_CALLS,
    KIND_EVALUATION: TABLE_EVALUATIONS,
    KIND_RUN: TABLE_RUNS,
}
EVENT_TABLES: Final = tuple(TABLE_OF_KIND.values())

HEADER_REQUEST_ID: Final = "x-request-id"
HEADER_TRACEPARENT: Final = "traceparent"
HEADER_TRACESTATE: Final = "tracestate"
HEADER_BAGGAGE: Final = "baggage"

GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_SYSTEM: Final = "gen_ai.system"  # until semconv 1.36
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_USAGE_CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"  # until semconv 1.41
GEN_AI_USAGE_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

PROVIDER_OPENAI: Final = "openai"
PROVIDER_AZURE_OPENAI: Final = "azure.ai.openai"
PROVIDER_ANTHROPIC: Final = "anthropic"
PROVIDER_BEDROCK: Final = "aws.bedrock"
PROVIDER_GEMINI: Final = "gcp.gemini"
PROVIDER_VERTEX: Final = "gcp.vertex_ai"

OPERATION_CHAT: Final = "chat"
OPERATION_TEXT_COMPLETION: Final = "text_completion"
OPERATION_EMBEDDINGS: Final = "embeddings"
OPERATION_IMAGE: Final = "image_generation"
OPERATION_AUDIO: Final = "audio"

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
