"""LiteLLM's spend logs: rows of the proxy's table LiteLLM_SpendLogs, one per request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tollmeter.etl.importing import mappings
from tollmeter.etl.importing.fields import (
    count,
    document,
    first,
    millis,
    moment,
    names_of,
    needed_moment,
    needed_text,
    text,
    told,
    usd,
)
from tollmeter.etl.importing.source import Context, Source, tokens_per_s, with_cost, with_usage
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.ids import imported_event_id
from tollmeter.model.names import (
    OPERATION_AUDIO,
    OPERATION_CHAT,
    OPERATION_EMBEDDINGS,
    OPERATION_IMAGE,
    OPERATION_RERANK,
    OPERATION_TEXT_COMPLETION,
    PROVIDER_AZURE_OPENAI,
    PROVIDER_BEDROCK,
    PROVIDER_GEMINI,
    PROVIDER_VERTEX,
    STATUS_ERROR,
    STATUS_OK,
)
from tollmeter.pricing.usage import Usage

NAME: Final = "litellm"
_PROVIDERS: Final = {
    "azure": PROVIDER_AZURE_OPENAI,
    "azure_ai": "azure.ai.inference",
    "bedrock": PROVIDER_BEDROCK,
    "bedrock_converse": PROVIDER_BEDROCK,
    "gemini": PROVIDER_GEMINI,
    "mistral": "mistral_ai",
    "vertex_ai": PROVIDER_VERTEX,
    "xai": "x_ai",
}
_OPERATIONS: Final = {
    "completion": OPERATION_CHAT,
    "responses": OPERATION_CHAT,
    "anthropic_messages": OPERATION_CHAT,
    "generate_content": OPERATION_CHAT,
    "text_completion": OPERATION_TEXT_COMPLETION,
    "embedding": OPERATION_EMBEDDINGS,
    "image_generation": OPERATION_IMAGE,
    "image_edit": OPERATION_IMAGE,
    "transcription": OPERATION_AUDIO,
    "speech": OPERATION_AUDIO,
    "rerank": OPERATION_RERANK,
}
_KEY_DIGITS: Final = 64


def _events(record: Mapping[str, Any], context: Context) -> list[bytes]:
    request_id = needed_text(record, "request_id")
    metadata = document(record.get("metadata"))
    failed = text(record, "status") == "failure" or text(metadata, "status") == "failure"
    hit = text(record, "cache_hit").lower() == "true"
    model = text(record, "model")
    call = LlmCall(
        event_id=imported_event_id(NAME, request_id),
        timestamp=needed_moment(record, "startTime", "start_time"),
        service=context.service,
        provider=_provider(text(record, "custom_llm_provider")),
        operation=_operation(text(record, "call_type")),
        request_model=text(record, "model_group") or model,
        response_model="" if failed else model,
        resource_id=text(record, "model_id"),
        status=STATUS_ERROR if failed else STATUS_OK,
        cache_hit=hit,
        user_id=text(record, "end_user"),
        team=text(metadata, "user_api_key_team_alias") or text(record, "team_id"),
        session_id=text(record, "session_id"),
        credential_ref=_hashed(text(record, "api_key")),
        tags=_tags(record, metadata),
        **_fault(metadata, failed=failed),
    )
    usage = None if hit else _usage(record, metadata, failed=failed)
    call = with_usage(_timed(call, record), usage)
    return [encode(tokens_per_s(with_cost(call, usage, usd(record.get("spend")), context, NAME)))]


def _timed(call: LlmCall, record: Mapping[str, Any]) -> LlmCall:
    end = moment(record, "endTime", "end_time")
    begun: datetime | None = moment(record, "completionStartTime")
    streamed = begun is not None and end is not None and call.timestamp < begun < end
    return msgspec.structs.replace(
        call,
        latency_ms=millis(call.timestamp, end),
        ttft_ms=millis(call.timestamp, begun) if streamed else None,
        stream=streamed,
    )


def _usage(record: Mapping[str, Any], metadata: Mapping[str, Any], *, failed: bool) -> Usage | None:
    prompt, completion = count(record, "prompt_tokens"), count(record, "completion_tokens")
    if failed and not (prompt or completion):
        return None  # the table's default is 0
    more = document(metadata.get("usage_object")) | document(metadata.get("additional_usage_values"))
    asked, answered = document(more.get("prompt_tokens_details")), document(more.get("completion_tokens_details"))
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=_either(count(more, "cache_read_input_tokens"), count(asked, "cached_tokens")),
        cache_write_tokens=_either(count(more, "cache_creation_input_tokens"), count(asked, "cache_creation_tokens")),
        reasoning_tokens=count(answered, "reasoning_tokens"),
        input_audio_tokens=count(asked, "audio_tokens"),
        output_audio_tokens=count(answered, "audio_tokens"),
    )


def _either(one: int | None, other: int | None) -> int | None:
    return one or other if one is not None and other is not None else one if other is None else other


def _fault(metadata: Mapping[str, Any], *, failed: bool) -> dict[str, Any]:
    if not failed:
        return {}
    told_of = document(metadata.get("error_information"))
    code = text(told_of, "error_code")
    status = int(code) if code.isascii() and code.isdigit() else None
    return {"error_type": text(told_of, "error_class"), "http_status": status}


def _tags(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    return told(
        litellm__user=text(record, "user"),
        litellm__organization_id=text(record, "organization_id"),
        litellm__request_tags=names_of(first(record, "request_tags")),
        litellm__key_alias=text(metadata, "user_api_key_alias"),
    )


def _provider(name: str) -> str:
    return _PROVIDERS.get(name, name)


def _operation(call_type: str) -> str:
    """The operation of a call type; the asynchronous variant has an `a` before it.

    >>> _operation("acompletion"), _operation("aembedding"), _operation("moderation")
    ('chat', 'embeddings', 'moderation')
    """
    return _OPERATIONS.get(call_type) or _OPERATIONS.get(call_type.removeprefix("a")) or call_type


def _hashed(key: str) -> str:
    return key if len(key) == _KEY_DIGITS and key.isalnum() else ""


LITELLM: Final = Source(
    name=NAME,
    title="LiteLLM spend logs",
    suffixes=(".csv", ".json", ".jsonl", ".parquet"),
    events=_events,
    mapping=mappings.LITELLM,
    notes=mappings.LITELLM_NOTES,
    reference="github.com/BerriAI/litellm, schema.prisma",
)
