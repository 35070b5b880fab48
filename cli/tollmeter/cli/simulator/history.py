"""Write simulated history as raw objects, one per past day and one per finished hour of today.

The same seed and size give the same events with the same ids in objects of the same name: writing twice changes
nothing. A history made on a later day agrees with an earlier one on every day they share.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

from tollmeter.cli.simulator import almanac, world
from tollmeter.cli.simulator.asking import Interaction
from tollmeter.cli.simulator.calls import events_of
from tollmeter.cli.simulator.world import FEATURES, NOBODY, TENANTS, Feature, Tenant
from tollmeter.model.errors import MissingExtraError
from tollmeter.model.events import Event, LlmCall, encode, utc_now
from tollmeter.model.home import Home
from tollmeter.model.ids import imported_event_id

DAYS: Final = 60
DEFAULT_ROWS: Final = 60_000
DEFAULT_SEED: Final = 7

_ANONYMOUS: Final = 0.02
_LAST_SECOND: Final = 86_399.0
_SPIKE_SHARE: Final = 1000
_STORM_SHARE: Final = 5000
_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate: about `rows` model calls over 60 days, up to the last full hour before `until`.

    Calls that fail and are tried again, the incident's traffic and the spike come on top: some 7 % more.
    """

    rows: int = DEFAULT_ROWS
    seed: int = DEFAULT_SEED
    until: datetime = field(default_factory=utc_now)

    @property
    def end(self) -> datetime:
        """The last full hour, in UTC."""
        return self.until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    def days(self) -> list[date]:
        """The 60 days before today, and today."""
        today = self.end.date()
        return [today - timedelta(days=back) for back in range(DAYS, -1, -1)]

    def key(self, day: date) -> str:
        """What identifies a day's events: the seed, the size and the date."""
        return f"{self.seed}:{self.rows}:{day}"


@dataclass(slots=True)
class Written:
    """What the simulator made: objects new and already there, events by kind, calls and cost of the new objects."""

    objects: int = 0
    existing: int = 0
    events: Counter[str] = field(default_factory=Counter)
    cost_usd: Decimal = Decimal(0)

    def count(self, events: list[Event]) -> None:
        """Add the events of one object."""
        self.objects += 1
        for event in events:
            self.events[type(event).__name__] += 1
            if isinstance(event, LlmCall) and event.cost_usd is not None:
                self.cost_usd += event.cost_usd


def write_history(home: Home, plan: Plan, *, progress: Callable[[int, int], None] | None = None) -> Written:
    """Write the plan's events below `<home>/raw`; objects that exist are left alone.

    Raises:
        MissingExtraError: zstandard is not installed.
    """
    written, days = Written(), plan.days()
    for number, day in enumerate(days, start=1):
        _write_day(home, plan, day, written)
        if progress:
            progress(number, len(days))
    return written


def day_events(plan: Plan, day: date) -> list[Event]:
    """All events of one day, ordered by time."""
    rng = Random(plan.key(day))  # noqa: S311  a simulation, not a secret
    events = [event for what in _interactions(plan, day, rng) for event in events_of(what, rng)]
    return sorted(events, key=lambda event: event.timestamp)


def _write_day(home: Home, plan: Plan, day: date, written: Written) -> None:
    key, today = plan.key(day), plan.end.date()
    if day < today:
        parts = [(_object(home, key, datetime.combine(day, time()) + timedelta(days=1)), 0, 24)]
    else:
        parts = [
            (_object(home, f"{key}:{hour:02d}", datetime.combine(day, time(hour)) + timedelta(hours=1)), hour, hour + 1)
            for hour in range(plan.end.hour)
        ]
    missing = [part for part in parts if not part[0].exists()]
    written.existing += len(parts) - len(missing)
    events = day_events(plan, day) if missing else []
    for path, first, last in missing:
        chosen = [event for event in events if _within(event, day, first, last)]
        _write_object(path, chosen)
        written.count(chosen)


def _within(event: Event, day: date, first: int, last: int) -> bool:
    # A long interaction may make its last calls after midnight: they belong to the day it began.
    hour = event.timestamp.hour if event.timestamp.date() == day else 23
    return first <= hour < last


def _object(home: Home, key: str, uploaded: datetime) -> Path:
    folder = home.raw / f"dt={uploaded:%Y-%m-%d}" / f"hour={uploaded:%H}"
    return folder / f"{imported_event_id('simulator-object', key)}.jsonl.zst"


def _write_object(path: Path, events: list[Event]) -> None:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise MissingExtraError("zstandard", "forward") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    data = b"".join(encode(event) for event in events)
    hidden.write_bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(data))
    hidden.rename(path)


def _interactions(plan: Plan, day: date, rng: Random) -> Iterator[Interaction]:
    midnight = datetime.combine(day, time(tzinfo=UTC))
    trouble, spike = almanac.trouble_on(day, plan.seed), almanac.spike_on(day, plan.seed)
    calls = plan.rows / DAYS * world.day_weight(day)
    for feature in FEATURES:
        for number, sitting in enumerate(_sittings(rng, feature, calls)):
            at = midnight + timedelta(seconds=sitting.second)
            yield Interaction(
                f"{plan.key(day)}:{feature.name}:{number}", at, sitting.tenant, feature, sitting.user, sitting.session,
                sitting.turn, trouble,
            )  # fmt: skip
    if trouble.incident:
        yield from _storm(plan, day, trouble, rng)
    if spike:
        yield from _spike(plan, day, spike, rng)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks, when, in which session, and as which turn of it."""

    second: float
    tenant: Tenant
    user: str
    session: str
    turn: int


def _sittings(rng: Random, feature: Feature, calls_of_day: float) -> list[_Asked]:
    """Everything asked of a feature on one day: sessions by the tenants' rhythm, several asks in each."""
    mean = sum(feature.calls) / 2 + feature.embeds
    count = max(0, round(rng.gauss(1, 0.05) * calls_of_day * feature.share / mean))
    asked: list[_Asked] = []
    while len(asked) < count:
        asked += _sitting(rng, feature)
    return asked[:count]


def _sitting(rng: Random, feature: Feature) -> Iterator[_Asked]:
    tenant, user = _visitor(rng, feature)
    second, session = world.second_of_day(rng, tenant), _session(rng, feature)
    tenant = NOBODY if user == "" else tenant
    for turn in range(rng.randint(*feature.session.asks)):
        yield _Asked(min(second, _LAST_SECOND), tenant, user, session, turn)
        second += rng.expovariate(1 / feature.session.gap_s)


def _visitor(rng: Random, feature: Feature) -> tuple[Tenant, str]:
    """A tenant and one of its users; now and then somebody who did not sign in."""
    if not feature.attributed:
        return NOBODY, ""
    tenant = rng.choices(TENANTS, [tenant.share for tenant in TENANTS])[0]
    number = min(int(rng.expovariate(3 / tenant.users)), tenant.users - 1)
    return tenant, "" if rng.random() < _ANONYMOUS else f"{tenant.name}-user-{number:03d}"


def _session(rng: Random, feature: Feature) -> str:
    return f"{feature.name}-{rng.getrandbits(40):010x}"


def _storm(plan: Plan, day: date, trouble: almanac.Trouble, rng: Random) -> Iterator[Interaction]:
    """Users who get no answer ask again: an incident multiplies the traffic that it breaks."""
    feature = world.feature(almanac.STORM_FEATURE)
    minutes = int(almanac.INCIDENT_LENGTH.total_seconds() // 60)
    start = trouble.incident or datetime.combine(day, time(tzinfo=UTC))
    for number in range(max(1, plan.rows // _STORM_SHARE) * minutes):
        tenant, user = _visitor(rng, feature)
        at = start + rng.random() * almanac.INCIDENT_LENGTH
        yield Interaction(
            f"{plan.key(day)}:storm:{number}", at, tenant if user else NOBODY, feature, user, _session(rng, feature),
            trouble=trouble,
        )  # fmt: skip


def _spike(plan: Plan, day: date, start: datetime, rng: Random) -> Iterator[Interaction]:
    tenant = next(tenant for tenant in TENANTS if tenant.name == almanac.SPIKE_TENANT)
    feature = world.feature(almanac.SPIKE_FEATURE)
    user, session = f"{tenant.name}-user-000", _session(rng, feature)
    for number in range(max(1, plan.rows // _SPIKE_SHARE)):
        at = start + rng.random() * almanac.SPIKE_LENGTH
        yield Interaction(f"{plan.key(day)}:spike:{number}", at, tenant, feature, user, session, runaway=True)
