"""The hours that commitments cover, to the microsecond, and what each costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tollmeter.model.columns import MONEY_SCALE
from tollmeter.pricing.cost import EXACT
from tollmeter.pricing.names import provider_id
from tollmeter.pricing.overlay import Commitment

Span = tuple[datetime, datetime]

_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Hour:
    """One hour of one commitment, and the parts of it that are covered; times are UTC without zone, as in the lake."""

    commitment: Commitment
    hour: datetime
    spans: list[Span] = field(default_factory=list)

    @property
    def day(self) -> date:
        """The day it belongs to."""
        return self.hour.date()

    @property
    def capacity(self) -> tuple[str, str]:
        """Provider, in the price table's own name, and resource, in lower case."""
        return capacity_of(self.commitment)

    @property
    def share(self) -> Fraction:
        """How much of the hour is covered."""
        covered = sum((stop - start for start, stop in self.spans), timedelta())
        return Fraction(covered // timedelta(microseconds=1), _HOUR // timedelta(microseconds=1))

    def row(self) -> dict[str, Any]:
        """What is known of the hour without any call."""
        found, per_minute = self.commitment, self.commitment.tokens_per_minute
        return {
            "event_date": self.day,
            "hour": self.hour,
            "commitment": found.name,
            "provider": found.provider,
            "resource_id": found.resource_id,
            "model": found.model,
            "capacity_tokens": None if per_minute is None else int(per_minute * 60 * self.share),
            "cost_usd": _usd(Fraction(found.usd_per_hour) * self.share),
        }


def served(hour: Hour, calls: int, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """The row of an hour in which some calls ran; how much lay idle is null where the capacity is not known.

    >>> from datetime import UTC, datetime
    >>> start = datetime(2026, 11, 1)
    >>> unit = Commitment(name="pt", provider="aws", resource_id="x", usd_per_hour=Decimal(40), tokens_per_minute=100,
    ...     valid_from=start.replace(tzinfo=UTC))
    >>> row = served(Hour(unit, start, [(start, start + _HOUR)]), 9, 1000, 500)
    >>> row["used_share"], row["idle_share"], row["idle_cost_usd"]
    (0.25, 0.75, Decimal('30.000000000000'))
    """
    row, tokens = hour.row(), input_tokens + output_tokens
    used = _used(calls, tokens, row["capacity_tokens"])
    return row | {
        "calls": calls,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "used_share": None if used is None else float(used),
        "idle_share": None if used is None else float(1 - used),
        "idle_cost_usd": None if used is None else _usd(Fraction(row["cost_usd"]) * (1 - used)),
    }


def capacity_of(commitment: Commitment) -> tuple[str, str]:
    """What two commitments for the same capacity have in common, however the file spells it."""
    return provider_id(commitment.provider), commitment.resource_id.lower()


def committed_hours(commitments: Collection[Commitment], now: datetime) -> list[Hour]:
    """Every hour that commitments cover and that is over, in order; a span in it ends with the commitment or the hour.

    Where two commitments are for the same capacity, the newer counts as long as it holds.
    """
    hours: dict[tuple[str, datetime], Hour] = {}
    for commitment in commitments:
        newer = [
            _span(other, now)
            for other in commitments
            if capacity_of(other) == capacity_of(commitment) and other.valid_from > commitment.valid_from
        ]
        for start, stop in _without(_span(commitment, now), newer):
            for hour, span in _cut(start, stop, _naive(now)):
                hours.setdefault((commitment.name, hour), Hour(commitment, hour)).spans.append(span)
    return sorted(hours.values(), key=lambda found: (found.hour, found.commitment.name))


def _span(commitment: Commitment, now: datetime) -> Span:
    end = min(commitment.valid_until or now, now)
    return _naive(commitment.valid_from), _naive(max(end, commitment.valid_from))


def _without(span: Span, others: list[Span]) -> list[Span]:
    """What is left of a span when others are taken out of it."""
    start, left = span[0], list[Span]()
    for other_start, other_stop in sorted(others):
        if other_start > start:
            left.append((start, min(other_start, span[1])))
        start = max(start, other_stop)
    return [found for found in (*left, (start, span[1])) if found[0] < found[1]]


def _cut(start: datetime, stop: datetime, now: datetime) -> Iterator[tuple[datetime, Span]]:
    """A span cut at full hours, without an hour that is not over."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < stop:
        if hour + _HOUR <= now:
            yield hour, (max(start, hour), min(stop, hour + _HOUR))
        hour += _HOUR


def _used(calls: int, tokens: int, capacity: int | None) -> Fraction | None:
    if not calls:
        return Fraction(0)
    return min(Fraction(tokens, capacity), Fraction(1)) if capacity else None


def _usd(amount: Fraction) -> Decimal:
    return EXACT.quantize(EXACT.divide(Decimal(amount.numerator), Decimal(amount.denominator)), _UNIT)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


_UNIT: Final = Decimal(1).scaleb(-MONEY_SCALE)
