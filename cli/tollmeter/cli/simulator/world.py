"""Who is in the simulated history: models, tenants, features, the week's rhythm, an incident and a cost spike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from tollmeter.cli.simulator import shapes
from tollmeter.cli.simulator.shapes import Quantiles, Speed
from tollmeter.model.names import PROVIDER_ANTHROPIC, PROVIDER_BEDROCK, PROVIDER_GEMINI, PROVIDER_OPENAI


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
class Feature:
    """A product feature: who pays, where it is served, how its calls look; `share` is of all calls."""

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
    fallback: str = ""
    bursty: bool = False
    embeds: bool = False


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

FEATURES: Final = (
    Feature(
        "chat", "assistant", "assistant-api", "/chat", 0.38, (1, 1),
        shapes.CONVERSATION_IN, shapes.CONVERSATION_OUT, 0.85,
        (("gpt-4o-mini", 0.62), ("gpt-4.1", 0.2), ("claude-haiku-4-5", 0.18)), fallback="claude-haiku-4-5",
    ),
    Feature(
        "ask", "knowledge", "assistant-api", "/ask", 0.2, (1, 1),
        shapes.CONVERSATION_IN, shapes.CONVERSATION_OUT, 0.4,
        (("gpt-4o-mini", 0.5), ("gemini-2.5-flash", 0.42), ("house-tuned-7b", 0.08)), embeds=True,
    ),
    Feature(
        "complete", "devtools", "developer-api", "/complete", 0.2, (1, 1),
        shapes.CODE_IN, shapes.CODE_OUT, 0.0,
        (("gpt-4o-mini", 0.55), ("gemini-2.5-flash", 0.45)), fallback="gemini-2.5-flash", bursty=True,
    ),
    Feature(
        "summarize", "content", "assistant-api", "/summarize", 0.07, (1, 1),
        shapes.LONG_IN, shapes.LONG_OUT, 0.0,
        (("gemini-2.5-flash", 0.55), ("us.amazon.nova-pro-v1:0", 0.45)), bursty=True,
    ),
    Feature(
        "agent", "automation", "developer-api", "/agent/runs", 0.15, (2, 6),
        shapes.LONG_IN, shapes.CONVERSATION_OUT, 0.3,
        (("gpt-5-mini", 0.6), ("claude-sonnet-4-5", 0.4)), fallback="claude-sonnet-4-5",
    ),
)  # fmt: skip

INCIDENT_PROVIDER: Final = PROVIDER_OPENAI
INCIDENT_LENGTH: Final = timedelta(minutes=40)
STORM_FEATURE: Final = "chat"
SPIKE_TENANT: Final = "globex"
SPIKE_FEATURE: Final = "agent"
SPIKE_MODEL: Final = "claude-sonnet-4-5"
SPIKE_LENGTH: Final = timedelta(hours=4)

_CYCLE: Final = 28
_TUESDAY, _WEDNESDAY, _WEEK = 2, 3, 7
_INCIDENT_START: Final = time(14, 10, tzinfo=UTC)
_SPIKE_START: Final = time(9, tzinfo=UTC)
_WEEKDAY_WEIGHT: Final = (1.15, 1.25, 1.27, 1.22, 1.11, 0.52, 0.48)


def feature(name: str) -> Feature:
    """The feature of that name."""
    return next(one for one in FEATURES if one.name == name)


def incident_on(day: date, seed: int) -> datetime | None:
    """When the provider incident of a day begins, if it has one: a Wednesday, every fourth week.

    A rule of the calendar, so that a history made tomorrow agrees with today's on every day they share.
    """
    hit = day.toordinal() % _CYCLE == _WEDNESDAY + _WEEK * (seed % 4)
    return datetime.combine(day, _INCIDENT_START) if hit else None


def spike_on(day: date, seed: int) -> datetime | None:
    """When the cost spike of a day begins, if it has one: a Tuesday, every fourth week, two weeks off the incident."""
    hit = day.toordinal() % _CYCLE == _TUESDAY + _WEEK * ((seed + 2) % 4)
    return datetime.combine(day, _SPIKE_START) if hit else None


def day_weight(day: date) -> float:
    """Traffic of a day beside the average day's; a week's weights average 1."""
    return _WEEKDAY_WEIGHT[day.weekday()]


def second_of_day(rng: Random, tenant: Tenant) -> float:
    """A moment of the day in seconds after midnight UTC, by the tenant's rhythm."""
    hour = rng.choices(range(24), _HOURS[tenant.peak_hour])[0]
    return (hour + rng.random()) * 3600


def _hour_weights(peak: int) -> list[float]:
    return [0.12 + math.exp(2.2 * (math.cos((hour - peak) * math.tau / 24) - 1)) for hour in range(24)]


_HOURS: Final = {tenant.peak_hour: _hour_weights(tenant.peak_hour) for tenant in TENANTS}
