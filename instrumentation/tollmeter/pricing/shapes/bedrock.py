"""The Bedrock shapes: Converse, and InvokeModel in the shape of each model family, plain, streamed or in headers only.

The family is told by the document: the model stands in the URL only, and may be an opaque ARN. Counts leave the cache
out. What Bedrock itself metered, `amazon-bedrock-invocationMetrics` in streams and `x-amzn-bedrock-*` in headers, is
what it bills: in a stream it is the last word, of a plain answer it fills in what the body does not say.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.shapes import anthropic, cohere, openai
from tollmeter.pricing.shapes.eventstream import Frame, FrameDecoder
from tollmeter.pricing.shapes.exclusive import inclusive, merge
from tollmeter.pricing.shapes.fields import decoded, first, mapping, mappings, total
from tollmeter.pricing.shapes.sse import data_fields
from tollmeter.pricing.usage import Usage

__all__ = ["document_of", "documents", "extract", "extract_further", "merge", "usage_of", "usage_of_headers"]

_METRICS: Final = "amazon-bedrock-invocationMetrics"
_HEADER: Final = "x-amzn-bedrock-"
_HEADERS: Final = {
    "input-token-count": "inputTokenCount",
    "output-token-count": "outputTokenCount",
    "cache-read-input-token-count": "cacheReadInputTokenCount",
    "cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_MAX_DIGITS: Final = 19
_TELLING: Final = frozenset(
    {
        _METRICS,
        "usage",
        "message",
        "metadata",
        "meta",
        "response",
        "choices",
        "results",
        "inputTextTokenCount",
        "totalOutputTextTokenCount",
        "prompt_token_count",
        "generation_token_count",
    }
)
"""The fields that usage can stand in; an event without them is passed over, as most events of a stream are."""


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed answer or stream event, or None where it holds none that can be understood.

    An event of a stream may hold a part only: see `merge`.

    >>> usage_of({"usage": {"inputTokens": 3, "cacheReadInputTokens": 7917, "outputTokens": 442}}).input_tokens
    7920
    """
    if not isinstance(document, dict) or _TELLING.isdisjoint(document):
        return None
    metered = _counted(mapping(document, _METRICS))
    if anthropic.is_document(document):
        return merge(anthropic.usage_of(document), metered)
    answer = mapping(document, "metadata") or document
    own = _counted(mapping(answer, "usage")) or _titan(document) or _llama(document) or cohere.usage_of(document)
    if own or metered:
        return merge(own, metered)
    return openai.usage_of(document)


def usage_of_headers(headers: Mapping[str, str]) -> Usage | None:
    """The usage in the headers of an answer, in any case of letters, or None where they hold none."""
    counts: dict[str, int] = {}
    for name, value in headers.items():
        key = _HEADERS.get(name.lower().removeprefix(_HEADER)) if name[:1] in "xX" else None
        if key and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
            counts[key] = int(value)
    return _counted(counts)


def document_of(frame: Frame) -> Any:
    """The event that a frame of a stream carries, parsed; None where it is no event, but an exception or garbage."""
    if frame.headers.get(":message-type", "event") != "event":
        return None
    document = decoded(frame.payload)
    inner = document.get("bytes") if isinstance(document, dict) else None
    if not isinstance(inner, str):
        return document
    try:
        return decoded(binascii.a2b_base64(inner))
    except ValueError:
        return None


def extract(body: bytes, *, headers: Mapping[str, str], stream: bool) -> Usage | None:
    """The usage of a whole answer: JSON, event stream or server-sent events, and its headers.

    Returns a usage with source `missing` where nothing tells any.
    """
    usage: Usage | None = None
    for document in documents(body, stream=stream):
        usage = merge(usage, usage_of(document))
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        usage = merge(usage_of_headers(headers), usage)
    return usage or Usage(source=USAGE_MISSING)


def extract_further(body: bytes, *, stream: bool) -> list[anthropic.FurtherUsage]:
    """The further inferences that a whole answer of a Claude model tells of."""
    found = [further for document in documents(body, stream=stream) if (further := anthropic.further_of(document))]
    return found[-1] if found else []


def documents(body: bytes, *, stream: bool) -> Iterator[Any]:
    """Every parsed answer or event in a body, whole ones only where the body is cut."""
    if not stream or body[:1] == b"{":
        yield decoded(body)
    elif body.startswith((b"data:", b"event:", b":")):
        yield from map(decoded, data_fields(body))
    else:
        yield from map(document_of, FrameDecoder().feed(body))


def _counted(raw: Mapping[str, Any]) -> Usage | None:
    plain, output = first(raw, "inputTokens", "inputTokenCount"), first(raw, "outputTokens", "outputTokenCount")
    if plain is None and output is None:
        return None
    by_age = [each for each in mappings(raw, "cacheDetails") if each.get("ttl") == "1h"]
    read = first(raw, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = first(raw, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    return Usage(
        input_tokens=inclusive(plain, read, written),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=total(*(first(each, "inputTokens") for each in by_age)),
    )


def _titan(document: Mapping[str, Any]) -> Usage | None:
    output = total(*(first(result, "tokenCount") for result in mappings(document, "results")))
    output = first(document, "totalOutputTextTokenCount", fallback=output)
    if "embedding" in document or "embeddingsByType" in document:
        output = 0
    return _said(first(document, "inputTextTokenCount"), output)


def _llama(document: Mapping[str, Any]) -> Usage | None:
    return _said(first(document, "prompt_token_count"), first(document, "generation_token_count"))


def _said(whole_in: int | None, whole_out: int | None) -> Usage | None:
    if whole_in is None and whole_out is None:
        return None
    return Usage(input_tokens=whole_in, output_tokens=whole_out)
