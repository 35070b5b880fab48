"""Who is in the simulated history: models, tenants, features, and the week's rhythm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Final

from tollmeter.cli.simulator import shapes
from tollmeter.cli.simulator.shapes import Quantiles, Speed
from tollmeter.model.names import (
    PROVIDER_ANTHROPIC,
    PROVIDER_BEDROCK,
    PROVIDER_GEMINI,
    PROVIDER_OPENAI,
    TIER_BATCH,
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model: who serves it, the name it answers under, how fast it is."""

    name: str
    provider: str
    snapshot: str
    speed: Speed
    reasoning: float = 0.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer: its share of the traffic, its users, and the hour (UTC) its day peaks at."""

    name: str
    share: float
    users: int
    region: str
    peak_hour: int


@dataclass(frozen=True, slots=True)
class Session:
    """How often somebody asks in one sitting, seconds between two asks, and whether the model is told what was said."""

    asks: tuple[int, int] = (1, 1)
    gap_s: float = 60.0
    remembers: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """A product feature: who pays, where it is served, how its calls look; `share` is of all calls.

    `fallbacks` are tried in order, those of the provider that failed left out; `audio` and `images` are shares of the
    input; `cached` is the share that the service's own cache answers; `searches` is how many searches a provider's
    tool makes for one call, at most; `tools` are steps between two calls; `outcomes` are business events and how often
    a request ends in each. What is not `attributed` names no tenant, team, feature and user.
    """

    name: str
    team: str
    service: str
    route: str
    share: float
    calls: tuple[int, int]
    input: Quantiles
    output: Quantiles
    streamed: float
    models: tuple[tuple[str, float], ...]
    fallbacks: tuple[str, ...] = ()
    session: Session = Session()
    embeds: bool = False
    audio: float = 0.0
    images: float = 0.0
    cached: float = 0.0
    searches: int = 0
    tier: str = ""
    tools: tuple[str, ...] = ()
    outcomes: tuple[tuple[str, float], ...] = ()
    attributed: bool = True


MODELS: Final = {
    model.name: model
    for model in (
        Model("gpt-4o-mini", PROVIDER_OPENAI, "gpt-4o-mini-2024-07-18", shapes.SWIFT),
        Model("gpt-4.1", PROVIDER_OPENAI, "gpt-4.1-2025-04-14", shapes.STEADY),
        Model("gpt-5-mini", PROVIDER_OPENAI, "gpt-5-mini-2025-08-07", shapes.STEADY, reasoning=0.45),
        Model("text-embedding-3-small", PROVIDER_OPENAI, "text-embedding-3-small", shapes.FAST),
        Model("claude-sonnet-4-5", PROVIDER_ANTHROPIC, "claude-sonnet-4-5-20250929", shapes.STEADY),
        Model("claude-haiku-4-5", PROVIDER_ANTHROPIC, "claude-haiku-4-5-20251001", shapes.SWIFT),
        Model("gemini-2.5-flash", PROVIDER_GEMINI, "gemini-2.5-flash", shapes.FAST),
        Model("us.amazon.nova-pro-v1:0", PROVIDER_BEDROCK, "us.amazon.nova-pro-v1:0", shapes.SLOW),
        # A model of one's own: no public price, so its calls stand as unpriced, not as free.
        Model("house-tuned-7b", PROVIDER_OPENAI, "house-tuned-7b", shapes.SWIFT),
    )
}
EMBEDDING: Final = "text-embedding-3-small"

TENANTS: Final = (
    Tenant("acme", 0.31, 60, "us-east-1", 16),
    Tenant("globex", 0.22, 45, "us-east-1", 18),
    Tenant("initech", 0.16, 30, "eu-west-1", 11),
    Tenant("umbrella", 0.12, 25, "eu-west-1", 9),
    Tenant("hooli", 0.09, 20, "us-east-1", 19),
    Tenant("stark", 0.06, 12, "us-east-1", 15),
    Tenant("wonka", 0.04, 8, "eu-west-1", 10),
)

NOBODY: Final = Tenant("", 1.0, 1, "us-east-1", 3)
"""Whom work is done for that names no tenant: jobs of the night."""

ASSISTANT_API, DEVELOPER_API, JOBS = "assistant-api", "developer-api", "nightly-jobs"
_TALK: Final = Session((1, 7), 70.0, remembers=True)

FEATURES: Final = (
    Feature(
        "chat", "assistant", ASSISTANT_API, "/chat", 0.33, (1, 1),
        shapes.CONVERSATION_IN, shapes.CONVERSATION_OUT, 0.85,
        (("gpt-4o-mini", 0.62), ("gpt-4.1", 0.2), ("claude-haiku-4-5", 0.18)),
        fallbacks=("claude-haiku-4-5", "gpt-4o-mini"), session=_TALK,
        outcomes=(("question.answered", 0.6), ("handed.over", 0.08)),
    ),
    Feature(
        "ask", "knowledge", ASSISTANT_API, "/ask", 0.19, (1, 1),
        shapes.CONVERSATION_IN, shapes.CONVERSATION_OUT, 0.4,
        (("gpt-4o-mini", 0.5), ("gemini-2.5-flash", 0.42), ("house-tuned-7b", 0.08)),
        session=Session((1, 3), 50.0), embeds=True, cached=0.09, outcomes=(("question.answered", 0.7),),
    ),
    Feature(
        "complete", "devtools", DEVELOPER_API, "/complete", 0.18, (1, 1),
        shapes.CODE_IN, shapes.CODE_OUT, 0.0,
        (("gpt-4o-mini", 0.55), ("gemini-2.5-flash", 0.45)),
        fallbacks=("gemini-2.5-flash",), session=Session((1, 24), 6.0),
    ),
    Feature(
        "summarize", "content", ASSISTANT_API, "/summarize", 0.06, (1, 1),
        shapes.LONG_IN, shapes.LONG_OUT, 0.0,
        (("gemini-2.5-flash", 0.55), ("us.amazon.nova-pro-v1:0", 0.45)), session=Session((1, 24), 5.0),
    ),
    Feature(
        "agent", "automation", DEVELOPER_API, "/agent/runs", 0.15, (2, 6),
        shapes.LONG_IN, shapes.CONVERSATION_OUT, 0.3,
        (("gpt-5-mini", 0.6), ("claude-sonnet-4-5", 0.4)), fallbacks=("claude-sonnet-4-5", "gpt-5-mini"),
        tools=("search_orders", "read_policy", "run_tests"),
        outcomes=(("ticket.resolved", 0.7), ("ticket.escalated", 0.25)),
    ),
    Feature(
        "research", "knowledge", ASSISTANT_API, "/research", 0.03, (1, 2),
        shapes.CONVERSATION_IN, shapes.CONVERSATION_OUT, 0.7,
        (("claude-sonnet-4-5", 1.0),), fallbacks=("gpt-4.1",), session=Session((1, 2), 120.0), searches=5,
    ),
    Feature(
        "intake", "content", ASSISTANT_API, "/intake/{kind}", 0.03, (1, 1),
        shapes.CODE_IN, shapes.CODE_OUT, 0.0,
        (("gemini-2.5-flash", 1.0),), audio=0.55, images=0.25, outcomes=(("document.filed", 0.9),),
    ),
    Feature(
        "digest", "", JOBS, "digest", 0.03, (1, 1),
        shapes.LONG_IN, shapes.LONG_OUT, 0.0,
        (("claude-haiku-4-5", 1.0),), session=Session((1, 24), 5.0), tier=TIER_BATCH, attributed=False,
    ),
)  # fmt: skip

_WEEKDAY_WEIGHT: Final = (1.15, 1.25, 1.27, 1.22, 1.11, 0.52, 0.48)


def feature(name: str) -> Feature:
    """The feature of that name."""
    return next(one for one in FEATURES if one.name == name)


def day_weight(day: date) -> float:
    """Traffic of a day beside the average day's; a week's weights average 1."""
    return _WEEKDAY_WEIGHT[day.weekday()]


def second_of_day(rng: Random, tenant: Tenant) -> float:
    """A moment of the day in seconds after midnight UTC, by the tenant's rhythm."""
    hour = rng.choices(range(24), _HOURS[tenant.peak_hour])[0]
    return (hour + rng.random()) * 3600


def busy(day: date, hour: int) -> float:
    """How busy an hour of a day is, from 0 to 1 for the busiest of the week."""
    curve = _HOURS[_BUSIEST_HOUR]
    return curve[hour] / max(curve) * day_weight(day) / max(_WEEKDAY_WEIGHT)


def _hour_weights(peak: int) -> list[float]:
    return [0.12 + math.exp(2.2 * (math.cos((hour - peak) * math.tau / 24) - 1)) for hour in range(24)]


_BUSIEST_HOUR: Final = TENANTS[0].peak_hour
_HOURS: Final = {tenant.peak_hour: _hour_weights(tenant.peak_hour) for tenant in (*TENANTS, NOBODY)}
