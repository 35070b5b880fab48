"""Bedrock's model invocation logs, as Bedrock delivers them to S3: gzip files of one JSON record a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tollmeter.etl.importing import mappings
from tollmeter.etl.importing.fields import SkippedError, count, document, needed_moment, needed_text, text
from tollmeter.etl.importing.source import Context, Source, with_cost, with_usage
from tollmeter.model.events import LlmCall, encode
from tollmeter.model.ids import imported_event_id
from tollmeter.model.names import (
    OPERATION_CHAT,
    OPERATION_EMBEDDINGS,
    PROVIDER_BEDROCK,
    STATUS_ERROR,
    STATUS_OK,
)
from tollmeter.pricing import usage_of
from tollmeter.pricing.usage import Usage

NAME: Final = "bedrock-invocations"
_SCHEMA: Final = "ModelInvocationLog"
_ARN: Final = "arn:"
_BODIES: Final = "data"
_STREAM: Final = "Stream"
_WRAPPERS: Final = ("metadata", "message", "delta", "messageStop")
_ATTRIBUTION: Final = ("user_id", "tenant_id", "team", "feature", "session_id")
_METRICS: Final = "amazon-bedrock-invocationMetrics"


def _events(record: Mapping[str, Any], context: Context) -> list[bytes]:
    if text(record, "schemaType") != _SCHEMA:
        raise SkippedError(text(record, "schemaType") or "no schemaType")
    given, answer = document(record.get("input")), document(record.get("output"))
    model, operation = needed_text(record, "modelId"), text(record, "operation")
    fault = text(record, "errorCode")
    identity = (text(record, "accountId"), text(record, "region"), needed_text(record, "requestId"))
    parts = list(_parts(answer.get("outputBodyJson")))
    latency_ms, ttft_ms = _times(parts)
    asked = {name: str(value) for name, value in document(record.get("requestMetadata")).items()}
    call = LlmCall(
        event_id=imported_event_id(NAME, "\x1f".join(identity)),
        timestamp=needed_moment(record, "timestamp"),
        service=context.service,
        region=identity[1],
        account_id=identity[0],
        provider=PROVIDER_BEDROCK,
        operation=OPERATION_EMBEDDINGS if any(map(_is_embedding, parts)) else OPERATION_CHAT,
        request_model=model,
        resource_id=model if model.startswith(_ARN) else "",
        provider_request_id=identity[2],
        caller_principal=text(document(record.get("identity")), "arn"),
        inference_region=text(record, "inferenceRegion"),
        stream=operation.endswith(_STREAM),
        status=STATUS_ERROR if fault else STATUS_OK,
        error_type=fault,
        finish_reason=_found(parts, "stopReason", "stop_reason"),
        max_tokens=_max_tokens(document(given.get("inputBodyJson"))),
        tags={name: value for name, value in asked.items() if name not in _ATTRIBUTION},
        user_id=asked.get("user_id", ""),
        tenant_id=asked.get("tenant_id", ""),
        team=asked.get("team", ""),
        feature=asked.get("feature", ""),
        session_id=asked.get("session_id", ""),
        latency_ms=latency_ms,
        ttft_ms=ttft_ms,
    )
    usage = _usage(given, answer, parts)
    return [encode(with_cost(with_usage(call, usage), usage, None, context, NAME))]


def _parts(body: Any) -> Iterator[dict[str, Any]]:
    """What a body is made of: itself, or a stream's events; what an event wraps stands beside it."""
    for part in body if isinstance(body, list) else [body]:
        found = document(part)
        yield found
        yield from (document(found[name]) for name in _WRAPPERS if name in found)


def _usage(given: Mapping[str, Any], answer: Mapping[str, Any], parts: list[dict[str, Any]]) -> Usage | None:
    plain, out = count(given, "inputTokenCount"), count(answer, "outputTokenCount")
    if plain is None and out is None:
        return None
    read, written = count(given, "cacheReadInputTokenCount"), count(given, "cacheWriteInputTokenCount")
    told = next((found for part in parts if "usage" in part and (found := usage_of(PROVIDER_BEDROCK, part))), None)
    if told is not None and read is None and written is None:
        read, written = told.cache_read_tokens, told.cache_write_tokens
    whole = None if plain is None else plain + (read or 0) + (written or 0)
    return Usage(
        input_tokens=whole,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=told.cache_write_1h_tokens if told is not None else None,
    )


def _times(parts: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Latency and time to the first token in ms; None where the log does not tell."""
    for part in parts:
        metrics = document(part.get(_METRICS)) or document(part.get("metrics"))
        latency = count(metrics, "invocationLatency", "latencyMs")
        if latency is not None:
            begun = count(metrics, "firstByteLatency", "timeToFirstByteMs")
            return float(latency), None if begun is None else float(begun)
    return None, None


def _found(parts: list[dict[str, Any]], *names: str) -> str:
    return next((value for part in parts if (value := text(part, *names))), "")


def _is_embedding(part: Mapping[str, Any]) -> bool:
    return any(name in part for name in ("embedding", "embeddings", "embeddingsByType"))


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    return count(document(body.get("inferenceConfig")), "maxTokens") or count(body, "max_tokens")


def _is_body(path: Path) -> bool:
    """Whether a file holds a body that was too large for its record: those stand in a folder of their own."""
    return path.parent.name == _BODIES


BEDROCK: Final = Source(
    name=NAME,
    title="Bedrock model invocation logs",
    suffixes=(".json.gz", ".json", ".jsonl", ".jsonl.gz"),
    events=_events,
    mapping=mappings.BEDROCK,
    notes=mappings.BEDROCK_NOTES,
    reference="docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html",
    ignored=_is_body,
)
