"""What a company knows of its prices beyond the public ones: the entries of an overlay file."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from tollmeter.pricing.names import provider_id
from tollmeter.pricing.quote import Prices


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that holds from `valid_from` until just before `valid_until` (UTC); None means that no end is known.

    `note` is for people: a contract, a source.
    """

    name: str
    valid_from: datetime
    valid_until: datetime | None = None
    note: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether the entry holds at a time, which must have a zone."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


class Scope(Dated, frozen=True, kw_only=True):
    """An entry for some calls of one provider, which goes by the price table's own name.

    An empty `model` or `region` means any; an empty `service_tier` means any too, but in a price row the standard one.
    """

    provider: str
    model: str = ""
    service_tier: str = ""
    region: str = ""


class PriceRow(Scope, frozen=True, kw_only=True):
    """Negotiated prices, in the units of the price table; a class it leaves out keeps the price it has below."""

    prices: Prices


class Adjustment(Scope, frozen=True, kw_only=True):
    """A factor on list prices: below 1 a discount, above 1 a premium."""

    factor: Decimal


class Fee(Scope, frozen=True, kw_only=True):
    """What one use of a tool that the provider runs costs, in USD."""

    tool: str
    usd_per_use: Decimal


class OfResource(Dated, frozen=True, kw_only=True):
    """An entry for one deployment, inference profile or provisioned throughput, by the name or ARN that calls give."""

    provider: str
    resource_id: str

    def is_for(self, provider: str, names: frozenset[str]) -> bool:
        """Whether the entry is for one of these names, in lower case, at a provider in the table's own name."""
        return self.resource_id.lower() in names and provider_id(self.provider) == provider


class Resource(OfResource, frozen=True, kw_only=True):
    """The model behind a resource."""

    model: str


class Commitment(OfResource, frozen=True, kw_only=True):
    """Capacity that is paid by the hour whether or not it is used; its calls are never also priced per token.

    Provider and resource stand as the file has them. `usd_per_hour` is for all of the capacity; `tokens_per_minute` is
    how much that is, where it is known.
    """

    usd_per_hour: Decimal
    model: str = ""
    tokens_per_minute: int | None = None


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """All entries of one overlay file, and the file's name."""

    source: str
    rows: tuple[PriceRow, ...] = ()
    discounts: tuple[Adjustment, ...] = ()
    premiums: tuple[Adjustment, ...] = ()
    fees: tuple[Fee, ...] = ()
    resources: tuple[Resource, ...] = ()
    commitments: tuple[Commitment, ...] = ()

    def entries(self) -> tuple[Dated, ...]:
        """Every entry, whatever it says."""
        return (*self.rows, *self.discounts, *self.premiums, *self.fees, *self.resources, *self.commitments)

    def ref(self, entry: Dated) -> str:
        """Where an entry stands, for `price_ref`: file, name and the day or time it holds from."""
        start = entry.valid_from
        midnight = not (start.hour or start.minute or start.second or start.microsecond)
        return f"{self.source}#{entry.name} {start:%Y-%m-%d}" + ("" if midnight else f"T{start:%H:%M:%S}Z")
