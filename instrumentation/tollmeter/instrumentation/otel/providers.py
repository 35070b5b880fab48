"""One spelling for each provider, whatever an emitter calls it."""

from __future__ import annotations

from typing import Final

from tollmeter.model.names import (
    PROVIDER_ANTHROPIC,
    PROVIDER_AZURE_OPENAI,
    PROVIDER_BEDROCK,
    PROVIDER_GEMINI,
    PROVIDER_OPENAI,
    PROVIDER_VERTEX,
)

_SPELLINGS: Final = {
    PROVIDER_OPENAI: ("text-completion-openai", "openai-chat", "openai-responses"),
    PROVIDER_AZURE_OPENAI: ("az.ai.openai", "azure", "azure_openai", "azureopenai", "azure_text"),
    "azure.ai.inference": ("az.ai.inference", "azure_ai"),
    PROVIDER_ANTHROPIC: (),
    PROVIDER_BEDROCK: ("aws", "bedrock", "aws_bedrock", "bedrock_converse", "amazon_bedrock"),
    PROVIDER_GEMINI: ("gemini", "google", "google-gla", "google_genai", "google_ai_studio"),
    PROVIDER_VERTEX: ("vertex_ai", "vertexai", "google-vertex", "vertex_ai_beta"),
    "mistral_ai": ("mistral", "mistralai"),
    "x_ai": ("xai", "x-ai", "grok"),
    "together": ("together_ai", "togetherai"),
    "fireworks": ("fireworks_ai",),
}
_NAMES: Final = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}


def provider_of(spelling: str) -> str:
    """The OpenTelemetry name of a provider; an unknown one in lower case.

    >>> provider_of("vertex_ai"), provider_of("AWS"), provider_of("az.ai.openai"), provider_of("Groq")
    ('gcp.vertex_ai', 'aws.bedrock', 'azure.ai.openai', 'groq')
    """
    lowered = spelling.strip().lower()
    return _NAMES.get(lowered, lowered)
