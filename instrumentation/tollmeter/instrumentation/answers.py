"""`call.record(answer)`: an SDK's answer, or a chunk of one, taken over as the tap would from the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tollmeter.instrumentation.tap.wires import (
    WIRE_ANTHROPIC,
    WIRE_BEDROCK,
    WIRE_COHERE,
    WIRE_GEMINI,
    WIRE_OLLAMA,
    WIRE_OPENAI,
    WIRES,
)
from tollmeter.pricing import documents
from tollmeter.pricing.shapes import bedrock, langchain
from tollmeter.pricing.shapes.fields import encoded, mapping, mappings

if TYPE_CHECKING:
    from tollmeter.instrumentation.calls import Call

_MAX_ID: Final = 256
_MODEL: Final = ("model_name", "model", "model_id")
_REASON: Final = ("finish_reason", "stop_reason", "stopReason")
_SPEECH: Final = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "text")


def read_answer(call: Call, answer: object) -> str | None:
    """Take over what an answer says; returns the error it carries, an empty string, or None where nothing is known."""
    document = documents.document_of(answer)
    if document is None:
        return None
    if call.content is not None and call.content.heard is not None:
        call.content.heard.take(document)
    before = (call.usage, dict(call.facts))
    error = _READERS[documents.shape_of(call.facts["provider"], document)](call, document)
    _identify(call, answer, document)
    if not call.usage or not call.usage.is_consistent():
        call.said = encoded(document)  # shown as it was said, where it cannot be counted
    if call.facts.get("stream") and not call.first_token and _speaks(document):
        call.saw_byte()
        call.saw_token()
    return error if error or before != (call.usage, call.facts) or _is_event(document) else None


def _read_bedrock(call: Call, document: dict[str, Any]) -> str:
    error = WIRES[WIRE_BEDROCK].read_document(call, document)
    metadata = mapping(document, "metadata")
    if tier := mapping(metadata, "serviceTier").get("type"):
        call.facts["service_tier"] = str(tier)
    headers = mapping(mapping(document, "ResponseMetadata"), "HTTPHeaders")
    metered = bedrock.usage_of_headers(headers)
    if metered and (call.usage is None or call.usage.input_tokens is None or call.usage.output_tokens is None):
        call.usage = bedrock.merge(metered, call.usage)
    return error


def _read_cohere(call: Call, document: dict[str, Any]) -> str:
    return WIRES[WIRE_COHERE].read_document(call, dict(mapping(document, "response", "delta")) or document)


def _read_langchain(call: Call, document: dict[str, Any]) -> str:
    said = mapping(document, "response_metadata")
    facts = (
        ("response_model", _first_text(said, _MODEL)),
        ("finish_reason", _first_text(said, _REASON)),
        ("service_tier", _first_text(said, ("service_tier",))),
        ("provider_request_id", _first_text(mapping(said, "ResponseMetadata"), ("RequestId",))),
    )
    call.facts |= {name: value for name, value in facts if value}
    call.usage = langchain.merge(call.usage, langchain.usage_of(document), document)
    return ""


_READERS: Final[dict[str, Callable[[Call, dict[str, Any]], str]]] = {
    documents.SHAPE_OPENAI: WIRES[WIRE_OPENAI].read_document,
    documents.SHAPE_ANTHROPIC: WIRES[WIRE_ANTHROPIC].read_document,
    documents.SHAPE_GEMINI: WIRES[WIRE_GEMINI].read_document,
    documents.SHAPE_BEDROCK: _read_bedrock,
    documents.SHAPE_COHERE: _read_cohere,
    documents.SHAPE_OLLAMA: WIRES[WIRE_OLLAMA].read_document,
    documents.SHAPE_LANGCHAIN: _read_langchain,
}


def _identify(call: Call, answer: object, document: Mapping[str, Any]) -> None:
    metadata = mapping(document, "ResponseMetadata")
    request_id = getattr(answer, "_request_id", None) or metadata.get("RequestId")
    if isinstance(request_id, str):
        call.facts["provider_request_id"] = request_id[:_MAX_ID]
    status = metadata.get("HTTPStatusCode")
    if type(status) is int:
        call.facts["http_status"] = status


def _first_text(document: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value[:_MAX_ID] for name in names if isinstance(value := document.get(name), str) and value), "")


def _speaks(document: Mapping[str, Any]) -> bool:
    """Whether a chunk holds content, reasoning or a tool call."""
    if str(document.get("type", "")).endswith(("_delta", ".delta")) or "contentBlockDelta" in document:
        return document.get("type") != "message_delta"
    parts = [
        part for found in mappings(document, "candidates") for part in mappings(mapping(found, "content"), "parts")
    ]
    deltas = [mapping(choice, "delta") or choice for choice in mappings(document, "choices")]
    return bool(parts) or bool(document.get("content")) or any(delta.get(name) for delta in deltas for name in _SPEECH)


def _is_event(document: Mapping[str, Any]) -> bool:
    """Whether it is an event of a stream, most of which say nothing that is counted."""
    return isinstance(document.get("type"), str) or "choices" in document or _speaks(document)
