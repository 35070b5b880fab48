"""Token counts on a span, in every spelling, made inclusive by the convention of who wrote them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollmeter.instrumentation.otel.conventions import Convention
from tollmeter.model import names
from tollmeter.pricing import Usage
from tollmeter.pricing.shapes.exclusive import inclusive

Attributes = Mapping[str, Any]

_MAX_RAW: Final = 16 << 10
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS: Final = ("completion_tokens_details", "output_tokens_details")
_RAW_PATHS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "cache_read_tokens": (*((part, "cached_tokens") for part in _INPUT_DETAILS), ("cache_read_input_tokens",)),
    "cache_write_tokens": (
        ("cache_creation_input_tokens",),
        *((part, "cache_write_tokens") for part in _INPUT_DETAILS),
    ),
    "cache_write_1h_tokens": (
        ("cache_creation", "ephemeral_1h_input_tokens"),
        ("prompt_tokens_details", "cache_creation_token_details", "ephemeral_1h_input_tokens"),
    ),
    "reasoning_tokens": tuple((part, "reasoning_tokens") for part in _OUTPUT_DETAILS),
    "input_audio_tokens": tuple((part, "audio_tokens") for part in _INPUT_DETAILS),
    "output_audio_tokens": tuple((part, "audio_tokens") for part in _OUTPUT_DETAILS),
}
"""Where the usage objects of OpenAI, Anthropic and LiteLLM hold the parts of their counts."""


def usage_on(attributes: Attributes, convention: Convention, *, is_embedding: bool = False) -> Usage | None:
    """What a span says was used, or None where it tells neither input nor output.

    >>> found = usage_on({"gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.completion_tokens": 2}, Convention("", ""))
    >>> found == Usage(input_tokens=10, output_tokens=2)
    True
    """
    known = names.ATTRIBUTES_OF_USAGE.items()
    counts: dict[str, Any] = {field: first_count(attributes, spellings) for field, spellings in known}
    if is_embedding and counts["input_tokens"] is None:
        counts["input_tokens"] = first_count(attributes, names.ATTRIBUTES_OF_TOTAL_TOKENS)
    if counts["input_tokens"] is None and counts["output_tokens"] is None:
        return None
    if convention.raw_usage:
        _add_parts(counts, _raw_usage(attributes.get(convention.raw_usage)))
    read, written = counts["cache_read_tokens"], counts["cache_write_tokens"]
    # A part larger than its whole proves that the whole leaves it out, whatever the convention says.
    if not convention.is_input_inclusive or (read or 0) + (written or 0) > (counts["input_tokens"] or 0):
        counts["input_tokens"] = inclusive(counts["input_tokens"], read, written)
    return Usage(**counts)


def first_count(attributes: Attributes, spellings: tuple[str, ...]) -> int | None:
    """The first of some attributes that is a count."""
    return next((found for name in spellings if (found := _count(attributes.get(name))) is not None), None)


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _add_parts(counts: dict[str, int | None], raw: Any) -> None:
    for field, paths in _RAW_PATHS.items():
        if counts[field] is None:
            counts[field] = next((found for path in paths if (found := _at(raw, path)) is not None), None)


def _at(raw: Any, path: tuple[str, ...]) -> int | None:
    for key in path:
        raw = raw.get(key) if isinstance(raw, dict) else None
    return _count(raw)


def _raw_usage(text: object) -> Any:
    """A provider's usage object as an emitter wrote it down: JSON (Logfire) or a Python literal (LiteLLM)."""
    if not isinstance(text, str) or len(text) > _MAX_RAW:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
