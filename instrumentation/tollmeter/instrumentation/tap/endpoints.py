"""Which requests are model calls: providers by host, operations by path."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from tollmeter.model import names


class Endpoint(NamedTuple):
    """A provider's endpoint: who answers, and what is asked."""

    provider: str
    operation: str


PROVIDER_OPENAI_COMPATIBLE: Final = "openai_compatible"
"""An unknown host that speaks OpenAI's protocol: seen, but priced only once a setting names its provider."""

_HOSTS: Final = {
    "api.openai.com": names.PROVIDER_OPENAI,
    "eu.api.openai.com": names.PROVIDER_OPENAI,
    "us.api.openai.com": names.PROVIDER_OPENAI,
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
)
_PATHS: Final = (
    ("/chat/completions", names.OPERATION_CHAT),
    ("/responses", names.OPERATION_CHAT),
    ("/completions", names.OPERATION_TEXT_COMPLETION),
    ("/embeddings", names.OPERATION_EMBEDDINGS),
)


@lru_cache(maxsize=1024)
def recognise(host: str, port: int | None, path: str, extra: frozenset[tuple[str, str]]) -> Endpoint | None:
    """The endpoint a POST goes to, or None where it is no model call.

    `extra` maps hosts, with or without a port, to providers; it comes from the settings and wins.

    >>> recognise("api.openai.com", None, "/v1/chat/completions", frozenset())
    Endpoint(provider='openai', operation='chat')
    >>> recognise("example.com", None, "/v1/users", frozenset()) is None
    True
    """
    operation = next((name for suffix, name in _PATHS if path.endswith(suffix)), None)
    if operation is None:
        return None
    provider = _provider_of(host, port, dict(extra))
    if provider is None:
        # Only these two paths are unmistakable on a host nobody has named.
        if not path.endswith(("/chat/completions", "/v1/completions")):
            return None
        provider = PROVIDER_OPENAI_COMPATIBLE
    return Endpoint(provider, operation)


def _provider_of(host: str, port: int | None, extra: dict[str, str]) -> str | None:
    found = extra.get(f"{host}:{port}") or extra.get(host) or _HOSTS.get(host)
    return found or next((provider for suffix, provider in _SUFFIXES if host.endswith(suffix)), None)
