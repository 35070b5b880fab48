"""Which requests are model calls: operations and wire formats by path, at the provider that the host tells."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from tollmeter.instrumentation.tap.hosts import Rules, Site, site_of
from tollmeter.instrumentation.tap.wires import (
    WIRE_ANTHROPIC,
    WIRE_BEDROCK,
    WIRE_COHERE,
    WIRE_GEMINI,
    WIRE_OLLAMA,
    WIRE_OPENAI,
)
from tollmeter.model import names


class Endpoint(NamedTuple):
    """A provider's endpoint: who answers, what is asked, in which format; and what the URL alone says of the call."""

    provider: str
    operation: str
    wire: str = WIRE_OPENAI
    model: str = ""
    stream: bool = False
    resource_id: str = ""
    region: str = ""
    certain: bool = True
    """False where the host is not known and only a header that SDKs send makes it a model call."""


PROVIDER_OPENAI_COMPATIBLE: Final = "openai_compatible"
"""An unknown host that speaks OpenAI's protocol: seen, but priced only once a setting names its provider."""
PROVIDER_ANTHROPIC_COMPATIBLE: Final = "anthropic_compatible"
"""An unknown host that speaks Anthropic's."""

_PATHS: Final = (
    ("/chat/completions", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/agents/completions", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/responses", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/responses/compact", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/completions", names.OPERATION_TEXT_COMPLETION, WIRE_OPENAI),
    ("/embeddings", names.OPERATION_EMBEDDINGS, WIRE_OPENAI),
    ("/images/generations", names.OPERATION_IMAGE, WIRE_OPENAI),
    ("/images/edits", names.OPERATION_IMAGE, WIRE_OPENAI),
    ("/images/variations", names.OPERATION_IMAGE, WIRE_OPENAI),
    ("/audio/transcriptions", names.OPERATION_AUDIO, WIRE_OPENAI),
    ("/audio/translations", names.OPERATION_AUDIO, WIRE_OPENAI),
    ("/audio/speech", names.OPERATION_AUDIO, WIRE_OPENAI),
    ("/threads/runs", names.OPERATION_CHAT, WIRE_OPENAI),
    ("/v1/messages", names.OPERATION_CHAT, WIRE_ANTHROPIC),
    ("/v1/complete", names.OPERATION_TEXT_COMPLETION, WIRE_ANTHROPIC),
)
_OWN_PATHS: Final = {
    names.PROVIDER_COHERE: tuple(
        (f"/{version}/{path}", operation, WIRE_COHERE)
        for version in ("v1", "v2")
        for path, operation in (
            ("chat", names.OPERATION_CHAT),
            ("generate", names.OPERATION_TEXT_COMPLETION),
            ("embed", names.OPERATION_EMBEDDINGS),
            ("rerank", names.OPERATION_RERANK),
        )
    ),
    names.PROVIDER_OLLAMA: (
        ("/api/chat", names.OPERATION_CHAT, WIRE_OLLAMA),
        ("/api/generate", names.OPERATION_TEXT_COMPLETION, WIRE_OLLAMA),
        ("/api/embed", names.OPERATION_EMBEDDINGS, WIRE_OLLAMA),
        ("/api/embeddings", names.OPERATION_EMBEDDINGS, WIRE_OLLAMA),
    ),
}
_OLLAMA_PORT: Final = 11434
_RUN: Final = re.compile(r"/threads/[^/]+/runs$")
_UNMISTAKABLE: Final = ("/chat/completions", "/v1/completions")
_BEDROCK: Final = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)$")
_GOOGLE: Final = re.compile(r"(?:/publishers/([^/]+))?/(?:models|endpoints|tunedModels)/([^/:]+):(\w+)$")
_GOOGLE_METHODS: Final = {
    "generateContent": (names.OPERATION_CHAT, WIRE_GEMINI, False),
    "streamGenerateContent": (names.OPERATION_CHAT, WIRE_GEMINI, True),
    "embedContent": (names.OPERATION_EMBEDDINGS, WIRE_GEMINI, False),
    "batchEmbedContents": (names.OPERATION_EMBEDDINGS, WIRE_GEMINI, False),
    "rawPredict": (names.OPERATION_CHAT, WIRE_ANTHROPIC, False),
    "streamRawPredict": (names.OPERATION_CHAT, WIRE_ANTHROPIC, True),
}
_LOCATION: Final = re.compile(r"/locations/([a-z0-9-]+)/")
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)/")
_MAX_MODEL: Final = 512


@lru_cache(maxsize=1024)
def recognise(host: str, port: int | None, path: str, extra: Rules) -> Endpoint | None:
    """The endpoint a POST goes to, or None where it is no model call.

    `extra` holds the rules of the setting `providers`; see `tollmeter.instrumentation.tap.hosts`.

    >>> recognise("api.openai.com", None, "/v1/chat/completions", frozenset())[:3]
    ('openai', 'chat', 'openai')
    >>> recognise("api.anthropic.com", None, "/v1/messages/count_tokens", frozenset()) is None
    True
    """
    site = site_of(host, port, path, extra)
    if site is None:
        return _of_a_stranger(port, path)
    return _own_format(site, path) or _shared_format(site, path)


def _own_format(site: Site, path: str) -> Endpoint | None:
    if site.provider == names.PROVIDER_BEDROCK:
        return _bedrock(site, path)
    google = _google(site, path)
    if google is not None:
        return google
    found = _by_suffix(path, _OWN_PATHS.get(site.provider, ()))
    return Endpoint(site.provider, *found, region=site.region) if found else None


def _shared_format(site: Site, path: str) -> Endpoint | None:
    """A path that many providers share."""
    found = _by_suffix(path, _PATHS)
    if found is None and _RUN.search(path):
        found = (names.OPERATION_CHAT, WIRE_OPENAI)
    if found is None:
        return None
    provider, region = site
    location, deployment = _LOCATION.search(path), _DEPLOYMENT.search(path)
    if provider == names.PROVIDER_AZURE_OPENAI and path.startswith(("/anthropic/", "/models/")):
        provider = names.PROVIDER_AZURE_INFERENCE
    return Endpoint(
        provider,
        *found,
        resource_id=unquote(deployment[1])[:256] if deployment else "",
        region=location[1] if location else region,
    )


def _of_a_stranger(port: int | None, path: str) -> Endpoint | None:
    if port == _OLLAMA_PORT and (own := _by_suffix(path, _OWN_PATHS[names.PROVIDER_OLLAMA])):
        return Endpoint(names.PROVIDER_OLLAMA, *own)
    found = _by_suffix(path, _PATHS)
    if found is None or ("/v1/" not in path and not path.endswith(_UNMISTAKABLE)):
        return None
    provider = PROVIDER_ANTHROPIC_COMPATIBLE if found[1] == WIRE_ANTHROPIC else PROVIDER_OPENAI_COMPATIBLE
    return Endpoint(provider, *found, certain=path.endswith(_UNMISTAKABLE))


def _by_suffix(path: str, table: tuple[tuple[str, str, str], ...]) -> tuple[str, str] | None:
    return next(((operation, wire) for suffix, operation, wire in table if path.endswith(suffix)), None)


def _bedrock(site: Site, path: str) -> Endpoint | None:
    found = _BEDROCK.search(path)
    if found is None:
        return None
    model, stream = unquote(found[1])[:_MAX_MODEL], found[2].endswith("stream")
    return Endpoint(
        site.provider,
        names.OPERATION_EMBEDDINGS if "embed" in model else names.OPERATION_CHAT,
        WIRE_BEDROCK,
        model[:256],
        stream,
        resource_id=model[:256] if model.startswith("arn:") else "",
        region=site.region,
    )


def _google(site: Site, path: str) -> Endpoint | None:
    found = _GOOGLE.search(path)
    if found is None:
        return None
    publisher, model, method = found[1], unquote(found[2])[:256], found[3]
    location = _LOCATION.search(path)
    region = location[1] if location else site.region
    if method == "predict":  # embeddings, and Imagen
        operation = names.OPERATION_EMBEDDINGS if "embed" in model else names.OPERATION_IMAGE
        return Endpoint(site.provider, operation, WIRE_GEMINI, model, region=region)
    if method not in _GOOGLE_METHODS:
        return None
    operation, wire, stream = _GOOGLE_METHODS[method]
    if wire == WIRE_ANTHROPIC and publisher not in (None, "anthropic"):
        wire = WIRE_OPENAI  # Mistral and others answer raw predictions in OpenAI's format
    return Endpoint(site.provider, operation, wire, model, stream, region=region)
