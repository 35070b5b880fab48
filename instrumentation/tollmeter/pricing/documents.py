"""Answers as SDKs hand them to applications, read by the same functions that read the wire.

No SDK is imported: an object is asked for its document by the methods that SDKs share (`model_dump`, `to_dict`, …).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from tollmeter.model.names import PROVIDER_ANTHROPIC, PROVIDER_BEDROCK, PROVIDER_COHERE
from tollmeter.pricing.shapes import anthropic, bedrock, cohere, gemini, langchain, ollama, openai
from tollmeter.pricing.shapes.fields import decoded, mapping
from tollmeter.pricing.usage import Usage

SHAPE_OPENAI: Final = "openai"
SHAPE_ANTHROPIC: Final = "anthropic"
SHAPE_GEMINI: Final = "gemini"
SHAPE_BEDROCK: Final = "bedrock"
SHAPE_COHERE: Final = "cohere"
SHAPE_LANGCHAIN: Final = "langchain"
SHAPE_OLLAMA: Final = "ollama"

_BULK: Final = "data"  # vectors and images, which say nothing that is counted
_MAX_DEPTH: Final = 8
_DUMPS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("model_dump", {"by_alias": True, "exclude_none": True, "exclude": {_BULK}, "warnings": False}),
    ("model_dump", {}),
    ("to_dict", {}),
    ("dict", {}),
)
_MARKS: Final = (
    (SHAPE_GEMINI, frozenset({"usageMetadata", "candidates", "modelVersion", "promptFeedback"})),
    (SHAPE_BEDROCK, frozenset({"ResponseMetadata", "amazon-bedrock-invocationMetrics", "stopReason"})),
    (SHAPE_OLLAMA, frozenset({"prompt_eval_count", "eval_count", "done_reason"})),
    (SHAPE_OPENAI, frozenset({"choices", "object"})),
)
"""Fields that only one shape has."""
_BY_PROVIDER: Final = {
    PROVIDER_BEDROCK: SHAPE_BEDROCK,
    PROVIDER_ANTHROPIC: SHAPE_ANTHROPIC,
    PROVIDER_COHERE: SHAPE_COHERE,
}


def usage_of(provider: str, answer: object) -> Usage | None:
    """What one answer of an SDK says was consumed, or None where it says nothing that is understood.

    Args:
        provider: its OpenTelemetry name; it decides only where the document itself does not.
        answer: an object of the openai, anthropic, google-genai, litellm or langchain package, a dict of boto3, any
            other dict or mapping of such a shape, or JSON as bytes or str.

    >>> usage_of("openai", '{"usage": {"prompt_tokens": 9, "completion_tokens": 2}}').input_tokens
    9
    >>> usage_of("openai", object()) is None
    True
    """
    document = document_of(answer)
    return usage_of_document(shape_of(provider, document), document) if document else None


def usage_of_document(shape: str, document: dict[str, Any]) -> Usage | None:
    """The usage in one document whose shape is known."""
    if shape == SHAPE_BEDROCK:
        return _bedrock(document)
    functions = {
        SHAPE_ANTHROPIC: anthropic.usage_of,
        SHAPE_GEMINI: gemini.usage_of,
        SHAPE_COHERE: cohere.usage_of,
        SHAPE_LANGCHAIN: langchain.usage_of,
        SHAPE_OLLAMA: ollama.usage_of,
    }
    return functions.get(shape, openai.usage_of)(document)


def document_of(answer: object) -> dict[str, Any] | None:
    """The document that an answer holds, in the field names of the wire; None where it holds none."""
    if isinstance(answer, str | bytes | bytearray):
        answer = decoded(answer.encode() if isinstance(answer, str) else bytes(answer))
    document = answer if isinstance(answer, dict) else dict(answer) if isinstance(answer, Mapping) else _dumped(answer)
    if not isinstance(document, dict) or not document:
        return None
    if isinstance(inner := mapping(document, "chunk").get("bytes"), bytes):
        return document_of(inner)  # an event of boto3's InvokeModelWithResponseStream
    return _camel(document) if _is_snake(document) else document


def shape_of(provider: str, document: Mapping[str, Any]) -> str:
    """Whose words a document speaks: told by the document, and by the provider only where that says nothing."""
    if langchain.is_document(document):
        return SHAPE_LANGCHAIN
    marked = next((shape for shape, marks in _MARKS if not marks.isdisjoint(document)), "")
    if not marked and "inputTokens" in mapping(document, "usage"):
        return SHAPE_BEDROCK
    return marked or _by_kind(str(document.get("type", ""))) or _BY_PROVIDER.get(provider, SHAPE_OPENAI)


def _by_kind(kind: str) -> str:
    if kind.startswith("response."):
        return SHAPE_OPENAI
    return SHAPE_ANTHROPIC if kind == "message" or kind.startswith(("message_", "content_block_")) else ""


def _bedrock(document: dict[str, Any]) -> Usage | None:
    usage = bedrock.usage_of(document)
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        # boto3 hands on the headers; of InvokeModel the body is a stream that is the caller's to read.
        headers = mapping(mapping(document, "ResponseMetadata"), "HTTPHeaders")
        usage = bedrock.merge(bedrock.usage_of_headers(headers), usage)
    return usage


def _dumped(answer: object) -> Any:
    for name, arguments in _DUMPS:
        dump = None if isinstance(answer, type) else getattr(answer, name, None)
        found = _called(dump, arguments) if callable(dump) else None
        if isinstance(found, dict):
            return found
    return _plain(answer, _MAX_DEPTH)


def _called(dump: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return dump(**arguments)
    except Exception:  # noqa: BLE001  foreign code, of a class that may only look like one of pydantic's
        return None


def _plain(value: Any, depth: int) -> Any:
    """Attributes as fields, down to a depth at which no count stands any more."""
    if value is None or isinstance(value, str | int | float | bool | Enum | type):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value] if depth else None
    fields = value if isinstance(value, dict) else getattr(value, "__dict__", None)
    if not isinstance(fields, dict) or not depth:
        return None
    return {
        name: _plain(item, depth - 1)
        for name, item in fields.items()
        if isinstance(name, str) and not name.startswith("_") and name != _BULK
    }


def _is_snake(document: Mapping[str, Any]) -> bool:
    return any(name.endswith("_token_count") for name in mapping(document, "usage_metadata"))


def _camel(value: Any) -> Any:
    """Google's field names in snake case, as its Python objects have them, in the case of its wire."""
    if isinstance(value, dict):
        return {_camel_name(name): _camel(item) for name, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _camel_name(name: Any) -> Any:
    head, *rest = str(name).split("_")
    return head + "".join(part.capitalize() for part in rest)
