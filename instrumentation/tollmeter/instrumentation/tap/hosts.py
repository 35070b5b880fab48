"""Which provider answers at a URL: hosts that are known, and those that settings and `register_provider` add."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from tollmeter.model import names
from tollmeter.model.values import HOST_RULE, PROVIDER_NAME

Rules = frozenset[tuple[str, str]]
"""Rules of the setting `providers`, as pairs that a cache can hold."""


class Site(NamedTuple):
    """Who answers at a host, and where the host says that it stands."""

    provider: str
    region: str = ""


class Rule(NamedTuple):
    """One rule that was added; `suffix` is set for `*.suffix`, and begins with its dot."""

    provider: str
    host: str
    suffix: str
    port: int | None
    prefix: str

    def fits(self, host: str, port: int | None, path: str) -> bool:
        """Whether a URL falls under it."""
        named = host.endswith(self.suffix) if self.suffix else host == self.host
        below = not self.prefix or path == self.prefix or path.startswith(self.prefix + "/")
        return named and self.port in (None, port) and below

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        """The more it says, the higher: a host before a suffix, a port, a longer suffix, a longer path."""
        return not self.suffix, self.port is not None, len(self.suffix), len(self.prefix)


_HOSTS: Final = {
    "api.openai.com": Site(names.PROVIDER_OPENAI),
    "eu.api.openai.com": Site(names.PROVIDER_OPENAI, "eu"),
    "us.api.openai.com": Site(names.PROVIDER_OPENAI, "us"),
    "api.anthropic.com": Site(names.PROVIDER_ANTHROPIC),
    "generativelanguage.googleapis.com": Site(names.PROVIDER_GEMINI),
    "aiplatform.googleapis.com": Site(names.PROVIDER_VERTEX, "global"),
    "api.cohere.com": Site(names.PROVIDER_COHERE),
    "api.cohere.ai": Site(names.PROVIDER_COHERE),
    "api.groq.com": Site("groq"),
    "api.mistral.ai": Site("mistral_ai"),
    "codestral.mistral.ai": Site("mistral_ai"),
    "api.deepseek.com": Site("deepseek"),
    "api.x.ai": Site("x_ai"),
    "eu-west-1.api.x.ai": Site("x_ai", "eu-west-1"),
    "us-east-1.api.x.ai": Site("x_ai", "us-east-1"),
    "api.together.xyz": Site("together"),
    "api.together.ai": Site("together"),
    "api.fireworks.ai": Site("fireworks"),
    "api.perplexity.ai": Site("perplexity"),
    "openrouter.ai": Site("openrouter"),
    "api.cerebras.ai": Site("cerebras"),
    "api.moonshot.ai": Site("moonshot_ai"),
    "api.moonshot.cn": Site("moonshot_ai", "cn"),
    "integrate.api.nvidia.com": Site("nvidia"),
    "dashscope.aliyuncs.com": Site("dashscope", "cn"),
    "dashscope-intl.aliyuncs.com": Site("dashscope", "intl"),
    "dashscope-us.aliyuncs.com": Site("dashscope", "us"),
    "models.github.ai": Site("github"),
    "models.inference.ai.azure.com": Site("github"),
    "router.huggingface.co": Site("huggingface"),
    "ollama.com": Site(names.PROVIDER_OLLAMA),
}
_BEDROCK: Final = (
    r"^(?:[a-z0-9-]+\.)?bedrock-(?:runtime|mantle)(?:-fips)?\.([a-z0-9-]+)\."
    r"(?:(?:vpce\.)?amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$"
)
"""Regional, FIPS, dual-stack, China and VPC endpoints, and `bedrock-mantle`, which speaks the formats of others."""
_PATTERNS: Final = tuple(
    (re.compile(pattern), provider)
    for pattern, provider in (
        (_BEDROCK, names.PROVIDER_BEDROCK),
        (r"^([a-z0-9-]+)-aiplatform\.googleapis\.com$", names.PROVIDER_VERTEX),
        (r"^aiplatform\.([a-z0-9-]+)\.rep\.googleapis\.com$", names.PROVIDER_VERTEX),
        (r"\.(?:openai|cognitiveservices|services\.ai)\.azure\.(?:com|us|cn)$", names.PROVIDER_AZURE_OPENAI),
        (r"\.([a-z0-9]+)\.models\.ai\.azure\.com$", names.PROVIDER_AZURE_INFERENCE),
    )
)
_RULE: Final = re.compile(HOST_RULE)
_PROVIDER: Final = re.compile(PROVIDER_NAME)
_registered: dict[str, str] = {}


def site_of(host: str, port: int | None, path: str, extra: Iterable[tuple[str, str]]) -> Site | None:
    """Who answers at a URL; rules that were added win over hosts that are known, the most telling of them first.

    >>> site_of("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", None, "/", ())
    Site(provider='aws.bedrock', region='us-gov-west-1')
    >>> site_of("llm.corp.example", 8080, "/anthropic/v1/messages", {"*.corp.example/anthropic": "anthropic"}.items())
    Site(provider='anthropic', region='')
    """
    rules = [rule for text, provider in (*extra, *_registered.items()) if (rule := parse_rule(text, provider))]
    fitting = [rule for rule in rules if rule.fits(host, port, path)]
    if fitting:
        return Site(max(fitting, key=lambda rule: rule.rank).provider)
    return _HOSTS.get(host) or _known_by_pattern(host)


def parse_rule(text: str, provider: str) -> Rule | None:
    """The rule that `host[:port][/prefix]` or `*.suffix[:port][/prefix]` states, or None where it states none."""
    found = _RULE.fullmatch(text.strip())
    if found is None or not _PROVIDER.fullmatch(provider):
        return None
    host, port, prefix = found["host"].lower().strip("[]"), found["port"], (found["prefix"] or "").rstrip("/")
    suffix = host[1:] if host.startswith("*.") else ""
    return Rule(provider, host, suffix, int(port) if port else None, prefix)


def add_rule(text: str, provider: str) -> bool:
    """Add a rule for every app of the process; False where it states none."""
    if parse_rule(text, provider) is None:
        return False
    _registered[text.strip()] = provider
    return True


def _known_by_pattern(host: str) -> Site | None:
    for pattern, provider in _PATTERNS:
        found = pattern.search(host)
        if found:
            return Site(provider, found[1] if found.re.groups else "")
    return None
