"""The OpenAI shape: chat, completions, responses, embeddings, and everyone who speaks it.

Counts of OpenAI are inclusive already. What compatible servers do differently is corrected by what the document itself
shows, not by who sent it: xAI leaves reasoning out of the completion count but not out of the total.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import structs

from tollmeter.model.events import Count
from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.shapes.fields import EMPTY, decoded, first, mapping
from tollmeter.pricing.shapes.sse import data_fields
from tollmeter.pricing.usage import TOOL_CODE_INTERPRETER, TOOL_FILE_SEARCH, TOOL_WEB_SEARCH, Usage

_TOOLS: Final = {
    "web_search_call": TOOL_WEB_SEARCH,
    "file_search_call": TOOL_FILE_SEARCH,
    "code_interpreter_call": TOOL_CODE_INTERPRETER,
}


class _LongLived(msgspec.Struct):
    ephemeral_1h_input_tokens: Count | None = None


class _Inside(msgspec.Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None
    cache_creation_tokens: Count | None = None
    cache_creation_token_details: _LongLived | None = None


class _Outside(msgspec.Struct):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class Fields(msgspec.Struct):
    """A usage object as it is sent, by whichever names; decoding into it costs a third of reading it from a dict."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _Inside | None = None
    completion_tokens_details: _Outside | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: _Inside | None = None
    output_tokens_details: _Outside | None = None
    prompt_token_details: _Inside | None = None
    input_token_details: _Inside | None = None
    output_token_details: _Outside | None = None
    prompt_cache_hit_tokens: Count | None = None  # DeepSeek
    cached_tokens: Count | None = None  # Moonshot
    num_cached_tokens: Count | None = None  # Mistral


_NOTHING_INSIDE: Final = _Inside()
_NOTHING_OUTSIDE: Final = _Outside()
_INNER: Final[dict[str, type[msgspec.Struct]]] = {
    "cache_creation_token_details": _LongLived,
    **dict.fromkeys(
        ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details"), _Inside
    ),
    **dict.fromkeys(("completion_tokens_details", "output_tokens_details", "output_token_details"), _Outside),
}


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed JSON body or stream event, or None where it holds none that can be understood.

    >>> usage_of({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}).output_tokens
    2
    """
    if not isinstance(document, dict):  # not Mapping: that check costs half a microsecond, and JSON makes dicts
        return None
    answer = mapping(document, "response") or document
    raw = mapping(answer, "usage") or mapping(mapping(document, "x_groq"), "usage") or _choice_usage(document)
    return of_fields(_fields_in(raw), answer.get("output")) if raw else None


def of_fields(raw: Fields, output: object) -> Usage | None:
    """The usage that a usage object states beside the `output` of its answer; None where it states no count."""
    whole_in, whole_out = raw.prompt_tokens, raw.completion_tokens
    if whole_in is None:
        whole_in = raw.input_tokens
    if whole_out is None:
        whole_out = raw.output_tokens
    if whole_in is None and whole_out is None:
        return None
    inside = (
        raw.prompt_tokens_details
        or raw.input_tokens_details
        or raw.prompt_token_details
        or raw.input_token_details
        or _NOTHING_INSIDE
    )
    outside = raw.completion_tokens_details or raw.output_tokens_details or raw.output_token_details or _NOTHING_OUTSIDE
    read, written, long_lived = inside.cached_tokens, inside.cache_write_tokens, inside.cache_creation_token_details
    reasoning = outside.reasoning_tokens
    if reasoning or whole_out is None:
        whole_out = _whole_output(raw.total_tokens, whole_in, whole_out, reasoning)
    if read is None:
        read = _cached(raw)
    if written is None:  # LiteLLM's name, whose prompt count holds the cache whoever answered
        written = inside.cache_creation_tokens
    return Usage(
        input_tokens=whole_in,
        output_tokens=whole_out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long_lived.ephemeral_1h_input_tokens if long_lived else None,
        reasoning_tokens=reasoning,
        input_audio_tokens=inside.audio_tokens,
        output_audio_tokens=outside.audio_tokens,
        input_image_tokens=inside.image_tokens,
        output_image_tokens=outside.image_tokens,
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


def _fields_in(raw: Mapping[str, Any]) -> Fields:
    try:
        return msgspec.convert(raw, Fields)
    except (msgspec.ValidationError, UnicodeError):  # the latter of a key that is no text
        return msgspec.convert(_sane(raw, Fields), Fields)


def _sane(raw: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a kind that hold what they should."""
    found: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        if inner := _INNER.get(name):
            if value := mapping(raw, name):
                found[name] = _sane(value, inner)
        else:
            found[name] = first(raw, name)
    return found


def _cached(raw: Fields) -> int | None:
    for count in (raw.prompt_cache_hit_tokens, raw.cached_tokens, raw.num_cached_tokens):
        if count is not None:
            return count
    return None


def _whole_output(total: int | None, whole_in: int | None, whole_out: int | None, reasoning: int | None) -> int | None:
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
