"""The Cohere shape: chat, generate and embed of API versions 1 and 2, plain and streamed, also inside Bedrock.

Cohere tells tokens and billed units; what it bills is the usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollmeter.pricing.shapes import openai
from tollmeter.pricing.shapes.fields import decoded, first, mapping
from tollmeter.pricing.shapes.sse import data_fields
from tollmeter.pricing.usage import Usage


def usage_of(document: Any) -> Usage | None:
    """The usage in one parsed answer or stream event, or None where it holds none that can be understood.

    >>> billed = {"input_tokens": 5, "output_tokens": 10}
    >>> usage_of({"usage": {"billed_units": billed, "tokens": {"input_tokens": 71}}}).input_tokens
    5
    """
    if not isinstance(document, dict):
        return None
    answer = mapping(document, "delta", "response") or document
    told = mapping(answer, "usage", "meta")
    billed = mapping(told, "billed_units", "tokens")
    whole_in, whole_out = first(billed, "input_tokens"), first(billed, "output_tokens")
    if whole_in is None and whole_out is None:
        return None
    if whole_out is None and "embeddings" in answer:
        whole_out = 0
    return Usage(input_tokens=whole_in, output_tokens=whole_out)


def extract(body: bytes, *, stream: bool) -> Usage | None:
    """The usage of a whole body: JSON, server-sent events, or a JSON document a line; the newest with usage counts.

    Returns None for an error document, a usage with source `missing` where the body tells none.
    """
    found = (usage_of(document) for document in reversed(_documents(body, stream=stream)))
    return next((usage for usage in found if usage), None) or openai.extract(body, stream=stream)


def _documents(body: bytes, *, stream: bool) -> list[Mapping[str, Any] | None]:
    parts = data_fields(body) or body.splitlines() if stream else [body]
    return [decoded(part) for part in parts if b"_tokens" in part]
