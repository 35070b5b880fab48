"""One inference span of another instrumentation, read into the facts of a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tollmeter.instrumentation.otel.conventions import Convention
from tollmeter.instrumentation.otel.providers import provider_of
from tollmeter.instrumentation.otel.usage_attributes import Attributes, first_count, usage_on
from tollmeter.instrumentation.text import clean_text
from tollmeter.model import names
from tollmeter.model.events import Status
from tollmeter.pricing import Usage
from tollmeter.pricing.shapes.fields import encoded

_OPERATIONS: Final = {
    **dict.fromkeys(("chat", "generate_content", "acompletion", "responses", "aresponses"), names.OPERATION_CHAT),
    **dict.fromkeys(("text_completion", "completion", "atext_completion"), names.OPERATION_TEXT_COMPLETION),
    **dict.fromkeys(("embeddings", "embedding", "aembedding"), names.OPERATION_EMBEDDINGS),
    **dict.fromkeys(("image_generation", "aimage_generation"), names.OPERATION_IMAGE),
    **dict.fromkeys(("speech", "aspeech", "transcription", "atranscription"), names.OPERATION_AUDIO),
}
"""Operations that are inferences; agents, chains, workflows, tools and retrieval are none."""

_VENDORS: Final = {
    "claude": "anthropic.",
    "nova": "amazon.",
    "titan": "amazon.",
    "llama": "meta.",
    "mistral": "mistral.",
    "mixtral": "mistral.",
    "command": "cohere.",
    "jamba": "ai21.",
}
_CACHING_MODELS: Final = ("gpt", "o1", "o3", "o4", "claude", "nova")
_GONE: Final = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt"})
_OTHER: Final = "_OTHER"
_MAX_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Inference:
    """What a span says of one model call; times in ns, of the wall clock and relative to `started_ns`."""

    facts: dict[str, Any]
    usage: Usage | None
    status: Status
    error_type: str
    response_id: str
    started_ns: int
    duration_ns: int
    ttft_ns: int
    said: bytes
    """The counts as the span has them, where they contradict each other."""


def operation_of(span: ReadableSpan, attributes: Attributes) -> str:
    """The inference that a span stands for, as the lake names it; empty where it stands for none.

    LiteLLM writes its attributes on the caller's span too, where one is current; that span is no call.
    """
    if span.kind not in (SpanKind.CLIENT, SpanKind.INTERNAL) or names.ATTRIBUTE_SPAN_KIND in attributes:
        return ""
    if names.ATTRIBUTE_LITELLM_CALL in attributes and not _scope_name(span).startswith("litellm"):
        return ""
    said = _text(attributes, names.ATTRIBUTES_OF_OPERATION)
    if said:
        return _OPERATIONS.get(said.lower(), "")
    counted = first_count(attributes, names.ATTRIBUTES_OF_USAGE["input_tokens"]) is not None
    return names.OPERATION_CHAT if counted and _text(attributes, names.ATTRIBUTES_OF_REQUEST_MODEL) else ""


def read_inference(span: ReadableSpan, attributes: Attributes, operation: str, rule: Convention) -> Inference | None:
    """The call that an inference span tells of; None where another span of its emitter tells it."""
    usage = usage_on(attributes, rule, is_embedding=operation == names.OPERATION_EMBEDDINGS)
    error_type = _error_type(span, attributes)
    response_id = _text(attributes, (names.GEN_AI_RESPONSE_ID,))[:_MAX_ID]
    if rule.counts_on_log and usage is None and not error_type and not response_id:
        return None
    facts = _facts(attributes, operation, rule)
    if usage is not None and (method := _estimated_by(usage, facts, attributes, rule)):
        usage = msgspec.structs.replace(usage, source=names.USAGE_ESTIMATED)
        facts["usage_method"] = method
    started, ended = span.start_time or 0, span.end_time or 0
    if started == ended:  # Logfire's log at the end of a stream says how long it took
        seconds = attributes.get(names.ATTRIBUTE_LOGFIRE_DURATION)
        started -= round(seconds * 1e9) if isinstance(seconds, int | float) and seconds > 0 else 0
        facts["stream"] = facts["stream"] or rule.counts_on_log
    return Inference(
        facts=facts,
        usage=usage,
        status=_status(error_type, is_stream=facts["stream"]),
        error_type=error_type,
        response_id="" if rule.has_own_ids else response_id,
        started_ns=started,
        duration_ns=max(0, ended - started),
        ttft_ns=_ttft_ns(span, attributes),
        said=b"" if usage is None or usage.is_consistent() else _counts_as_said(attributes),
    )


def _counts_as_said(attributes: Attributes) -> bytes:
    said = {name: value for name, value in attributes.items() if ".usage." in name}
    return encoded({"usage": said})


def _facts(attributes: Attributes, operation: str, rule: Convention) -> dict[str, Any]:
    model = _text(attributes, names.ATTRIBUTES_OF_REQUEST_MODEL)
    return {
        "provider": _provider(attributes),
        "operation": operation,
        "request_model": _with_vendor(model) if rule.drops_vendor else model,
        "response_model": _text(attributes, names.ATTRIBUTES_OF_RESPONSE_MODEL),
        "service_tier": _text(attributes, names.ATTRIBUTES_OF_TIER),
        "finish_reason": _first_reason(_first(attributes, names.ATTRIBUTES_OF_FINISH_REASON)),
        "stream": _first(attributes, names.ATTRIBUTES_OF_STREAM) in (True, "True", "true"),
        "inference_region": _text(attributes, (names.ATTRIBUTE_CLOUD_REGION,)),
        "max_tokens": first_count(attributes, (names.GEN_AI_REQUEST_MAX_TOKENS,)),
        "http_status": first_count(attributes, names.ATTRIBUTES_OF_HTTP_STATUS),
        "provider_request_id": _text(attributes, names.ATTRIBUTES_OF_REQUEST_ID)[:_MAX_ID],
    }


def _estimated_by(usage: Usage, facts: dict[str, Any], attributes: Attributes, rule: Convention) -> str:
    """How the emitter's counts differ from what the provider reported; empty where they do not."""
    method, model = attributes.get(names.ATTRIBUTE_RPC_METHOD, ""), facts["request_model"]
    if rule.sums_stream_output:  # it does not mark every stream as one
        return "span_sums_stream_output"
    if rule.estimated_models and model.startswith(rule.estimated_models) and method == "InvokeModel":
        return "span_guess_from_text"
    is_told = rule.cache_told_under is None or method in rule.cache_told_under
    if is_told or usage.cache_read_tokens is not None or not any(name in model for name in _CACHING_MODELS):
        return ""
    return "span_omits_cache"


def _provider(attributes: Attributes) -> str:
    said = _text(attributes, names.ATTRIBUTES_OF_PROVIDER)
    if not said:  # LiteLLM's embeddings
        said, slash, _ = _text(attributes, (names.ATTRIBUTE_LITELLM_MODEL,)).partition("/")
        said = said if slash else ""
    return provider_of(said)


def _first(attributes: Attributes, spellings: tuple[str, ...]) -> Any:
    return next((found for name in spellings if (found := attributes.get(name)) not in (None, "")), None)


def _text(attributes: Attributes, spellings: tuple[str, ...]) -> str:
    found = _first(attributes, spellings)
    return clean_text(found) if isinstance(found, str) else ""


def _first_reason(value: Any) -> str:
    if isinstance(value, str) and value.startswith("["):  # Logfire and LiteLLM write a list as JSON
        try:
            value = msgspec.json.decode(value, type=list[str])
        except msgspec.DecodeError:
            return clean_text(value)
    if isinstance(value, list | tuple):
        value = value[0] if value else ""
    return clean_text(value)


def _with_vendor(model: str) -> str:
    """A Bedrock model under the name that AWS gives it.

    >>> _with_vendor("nova-pro-v1:0")
    'amazon.nova-pro-v1:0'
    """
    family = model.partition("-")[0].rstrip("0123456789")
    return _VENDORS.get(family, "") + model


def _error_type(span: ReadableSpan, attributes: Attributes) -> str:
    said = _text(attributes, (names.ERROR_TYPE,))
    if not said and span.status.status_code is StatusCode.ERROR:
        raised = (event.attributes for event in span.events if event.name == names.EVENT_EXCEPTION and event.attributes)
        said = next((_text(found, (names.EVENT_EXCEPTION_TYPE,)) for found in raised), "") or "error"
    return said.rpartition(".")[2]


def _status(error_type: str, *, is_stream: bool) -> Status:
    if error_type in _GONE or (error_type == _OTHER and is_stream):  # util-genai ends an abandoned stream so
        return names.STATUS_PARTIAL
    return names.STATUS_ERROR if error_type else names.STATUS_OK


def _ttft_ns(span: ReadableSpan, attributes: Attributes) -> int:
    seconds = _first(attributes, names.ATTRIBUTES_OF_TTFT)
    if isinstance(seconds, int | float):
        return max(0, round(seconds * 1e9))
    came = next((event.timestamp for event in span.events if event.name in names.EVENTS_OF_FIRST_TOKEN), 0)
    return max(0, came - (span.start_time or 0)) if came else 0


def _scope_name(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""
