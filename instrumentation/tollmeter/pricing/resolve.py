"""Which prices hold for a call: those of the table, and of the overlays laid over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Generic, NamedTuple, TypeVar

from tollmeter.pricing.catalog import Catalog
from tollmeter.pricing.cost import EXACT
from tollmeter.pricing.listing import Listed, changes, list_prices
from tollmeter.pricing.names import provider_id
from tollmeter.pricing.overlay import Adjustment, Commitment, Dated, Overlay, PriceRow, Resource, Scope
from tollmeter.pricing.quote import Price, Prices, Quote, ToolFee
from tollmeter.pricing.scope import Asked, Call
from tollmeter.pricing.units import FEES, UNITS

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_D = TypeVar("_D", bound=Dated)
_S = TypeVar("_S", bound=Scope)
_R = TypeVar("_R", Resource, Commitment)


class Taken(NamedTuple, Generic[_D]):
    """An entry that holds for a call, and where it stands."""

    entry: _D
    ref: str


class Resolver:
    """Resolves calls to prices.

    Args:
        catalog: the price table.
        overlays: what is laid over it; of entries of one kind those of the first overlay that has any for a call win.
    """

    def __init__(self, catalog: Catalog, overlays: tuple[Overlay, ...]) -> None:
        self._catalog = catalog
        self._overlays = overlays
        self._moments = {
            moment
            for overlay in overlays
            for entry in overlay.entries()
            for moment in (entry.valid_from, entry.valid_until)
            if moment is not None
        }

    def resolve(self, asked: Asked, at: datetime) -> Quote | None:
        """The prices of a call made at a time (with a zone), or None where nobody knows one."""
        if committed := self._by_resource(asked, at, lambda overlay: overlay.commitments):
            return Quote(f"{committed.ref} commitment", {}, committed=True, rows=(committed.ref,))
        mapped = self._by_resource(asked, at, lambda overlay: overlay.resources)
        if mapped is None:
            return self._price(Call(self._catalog, asked, at))
        found = self._price(Call(self._catalog, asked._replace(model=mapped.entry.model), at))
        if found is None:
            return None
        return found._replace(ref=f"{found.ref}; model {mapped.ref}", rows=(*found.rows, mapped.ref))

    def interval(self, asked: Asked, at: datetime) -> tuple[datetime, datetime]:
        """A span of time around a moment, its end excluded, in which the prices of a call do not change."""
        moments = {*self._moments, _FIRST, _LAST}
        provider, names = provider_id(asked.provider), asked.resources()
        mapped = (each for overlay in self._overlays for each in overlay.resources if each.is_for(provider, names))
        for name in (asked.model, *(resource.model for resource in mapped)):
            if found := self._catalog.find(asked.provider, name):
                moments.update(changes(found, at))
        start = max(moment for moment in moments if moment <= at)
        return start, min((moment for moment in moments if moment > at), default=_LAST)

    def _by_resource(self, asked: Asked, at: datetime, entries: Callable[[Overlay], Iterable[_R]]) -> Taken[_R] | None:
        provider, names = provider_id(asked.provider), asked.resources()
        for overlay in self._overlays:
            holding = [each for each in entries(overlay) if each.is_for(provider, names) and each.holds(at)]
            if holding:
                newest = max(holding, key=lambda each: each.valid_from)
                return Taken(newest, overlay.ref(newest))
        return None

    def _best(self, call: Call, entries: Callable[[Overlay], Iterable[_S]], tier: str = "") -> Taken[_S] | None:
        for overlay in self._overlays:
            if found := call.best(entries(overlay), tier):
                return Taken(found, overlay.ref(found))
        return None

    def _price(self, call: Call) -> Quote | None:
        for_tier = self._best(call, _adjustments, call.tier) if call.tier else None
        found = call.found
        listed = list_prices(self._catalog.source, found, call.at, "" if for_tier else call.tier) if found else None
        row = self._best(call, _rows, call.tier)
        if row is None and call.tier and not (listed and listed.served and not for_tier):
            row = self._best(call, _rows)
        if row is None and listed is None:
            return None
        laid = _Laid(listed, row)
        if premium := self._best(call, lambda overlay: overlay.premiums):
            laid.add_premium(premium)
        if discount := self._best(call, lambda overlay: overlay.discounts):
            laid.take_discount(discount)
        exact = not call.tier or (row.entry.service_tier == call.tier if row else bool(listed and listed.served))
        if for_tier and not (row and row.entry.service_tier):
            laid.set_tier(for_tier, call.tier)
            exact = True
        ref = laid.ref() + ("" if exact else " standard")
        free = bool(listed and listed.free)
        return Quote(ref, laid.prices(), self._fees(call), approximate=not exact, free=free, rows=tuple(laid.rows))

    def _fees(self, call: Call) -> dict[str, ToolFee]:
        fees: dict[str, ToolFee] = {}
        for overlay in self._overlays:
            for tool in {fee.tool for fee in overlay.fees} - fees.keys():
                if found := call.best([fee for fee in overlay.fees if fee.tool == tool], ""):
                    fees[tool] = ToolFee(found.usd_per_use, overlay.ref(found))
        return fees


class _Laid:
    """Prices of an overlay's row laid over list prices."""

    def __init__(self, listed: Listed | None, row: Taken[PriceRow] | None) -> None:
        self._own = dict(row.entry.prices) if row else {}
        self._below = {key: price for key, price in listed.prices.items() if key not in self._own} if listed else {}
        self._regional = bool(row and row.entry.region)
        stands = [row.ref] if row else []
        if listed and (self._below or not row):
            stands.append(listed.ref)
        self._refs = [" over ".join(stands)]
        self.rows = stands

    def add_premium(self, premium: Taken[Adjustment]) -> None:
        """Raise the price of tokens, but those of a row that is for the region itself."""
        self._below = _scaled(self._below, premium.entry.factor, fees=False)
        if not self._regional:
            self._own = _scaled(self._own, premium.entry.factor, fees=False)
        self._add("premium", premium.ref)

    def take_discount(self, discount: Taken[Adjustment]) -> None:
        """Lower list prices; what a row states is agreed already."""
        if self._below:
            self._below = _scaled(self._below, discount.entry.factor, fees=True)
            self._add("discount", discount.ref)

    def set_tier(self, adjustment: Taken[Adjustment], tier: str) -> None:
        """Make the standard price of tokens that of a tier."""
        self._below = _scaled(self._below, adjustment.entry.factor, fees=False)
        self._own = _scaled(self._own, adjustment.entry.factor, fees=False)
        self._add(tier, adjustment.ref)

    def prices(self) -> Prices:
        """All prices."""
        return self._below | self._own

    def ref(self) -> str:
        """Where they come from."""
        return "; ".join(self._refs)

    def _add(self, kind: str, ref: str) -> None:
        self._refs.append(f"{kind} {ref}")
        self.rows.append(ref)


def _rows(overlay: Overlay) -> tuple[PriceRow, ...]:
    return overlay.rows


def _adjustments(overlay: Overlay) -> tuple[Adjustment, ...]:
    return (*overlay.discounts, *overlay.premiums)


def _scaled(prices: Prices, factor: Decimal, *, fees: bool) -> Prices:
    return {
        key: _times(price, factor) if fees or UNITS[key].part != FEES else price
        for key, price in prices.items()
        if key in UNITS
    } | {key: price for key, price in prices.items() if key not in UNITS}


def _times(price: Price, factor: Decimal) -> Price:
    if isinstance(price, str):
        return f"{EXACT.multiply(Decimal(price), factor).normalize(EXACT):f}"
    return [_times(price[0], factor), *([start, _times(step, factor)] for start, step in price[1:])]
