"""The LangChain shape: `usage_metadata` of an AIMessage, inclusive already, whichever provider answered.

Chunks of a stream hold differences, which LangChain itself adds up; so does `add`. Source: `UsageMetadata` in
https://reference.langchain.com/python/langchain_core/messages/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollmeter.pricing.shapes import anthropic, bedrock, openai
from tollmeter.pricing.shapes.fields import first, mapping, total
from tollmeter.pricing.usage import Usage

_CHUNK: Final = "AIMessageChunk"
_COUNTS: Final = tuple(field for field in Usage.__struct_fields__ if field.endswith("_tokens"))


def is_document(document: Mapping[str, Any]) -> bool:
    """Whether a message is LangChain's."""
    return "response_metadata" in document or (
        "usage_metadata" in document and "input_tokens" in mapping(document, "usage_metadata")
    )


def usage_of(document: Mapping[str, Any]) -> Usage | None:
    """The usage in one message, or None where it holds none that can be understood.

    >>> usage_of({"usage_metadata": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}}).input_tokens
    9
    """
    raw = mapping(document, "usage_metadata")
    whole_in, whole_out = first(raw, "input_tokens"), first(raw, "output_tokens")
    if whole_in is None and whole_out is None:
        return _of_provider(mapping(document, "response_metadata"))
    inside, outside = mapping(raw, "input_token_details"), mapping(raw, "output_token_details")
    long_lived = first(inside, "ephemeral_1h_input_tokens")
    by_age = total(long_lived, first(inside, "ephemeral_5m_input_tokens"))
    return Usage(
        input_tokens=whole_in,
        output_tokens=whole_out,
        cache_read_tokens=first(inside, "cache_read"),
        # langchain-anthropic writes 0 here where it tells the two ages apart.
        cache_write_tokens=first(inside, "cache_creation") or by_age,
        cache_write_1h_tokens=long_lived,
        reasoning_tokens=first(outside, "reasoning"),
        input_audio_tokens=first(inside, "audio"),
        output_audio_tokens=first(outside, "audio"),
    )


def merge(older: Usage | None, newer: Usage | None, document: Mapping[str, Any]) -> Usage | None:
    """One usage from two messages: a chunk adds to what was before it, a whole message stands for all."""
    if older is None or newer is None or document.get("type") != _CHUNK:
        return newer or older
    sums = {name: total(getattr(older, name), getattr(newer, name)) for name in _COUNTS}
    return msgspec.structs.replace(newer, **sums)


def _of_provider(said: Mapping[str, Any]) -> Usage | None:
    raw = mapping(said, "token_usage", "usage")
    document = {"usage": dict(raw)}
    if "inputTokens" in raw:
        return bedrock.usage_of(document)
    return openai.usage_of(document) if "prompt_tokens" in raw else anthropic.usage_of(document)
