"""Which requests are model calls: providers by host, operations and wire formats by path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from tollmeter.instrumentation.tap.wires import WIRE_ANTHROPIC, WIRE_BEDROCK, WIRE_GEMINI, WIRE_OPENAI
from tollmeter.model import names


class Endpoint(NamedTuple):
    """A provider's endpoint: who answers, what is asked, in which format; model and streaming where the path says."""

    provider: str
    operation: str
    wire: str = WIRE_OPENAI
    model: str = ""
    stream: bool = False


PROVIDER_OPENAI_COMPATIBLE: Final = "openai_compatible"
"""An unknown host that speaks OpenAI's protocol: seen, but priced only once a setting names its provider."""

_HOSTS: Final = {
    "api.openai.com": names.PROVIDER_OPENAI,
    "eu.api.openai.com": names.PROVIDER_OPENAI,
    "us.api.openai.com": names.PROVIDER_OPENAI,
    "api.anthropic.com": names.PROVIDER_ANTHROPIC,
    "generativelanguage.googleapis.com": names.PROVIDER_GEMINI,
    "aiplatform.googleapis.com": names.PROVIDER_VERTEX,
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.perplexity.ai": "perplexity",
    "openrouter.ai": "openrouter",
}
_SUFFIXES: Final = (
    (".openai.azure.com", names.PROVIDER_AZURE_OPENAI),
    (".cognitiveservices.azure.com", names.PROVIDER_AZURE_OPENAI),
    (".services.ai.azure.com", names.PROVIDER_AZURE_OPENAI),
    ("-aiplatform.googleapis.com", names.PROVIDER_VERTEX),
)
_PATHS: Final = (
    ("/chat/completions", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/responses", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/completions", names.OPERATION_TEXT_COMPLETION, WIRE_OPENAI),
    ("/embeddings", names.OPERATION_EMBEDDINGS, WIRE_OPENAI),
    ("/v1/messages", names.OPERATION_CHAT, WIRE_ANTHROPIC),
)
_UNMISTAKABLE: Final = ("/chat/completions", "/v1/completions")
_BEDROCK_HOST: Final = re.compile(r"^bedrock-runtime(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$")
_BEDROCK: Final = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)$")
_GOOGLE: Final = re.compile(r"/(?:models|endpoints)/([^/:]+):(\w+)$")
_GOOGLE_METHODS: Final = {
    "generateContent": (names.OPERATION_CHAT, WIRE_GEMINI, False),
    "streamGenerateContent": (names.OPERATION_CHAT, WIRE_GEMINI, True),
    "embedContent": (names.OPERATION_EMBEDDINGS, WIRE_GEMINI, False),
    "batchEmbedContents": (names.OPERATION_EMBEDDINGS, WIRE_GEMINI, False),
    "rawPredict": (names.OPERATION_CHAT, WIRE_ANTHROPIC, False),
    "streamRawPredict": (names.OPERATION_CHAT, WIRE_ANTHROPIC, True),
}


@lru_cache(maxsize=1024)
def recognise(host: str, port: int | None, path: str, extra: frozenset[tuple[str, str]]) -> Endpoint | None:
    """The endpoint a POST goes to, or None where it is no model call.

    `extra` maps hosts, with or without a port, to providers; it comes from the settings and wins.

    >>> recognise("api.openai.com", None, "/v1/chat/completions", frozenset())[:3]
    ('openai', 'chat', 'openai')
    >>> recognise("api.anthropic.com", None, "/v1/messages/count_tokens", frozenset()) is None
    True
    """
    provider = _provider_of(host, port, dict(extra))
    if provider == names.PROVIDER_BEDROCK:
        return _bedrock(path)
    google = _GOOGLE.search(path) if provider else None
    if provider and google and google[2] in _GOOGLE_METHODS:
        operation, wire, stream = _GOOGLE_METHODS[google[2]]
        return Endpoint(provider, operation, wire, unquote(google[1])[:256], stream)
    for suffix, operation, wire in _PATHS:
        if path.endswith(suffix):
            if provider:
                return Endpoint(provider, operation, wire)
            return Endpoint(PROVIDER_OPENAI_COMPATIBLE, operation) if path.endswith(_UNMISTAKABLE) else None
    return None


def _provider_of(host: str, port: int | None, extra: dict[str, str]) -> str | None:
    found = extra.get(f"{host}:{port}") or extra.get(host) or _HOSTS.get(host)
    if found is None and _BEDROCK_HOST.match(host):
        return names.PROVIDER_BEDROCK
    return found or next((provider for suffix, provider in _SUFFIXES if host.endswith(suffix)), None)


def _bedrock(path: str) -> Endpoint | None:
    found = _BEDROCK.search(path)
    if found is None:
        return None
    model, stream = unquote(found[1])[:512], found[2].endswith("stream")
    operation = names.OPERATION_EMBEDDINGS if "embed" in model else names.OPERATION_CHAT
    return Endpoint(names.PROVIDER_BEDROCK, operation, WIRE_BEDROCK, model, stream)
