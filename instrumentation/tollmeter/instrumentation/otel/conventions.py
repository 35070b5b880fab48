"""What each instrumentation means by the numbers on its spans, by the scope that its tracer names.

Found by reading and running the packages; the versions tried stand in `docs/modes.md`.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Convention:
    """How to read the spans of one emitter.

    Args:
        scope: what the name of its instrumentation scope begins with.
        module: where Python finds it, to tell whether it is installed; empty where many share the row.
        since: the first version of the scope that this row holds for.
        is_input_inclusive: the input count includes what was read from and written to the cache.
        is_detached: its span is not current while the call is made, so that nothing below names it as parent.
        has_own_ids: its response id may be one of its own making, not the provider's.
        sums_stream_output: the output of a stream has the count of its first event added, a few tokens too many, and
            not every stream is marked as one.
        raw_usage: attribute that holds the provider's usage object as text, more exact than the counts.
        counts_on_log: the counts of a stream come on a span of their own; one without counts or error is no call.
        estimated_models: models whose counts under InvokeModel are guessed from the text by the emitter.
        cache_told_under: RPC methods under which cache counts are told; None where they always are, () where never.
        drops_vendor: a Bedrock model is named without its vendor, which the price book needs.
    """

    scope: str
    module: str
    since: tuple[int, ...] = ()
    is_input_inclusive: bool = True
    is_detached: bool = False
    has_own_ids: bool = False
    sums_stream_output: bool = False
    raw_usage: str = ""
    counts_on_log: bool = False
    estimated_models: tuple[str, ...] = ()
    cache_told_under: tuple[str, ...] | None = None
    drops_vendor: bool = False


_OTEL: Final = "opentelemetry.instrumentation"

CONVENTIONS: Final = (
    # The official instrumentations.
    Convention(f"{_OTEL}.genai.openai", f"{_OTEL}.genai.openai"),
    Convention(f"{_OTEL}.genai.anthropic", f"{_OTEL}.genai.anthropic"),
    Convention(f"{_OTEL}.genai.bedrock", f"{_OTEL}.genai.bedrock", is_input_inclusive=False),
    Convention(f"{_OTEL}.genai", ""),  # langchain, openai-agents and others of the same repository
    Convention(f"{_OTEL}.openai_v2", f"{_OTEL}.openai_v2", cache_told_under=()),
    Convention(f"{_OTEL}.google_genai", f"{_OTEL}.google_genai"),
    Convention(
        f"{_OTEL}.botocore",
        f"{_OTEL}.botocore",
        is_input_inclusive=False,
        estimated_models=("cohere.command", "mistral."),
        cache_told_under=("Converse", "ConverseStream"),
    ),
    # The Anthropic SDK's own spans.
    Convention("com.anthropic.sdk.python", "anthropic._tracing"),
    # OpenLLMetry.
    Convention(f"{_OTEL}.openai", f"{_OTEL}.openai", is_detached=True),
    Convention(f"{_OTEL}.anthropic", f"{_OTEL}.anthropic", is_detached=True),
    Convention(f"{_OTEL}.anthropic", f"{_OTEL}.anthropic", since=(0, 33), is_detached=True, sums_stream_output=True),
    Convention(f"{_OTEL}.bedrock", f"{_OTEL}.bedrock", is_input_inclusive=False, is_detached=True, drops_vendor=True),
    Convention(f"{_OTEL}.vertexai", f"{_OTEL}.vertexai", is_detached=True),
    Convention(f"{_OTEL}.google_generativeai", f"{_OTEL}.google_generativeai", is_detached=True),
    Convention(f"{_OTEL}.langchain", f"{_OTEL}.langchain"),
    # Frameworks.
    Convention("litellm", "litellm", is_detached=True, has_own_ids=True, raw_usage="metadata.usage_object"),
    Convention("pydantic-ai", "pydantic_ai"),
    Convention("logfire", "logfire", is_detached=True, raw_usage="gen_ai.usage.raw", counts_on_log=True),
)
"""Longest scope first where two fit, then the newest version not above the scope's."""

UNKNOWN: Final = Convention("", "")
"""An emitter that is not in the table: taken at the convention's word, input inclusive."""


@lru_cache(maxsize=256)
def convention_of(scope: str, version: str | None) -> Convention:
    """The row that holds for a scope.

    >>> convention_of("opentelemetry.instrumentation.botocore.bedrock-runtime", "0.66b2").is_input_inclusive
    False
    >>> convention_of("opentelemetry.instrumentation.anthropic", "0.31.4").sums_stream_output
    False
    """
    found = _parts(version or "")
    fitting = [row for row in CONVENTIONS if _is_below(scope, row.scope) and (not found or row.since <= found)]
    return max(fitting, key=lambda row: (len(row.scope), row.since), default=UNKNOWN)


def installed_emitters() -> list[str]:
    """Modules of the table that can be imported here; only their parent packages are."""
    return [module for module in dict.fromkeys(row.module for row in CONVENTIONS) if module and is_found(module)]


def _is_below(scope: str, prefix: str) -> bool:
    return scope == prefix or scope.startswith(prefix + ".")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in _NUMBER.findall(version)[:3])


def is_found(module: str) -> bool:
    """Whether a module can be imported here."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False
