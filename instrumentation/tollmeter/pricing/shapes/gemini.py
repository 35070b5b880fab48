"""The Gemini shape: `usageMetadata` of the Gemini API and of Vertex.

The prompt count holds cached tokens, but not what tools put into the prompt; the candidates' count leaves thoughts out.
Streams repeat cumulative counts, and the prompt count may fall: the newest wins.
Source: https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.shapes import anthropic, openai
from tollmeter.pricing.shapes.fields import decoded, first, mapping, mappings, total
from tollmeter.pricing.shapes.sse import data_fields
from tollmeter.pricing.usage import TOOL_WEB_SEARCH, Usage

_AUDIO: Final = ("AUDIO", 4)  # the second is the number of the enum, which some transports send
_IMAGE: Final = ("IMAGE", 2, "DOCUMENT", 5)  # pages are billed as images
_PER_PROMPT: Final = ("gemini-1", "gemini-2")
"""Models whose search is billed once for a grounded prompt; those after them once for each query."""


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed answer or stream event, or None where it holds none that can be understood.

    >>> raw = {"promptTokenCount": 8, "candidatesTokenCount": 404, "thoughtsTokenCount": 1546, "totalTokenCount": 1958}
    >>> usage_of({"usageMetadata": raw}).output_tokens
    1950
    """
    if not isinstance(document, dict):
        return None
    raw = mapping(document, "usageMetadata")
    prompt, thoughts = first(raw, "promptTokenCount"), first(raw, "thoughtsTokenCount")
    spoken = first(raw, "candidatesTokenCount")
    if prompt is None and spoken is None:
        return None
    whole_in = total(prompt, first(raw, "toolUsePromptTokenCount"))
    inside = mappings(raw, "promptTokensDetails", "promptTokenDetails")
    inside += mappings(raw, "toolUsePromptTokensDetails")
    outside = mappings(raw, "candidatesTokensDetails")
    return Usage(
        input_tokens=whole_in,
        output_tokens=_output(document, first(raw, "totalTokenCount"), whole_in, spoken, thoughts),
        cache_read_tokens=first(raw, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        input_audio_tokens=_modality(inside, _AUDIO),
        input_image_tokens=_modality(inside, _IMAGE),
        output_audio_tokens=_modality(outside, _AUDIO),
        output_image_tokens=_modality(outside, _IMAGE),
        server_tool_calls=_searches(document),
    )


def merge(older: Usage | None, newer: Usage | None) -> Usage | None:
    """One usage from two events of a stream: the newer counts, and the searches that either told of."""
    if older is None or newer is None or newer.server_tool_calls or not older.server_tool_calls:
        return newer or older
    return msgspec.structs.replace(newer, server_tool_calls=older.server_tool_calls)


def extract(body: bytes, *, stream: bool) -> Usage | None:
    """The usage of a whole body: one JSON document, an array of them, or server-sent events.

    Models of others on Vertex answer in their own shape, and so does the OpenAI-compatible endpoint; they are told by
    their documents. Returns None for an error document, a usage with source `missing` where the body tells none.
    """
    usage: Usage | None = None
    document: Any = None
    for document in documents(body):
        usage = merge(usage, usage_of(document))
    if usage is not None:
        return usage
    if isinstance(document, dict) and "usageMetadata" not in document:
        return _foreign(document, body, stream=stream)
    return Usage(source=USAGE_MISSING)


def documents(body: bytes) -> Iterator[Any]:
    """Every answer in a body, whole ones only where the body is cut.

    >>> list(documents(b'[{"a": 1},{"b": 2},{"c"'))
    [{'a': 1}, {'b': 2}]
    """
    whole = decoded(body)
    if isinstance(whole, list):
        yield from whole
    elif whole is not None:
        yield whole
    elif body[:64].lstrip()[:1] == b"[":
        yield from _cut_array(body)
    else:
        yield from (decoded(data) for data in data_fields(body))


def _cut_array(body: bytes) -> Iterator[Any]:
    text, decoder = body.decode(errors="replace"), json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            document, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield document
        at = text.find("{", end)


def usage_of_predictions(document: Mapping[str, Any]) -> Usage | None:
    """The usage in an answer of Vertex's `predict`, as its embedding models give it."""
    vectors = [mapping(each, "embeddings") for each in mappings(document, "predictions")]
    counts = total(*(first(mapping(each, "statistics"), "token_count") for each in vectors))
    return None if counts is None else Usage(input_tokens=counts, output_tokens=0)


def _foreign(document: Mapping[str, Any], body: bytes, *, stream: bool) -> Usage | None:
    if "predictions" in document:
        return usage_of_predictions(document) or Usage(source=USAGE_MISSING)
    if anthropic.is_document(document) or str(document.get("type", "")).startswith(
        ("message_", "content_block", "ping")
    ):
        return anthropic.extract(body, stream=stream)
    return openai.extract(body, stream=stream)


def _output(
    document: Mapping[str, Any], said: int | None, whole_in: int | None, spoken: int | None, thoughts: int | None
) -> int | None:
    if thoughts and said is not None and said == total(whole_in, spoken):
        return spoken  # the total shows that these thoughts are inside
    output = total(spoken, thoughts)
    if output is None and (said == whole_in or "embeddings" in document or "embedding" in document):
        return 0
    return output


def _searches(document: Mapping[str, Any]) -> dict[str, int]:
    queries = 0
    for candidate in mappings(document, "candidates"):
        asked = mapping(candidate, "groundingMetadata").get("webSearchQueries")
        queries += sum(1 for query in asked if query) if isinstance(asked, list) else 0
    if queries and str(document.get("modelVersion", "")).startswith(_PER_PROMPT):
        queries = 1
    return {TOOL_WEB_SEARCH: queries} if queries else {}


def _modality(details: list[Mapping[str, Any]], kinds: tuple[object, ...]) -> int | None:
    return total(*(first(each, "tokenCount") for each in details if each.get("modality") in kinds))
