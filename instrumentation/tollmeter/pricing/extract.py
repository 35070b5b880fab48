"""The one door from a provider's answer to a `Usage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from tollmeter.model.names import (
    PROVIDER_ANTHROPIC,
    PROVIDER_BEDROCK,
    PROVIDER_COHERE,
    PROVIDER_GEMINI,
    PROVIDER_OLLAMA,
    PROVIDER_VERTEX,
)
from tollmeter.pricing.shapes import anthropic, bedrock, cohere, gemini, ollama, openai
from tollmeter.pricing.shapes.anthropic import FurtherUsage
from tollmeter.pricing.usage import Usage

_FIRST_ERROR: Final = 400
_GOOGLE: Final = frozenset({PROVIDER_GEMINI, PROVIDER_VERTEX, "gcp.gen_ai"})
_MESSAGES: Final = "/messages"
_OPENAI_PATHS: Final = ("/chat/completions", "/completions", "/responses", "/embeddings")
_OLLAMA_PATH: Final = "/api/"
_IMAGES: Final = "/images/"


class Shape(Protocol):
    """A file of `shapes`."""

    def extract(self, body: bytes, *, stream: bool) -> Usage | None:
        """The usage of a whole body."""
        ...


def extract_usage(
    provider: str, *, endpoint: str, status: int, headers: Mapping[str, str], body: bytes, stream: bool
) -> Usage | None:
    """What one answer says was consumed; never raises on any bytes.

    Args:
        provider: its OpenTelemetry name.
        endpoint: path or operation that was called, such as `/chat/completions`; a query is passed over.
        status: HTTP status of the answer.
        headers: headers of the answer.
        body: the whole body, content encoding undone.
        stream: whether the body is a stream of events.

    Returns:
        The usage, its source `missing` where a good answer tells none or its shape is not known; None where nothing can
        be said, as of an error. What ran inside the call beside its own inference is told by `extract_further`.
    """
    if status >= _FIRST_ERROR:
        return None
    path = endpoint.partition("?")[0]
    if provider == PROVIDER_BEDROCK:
        return bedrock.extract(body, headers=headers, stream=stream)
    usage = _shape(provider, path).extract(body, stream=stream)
    return openai.of_image(usage) if usage and _IMAGES in path else usage


def extract_further(provider: str, *, endpoint: str, status: int, body: bytes, stream: bool) -> list[FurtherUsage]:
    """The inferences inside a call that its own usage leaves out, each to be recorded and priced as a call of its own.

    Anthropic's advisor runs another model, its compaction the same one (its model is then empty). Arguments as of
    `extract_usage`; empty for every other provider and for errors.
    """
    if status >= _FIRST_ERROR:
        return []
    if provider == PROVIDER_BEDROCK:
        return bedrock.extract_further(body, stream=stream)
    if provider in _GOOGLE or _speaks_anthropic(provider, endpoint.partition("?")[0]):
        return anthropic.extract_further(body, stream=stream)
    return []


def _speaks_anthropic(provider: str, path: str) -> bool:
    if provider == PROVIDER_ANTHROPIC:
        return not path.endswith(_OPENAI_PATHS)
    return path.endswith(_MESSAGES) and "/threads/" not in path


def _shape(provider: str, path: str) -> Shape:
    if _speaks_anthropic(provider, path):
        return anthropic
    if provider in _GOOGLE:
        return gemini
    if provider == PROVIDER_COHERE:
        return cohere
    return ollama if provider == PROVIDER_OLLAMA and path.startswith(_OLLAMA_PATH) else openai
