"""What happens when: incidents, squeezes, cost spikes, deployments, new prompts.

All of it follows from the calendar, so that a history made tomorrow agrees with today's on every day they share.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zlib import crc32

from tollmeter.cli.simulator.world import ASSISTANT_API, DEVELOPER_API, FEATURES, JOBS
from tollmeter.model.names import PROVIDER_ANTHROPIC, PROVIDER_OPENAI

INCIDENT_PROVIDER: Final = PROVIDER_OPENAI
INCIDENT_LENGTH: Final = timedelta(minutes=40)
STORM_FEATURE: Final = "chat"
SQUEEZED_PROVIDER: Final = PROVIDER_ANTHROPIC
SQUEEZE_LENGTH: Final = timedelta(minutes=90)
SPIKE_TENANT: Final = "globex"
SPIKE_FEATURE: Final = "agent"
SPIKE_MODEL: Final = "claude-sonnet-4-5"
SPIKE_LENGTH: Final = timedelta(hours=4)

_CYCLE: Final = 28
_MONDAY, _TUESDAY, _WEDNESDAY, _THURSDAY, _WEEK = 1, 2, 3, 4, 7
_INCIDENT_START: Final = time(14, 10, tzinfo=UTC)
_SQUEEZE_START: Final = time(15, tzinfo=UTC)
_SPIKE_START: Final = time(9, tzinfo=UTC)
_PROMPT_DAYS: Final = 21
_RELEASES: Final = {ASSISTANT_API: (_TUESDAY, 10), DEVELOPER_API: (_THURSDAY, 13), JOBS: (_MONDAY, 9)}
"""Weekday and hour, UTC, at which a service's new version is deployed."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """When the provider incident of a day begins, and when another provider's limit becomes too tight."""

    incident: datetime | None = None
    squeeze: datetime | None = None

    def is_down(self, provider: str, at: datetime) -> bool:
        """Whether the provider is in its incident."""
        return provider == INCIDENT_PROVIDER and _within(at, self.incident, INCIDENT_LENGTH)

    def is_squeezed(self, provider: str, at: datetime) -> bool:
        """Whether the provider's limit is too tight for the traffic."""
        return provider == SQUEEZED_PROVIDER and _within(at, self.squeeze, SQUEEZE_LENGTH)


QUIET: Final = Trouble()
"""No trouble at all."""


def _within(at: datetime, start: datetime | None, length: timedelta) -> bool:
    return start is not None and start <= at < start + length


def trouble_on(day: date, seed: int) -> Trouble:
    """The troubles of a day."""
    return Trouble(incident_on(day, seed), squeeze_on(day, seed))


def incident_on(day: date, seed: int) -> datetime | None:
    """When the provider incident of a day begins, if it has one: a Wednesday, every fourth week."""
    hit = day.toordinal() % _CYCLE == _WEDNESDAY + _WEEK * (seed % 4)
    return datetime.combine(day, _INCIDENT_START) if hit else None


def squeeze_on(day: date, seed: int) -> datetime | None:
    """When a limit becomes too tight: a Thursday, every other week."""
    hit = day.toordinal() % (2 * _WEEK) == _THURSDAY + _WEEK * (seed % 2)
    return datetime.combine(day, _SQUEEZE_START) if hit else None


def spike_on(day: date, seed: int) -> datetime | None:
    """When the cost spike of a day begins, if it has one: a Tuesday, every fourth week, two weeks off the incident."""
    hit = day.toordinal() % _CYCLE == _TUESDAY + _WEEK * ((seed + 2) % 4)
    return datetime.combine(day, _SPIKE_START) if hit else None


def version_at(service: str, at: datetime) -> str:
    """The version of a service that runs at a moment: a new one each week, named by year and week.

    >>> [version_at("assistant-api", datetime(2026, 11, 24, hour)) for hour in (9, 10)]
    ['2026.47', '2026.48']
    """
    weekday, hour = _RELEASES[service]
    year, week, _ = (at - timedelta(days=weekday - 1, hours=hour)).isocalendar()
    return f"{year}.{week}"


def prompt_version_on(day: date, feature: str) -> str:
    """The version of a feature's prompt: a new one every three weeks, named by its first day."""
    offset = [each.name for each in FEATURES].index(feature) * 5
    number = (day.toordinal() + offset) // _PROMPT_DAYS
    return f"v{date.fromordinal(number * _PROMPT_DAYS - offset)}"


def prompt_scale(feature: str, version: str) -> float:
    """How long a version of a prompt makes the input, beside the average: 0.85 to 1.15."""
    return 0.85 + 0.01 * (chance_of(f"{feature}:{version}") % 31)


def chance_of(text: str) -> int:
    """A hash that is the same in every process, for splits by user."""
    return crc32(text.encode())
