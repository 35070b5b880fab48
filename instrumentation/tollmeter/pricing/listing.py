"""What the price table itself says a model costs at a time and tier."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple

from tollmeter.pricing.catalog import Found
from tollmeter.pricing.names import PLAIN_TIERS
from tollmeter.pricing.quote import Prices
from tollmeter.pricing.table import Row, Variant

_CONTEXT_KEYS: Final = frozenset({"service_tier", "processing", "speed"})
_DAY: Final = timedelta(days=1)


class Listed(NamedTuple):
    """List prices, where they stand, and whether the table has prices for the tier asked for."""

    ref: str
    prices: Prices
    served: bool
    free: bool


def list_prices(source: str, found: Found, at: datetime, tier: str) -> Listed:
    """List prices of a model at a time (with a zone); `tier` is empty for the standard one."""
    moment = at.astimezone(UTC)
    model = found.model
    rows = model.rows
    row = next((rows[index] for index in range(len(rows) - 1, 0, -1) if _holds(rows[index], moment)), rows[0])
    variants = [each for each in _variants(found, tier) if _holds(each, moment)]
    prices = dict(row.prices)
    for variant in reversed(variants):  # the first variant wins
        prices |= variant.prices
    ref = f"{source} {found.provider}/{model.id}{_validity(row)}" + (f" {tier}" if variants else "")
    # In the table an empty row means "free" only where the name says so; elsewhere the price was never found out.
    return Listed(ref, prices, served=bool(variants) or not tier, free=model.id.endswith(":free"))


def changes(found: Found, at: datetime) -> Iterator[datetime]:
    """The moments around a time at which list prices of a model may change."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for row in (*found.model.rows, *found.model.variants):
        if row.since is not None:
            yield datetime.combine(row.since, time(), UTC)
        elif row.between is not None:
            for day in (midnight - _DAY, midnight, midnight + _DAY):
                yield from (datetime.combine(day.date(), edge, UTC) for edge in row.between)


def tiers_of(found: Found) -> list[str]:
    """The tiers that a model has list prices of its own for."""
    tiers = {tier for variant in found.model.variants for tier in variant.when.values() if _applies(variant, tier)}
    return sorted(tiers - PLAIN_TIERS) if found.own else []


def _variants(found: Found, tier: str) -> list[Variant]:
    if not tier or not found.own:
        return []
    return [variant for variant in found.model.variants if _applies(variant, tier)]


def _applies(variant: Variant, tier: str) -> bool:
    return all(key in _CONTEXT_KEYS and value == tier for key, value in variant.when.items())


def _holds(row: Row, moment: datetime) -> bool:
    if row.since is not None:
        return moment.date() >= row.since
    if row.between is None:
        return True
    start, end = row.between
    now = moment.time()
    return start <= now < end if start <= end else now >= start or now < end


def _validity(row: Row) -> str:
    if row.since is not None:
        return f" {row.since.isoformat()}"
    if row.between is not None:
        return f" {row.between[0]:%H:%M}-{row.between[1]:%H:%M}Z"
    return ""
