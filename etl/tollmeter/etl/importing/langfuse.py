"""Langfuse's export of observations: the blob storage integration, enriched or legacy, and the export of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollmeter.etl.importing import mappings
from tollmeter.etl.importing.fields import (
    SkippedError,
    count,
    document,
    hex_id,
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
from tollmeter.model.names import OPERATION_CHAT, OPERATION_EMBEDDINGS, STATUS_ERROR, STATUS_OK
from tollmeter.pricing.usage import Usage

NAME: Final = "langfuse"
_CALLS: Final = {"GENERATION": OPERATION_CHAT, "EMBEDDING": OPERATION_EMBEDDINGS}
_READ: Final = ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read", "input_cached")
_WRITE: Final = ("cache_creation_input_tokens", "input_cache_creation", "input_cache_write")
_REASONING: Final = ("output_reasoning_tokens", "reasoning_tokens", "output_reasoning")
_AUDIO_IN: Final = ("input_audio_tokens", "input_audio")
_AUDIO_OUT: Final = ("output_audio_tokens", "output_audio")
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16


def _events(record: Mapping[str, Any], context: Context) -> list[bytes]:
    kind = text(record, "type") or "no type"
    if kind not in _CALLS:
        raise SkippedError(kind)
    key = f"{text(record, 'project_id', 'projectId')}\x1f{needed_text(record, 'id')}"
    start, end = needed_moment(record, "start_time", "startTime"), moment(record, "end_time", "endTime")
    begun = moment(record, "completion_start_time", "completionStartTime")
    trace = text(record, "trace_id", "traceId")
    call = LlmCall(
        event_id=imported_event_id(NAME, key),
        timestamp=start,
        service=context.service,
        environment=text(record, "environment"),
        version=text(record, "version"),
        operation=_CALLS[kind],
        request_model=text(record, "provided_model_name", "model"),
        status=STATUS_ERROR if text(record, "level") == "ERROR" else STATUS_OK,
        max_tokens=_max_tokens(record),
        user_id=text(record, "user_id", "userId"),
        session_id=text(record, "session_id", "sessionId"),
        prompt_name=text(record, "prompt_name", "promptName"),
        prompt_version=text(record, "prompt_version", "promptVersion"),
        trace_id=hex_id(trace, _TRACE_DIGITS),
        span_id=hex_id(text(record, "id"), _SPAN_DIGITS),
        parent_span_id=hex_id(text(record, "parent_observation_id", "parentObservationId"), _SPAN_DIGITS),
        tags=_tags(record, trace),
        latency_ms=millis(start, end),
        ttft_ms=millis(start, begun),
        stream=begun is not None,
    )
    usage = _usage(document(record.get("usage_details") or record.get("usageDetails")))
    call = with_usage(call, usage)
    cost = usd(record.get("total_cost", record.get("totalCost")))
    return [encode(tokens_per_s(with_cost(call, usage, cost, context, NAME)))]


def _max_tokens(record: Mapping[str, Any]) -> int | None:
    parameters = document(record.get("model_parameters") or record.get("modelParameters"))
    return count(parameters, "max_tokens", "max_completion_tokens", "maxTokens")


def _tags(record: Mapping[str, Any], trace: str) -> dict[str, str]:
    return told(
        langfuse__name=text(record, "name"),
        langfuse__trace_name=text(record, "trace_name", "traceName"),
        langfuse__tags=names_of(record.get("tags")),
        langfuse__trace_id="" if hex_id(trace, _TRACE_DIGITS) else trace,
    )


def _usage(details: Mapping[str, Any]) -> Usage | None:
    """Counts made inclusive: Langfuse's keys are summed, so parts stand beside `input` and `output`, not inside.

    >>> _usage({"input": 100, "input_cached_tokens": 900, "output": 5, "total": 1005}).input_tokens
    1000
    >>> _usage({"input": 1000, "input_cached_tokens": 900, "output": 5, "total": 1005}).input_tokens
    1000
    """
    given, answered, total = count(details, "input"), count(details, "output"), count(details, "total")
    if given is None and answered is None:
        return None
    parts_in = [count(details, *names) for names in (_READ, _WRITE, _AUDIO_IN)]
    parts_out = [count(details, *names) for names in (_REASONING, _AUDIO_OUT)]
    inside = total is not None and total == (given or 0) + (answered or 0)
    return Usage(
        input_tokens=given if inside else _whole(given, parts_in),
        output_tokens=answered if inside else _whole(answered, parts_out),
        cache_read_tokens=parts_in[0],
        cache_write_tokens=parts_in[1],
        input_audio_tokens=parts_in[2],
        reasoning_tokens=parts_out[0],
        output_audio_tokens=parts_out[1],
    )


def _whole(plain: int | None, parts: list[int | None]) -> int | None:
    known = [part for part in (plain, *parts) if part is not None]
    return sum(known) if known else None


LANGFUSE: Final = Source(
    name=NAME,
    title="Langfuse observations",
    suffixes=(".parquet", ".jsonl", ".json", ".csv", ".jsonl.gz", ".json.gz", ".csv.gz"),
    events=_events,
    mapping=mappings.LANGFUSE,
    notes=mappings.LANGFUSE_NOTES,
    reference="langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields",
)
