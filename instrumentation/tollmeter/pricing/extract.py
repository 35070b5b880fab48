"""The one door from a provider's answer to a `Usage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollmeter.model.names import PROVIDER_ANTHROPIC, PROVIDER_BEDROCK, PROVIDER_GEMINI, PROVIDER_VERTEX, USAGE_MISSING
from tollmeter.pricing.shapes import openai
from tollmeter.pricing.usage import Usage

_FIRST_ERROR: Final = 400
_OTHER_SHAPES: Final = frozenset({PROVIDER_ANTHROPIC, PROVIDER_BEDROCK, PROVIDER_GEMINI, PROVIDER_VERTEX, "cohere"})


def extract_usage(
    provider: str, *, endpoint: str, status: int, headers: Mapping[str, str], body: bytes, stream: bool
) -> Usage | None:
    """What one answer says was consumed; never raises on any bytes.

    Args:
        provider: its OpenTelemetry name.
        endpoint: path or operation that was called, such as `/chat/completions`.
        status: HTTP status of the answer.
        headers: headers of the answer.
        body: the whole body, content encoding undone.
        stream: whether the body is a stream of events.

    Returns:
        The usage, its source `missing` where a good answer tells none or its shape is not known; None where nothing can
        be said, as of an error.
    """
    del endpoint, headers  # shapes to come need them
    if status >= _FIRST_ERROR:
        return None
    if provider in _OTHER_SHAPES:
        return Usage(source=USAGE_MISSING)
    return openai.extract(body, stream=stream)
