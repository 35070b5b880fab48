"""The OpenAI shape: chat, completions, responses, embeddings, and everyone who speaks it.

Counts of OpenAI are inclusive already. What compatible servers do differently is corrected by what the document itself
shows, not by who sent it: xAI leaves reasoning out of the completion count but not out of the total.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.shapes.fields import EMPTY, counts, decoded, first, mapping
from tollmeter.pricing.shapes.sse import data_fields
from tollmeter.pricing.usage import TOOL_CODE_INTERPRETER, TOOL_FILE_SEARCH, TOOL_WEB_SEARCH, Usage

_TOOLS: Final = {
    "web_search_call": TOOL_WEB_SEARCH,
    "file_search_call": TOOL_FILE_SEARCH,
    "code_interpreter_call": TOOL_CODE_INTERPRETER,
}
_INSIDE: Final = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")
_OUTSIDE: Final = ("reasoning_tokens", "audio_tokens", "image_tokens")
_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")  # DeepSeek, Moonshot, Mistral


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed JSON body or stream event, or None where it holds none that can be understood.

    >>> usage_of({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}).output_tokens
    2
    """
    if not isinstance(document, dict):  # not Mapping: that check costs half a microsecond, and JSON makes dicts
        return None
    answer = mapping(document, "response") or document
    raw = mapping(answer, "usage") or mapping(mapping(document, "x_groq"), "usage") or _choice_usage(document)
    whole_in, whole_out = (
        first(raw, "prompt_tokens", "input_tokens"),
        first(raw, "completion_tokens", "output_tokens"),
    )
    if whole_in is None and whole_out is None:
        return None
    inside = mapping(
        raw, "prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details"
    )
    outside = mapping(raw, "completion_tokens_details", "output_tokens_details", "output_token_details")
    read, written, audio_in, image_in = counts(inside, _INSIDE)
    reasoning, audio_out, image_out = counts(outside, _OUTSIDE)
    if reasoning or whole_out is None:
        whole_out = _whole_output(raw, whole_in, whole_out, reasoning)
    if read is None:
        read = first(raw, *_CACHED)
    if written is None:  # LiteLLM's name, whose prompt count holds the cache whoever answered
        written = first(inside, "cache_creation_tokens")
    long_lived = mapping(inside, "cache_creation_token_details")
    output = answer.get("output")
    return Usage(
        input_tokens=whole_in,
        output_tokens=whole_out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=first(long_lived, "ephemeral_1h_input_tokens") if long_lived else None,
        reasoning_tokens=reasoning,
        input_audio_tokens=audio_in,
        output_audio_tokens=audio_out,
        input_image_tokens=image_in,
        output_image_tokens=image_out,
        server_tool_calls=_tool_calls(output) if output else {},
    )


def of_image(usage: Usage) -> Usage:
    """The usage of a model that makes images: where no details tell otherwise, all it put out is image.

    >>> of_image(Usage(input_tokens=50, output_tokens=1056)).output_image_tokens
    1056
    """
    if usage.output_image_tokens is not None or usage.output_tokens is None:
        return usage
    return structs.replace(usage, output_image_tokens=usage.output_tokens)


def extract(body: bytes, *, stream: bool) -> Usage | None:
    """The usage of a whole body: JSON, or server-sent events of which the newest with usage counts.

    Returns None for an error document, a usage with source `missing` where the body tells none.
    """
    if stream:
        return _newest(body) or Usage(source=USAGE_MISSING)
    document = decoded(body)
    if isinstance(document, dict) and document.get("error"):
        return usage_of(document)
    return usage_of(document) or Usage(source=USAGE_MISSING)


def _newest(body: bytes) -> Usage | None:
    for data in reversed(data_fields(body)):
        if b'"usage"' in data and (usage := usage_of(decoded(data))):
            return usage
    return None


def _whole_output(
    raw: Mapping[str, Any], whole_in: int | None, whole_out: int | None, reasoning: int | None
) -> int | None:
    total = first(raw, "total_tokens")
    if whole_out is None:
        return 0 if total is not None and total == whole_in else None
    if reasoning and total == (whole_in or 0) + whole_out + reasoning:
        return whole_out + reasoning
    return whole_out


def _tool_calls(output: object) -> dict[str, int]:
    calls: dict[str, int] = {}
    for item in output if isinstance(output, list) else ():
        tool = _TOOLS.get(str(item.get("type"))) if isinstance(item, dict) else None
        if tool and mapping(item, "action").get("type", "search") == "search":  # opening a page found is not billed
            calls[tool] = calls.get(tool, 0) + 1
    return calls


def _choice_usage(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return mapping(choices[0], "usage")  # Moonshot's streams
    return EMPTY
