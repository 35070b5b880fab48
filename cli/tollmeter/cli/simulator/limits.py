"""What providers' headers say of their rate limits, and how calls fail."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any, Final

from tollmeter.cli.simulator import world
from tollmeter.model.names import PROVIDER_ANTHROPIC, PROVIDER_BEDROCK, PROVIDER_GEMINI, PROVIDER_OPENAI

TOO_MANY: Final = 429
REFUSED: Final = 400

_PER_MINUTE: Final = {PROVIDER_OPENAI: (10_000, 2_000_000), PROVIDER_ANTHROPIC: (4_000, 400_000)}
"""Requests and tokens that two providers allow; the other two tell nothing of it in their headers."""
_TIGHT: Final = (0.9, 0.995)

_Failure = tuple[int | None, str, float]
_TIMEOUT: Final[_Failure] = (None, "ReadTimeout", 0.06)
_FAILURES: Final[dict[str, tuple[_Failure, ...]]] = {
    PROVIDER_OPENAI: (
        (TOO_MANY, "rate_limit_exceeded", 0.5), (503, "server_error", 0.34), (500, "server_error", 0.1), _TIMEOUT,
    ),
    PROVIDER_ANTHROPIC: (
        (TOO_MANY, "rate_limit_error", 0.4), (529, "overloaded_error", 0.44), (500, "api_error", 0.1), _TIMEOUT,
    ),
    PROVIDER_GEMINI: ((TOO_MANY, "RESOURCE_EXHAUSTED", 0.5), (503, "UNAVAILABLE", 0.44), _TIMEOUT),
    PROVIDER_BEDROCK: (
        (TOO_MANY, "ThrottlingException", 0.6), (503, "ServiceUnavailableException", 0.34), _TIMEOUT,
    ),
}  # fmt: skip
_REFUSALS: Final = ("context_length_exceeded", "content_filter")


def headroom(rng: Random, provider: str, at: datetime, *, tight: bool, exhausted: bool = False) -> dict[str, Any]:
    """The limits and what is left of them, as columns; nothing where the provider does not tell."""
    if provider not in _PER_MINUTE:
        return {}
    requests, tokens = _PER_MINUTE[provider]
    used = rng.uniform(*_TIGHT) if tight else world.busy(at.date(), at.hour) * rng.uniform(0.3, 0.8)
    left = 0.0 if exhausted else 1 - used
    return {
        "ratelimit_limit_requests": requests,
        "ratelimit_remaining_requests": int(requests * (left if provider == PROVIDER_OPENAI else (1 + left) / 2)),
        "ratelimit_limit_tokens": tokens,
        "ratelimit_remaining_tokens": int(tokens * left),
    }


def failure(rng: Random, provider: str, *, tight: bool) -> tuple[int | None, str]:
    """HTTP status and error type of a call that fails; it may work at the next attempt."""
    kinds = _FAILURES[provider]
    if tight:
        kinds = kinds[:1]
    status, kind, _ = rng.choices(kinds, [each[2] for each in kinds])[0]
    return status, kind


def refusal(rng: Random) -> str:
    """Error type of a call that no further attempt helps."""
    return rng.choice(_REFUSALS)
