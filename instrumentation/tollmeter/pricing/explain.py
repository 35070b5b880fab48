"""Why a call costs what it costs: which rows were there, which was taken, and what beat the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from tollmeter.pricing.catalog import Catalog, Found
from tollmeter.pricing.cost import EXACT
from tollmeter.pricing.listing import list_prices
from tollmeter.pricing.match import exact_names
from tollmeter.pricing.names import model_name, provider_id, split_geography
from tollmeter.pricing.overlay import Dated, OfResource, Overlay, PriceRow, Scope
from tollmeter.pricing.quote import Quote, split_price
from tollmeter.pricing.scope import Asked, Call

_HUNDREDTH: Final = Decimal("0.01")
Layer = Literal["commitment", "resource", "price", "discount", "premium", "fee", "list price"]


class Reason(NamedTuple):
    """One row that was looked at: its kind, where it stands, and why it counts or does not."""

    layer: Layer
    ref: str
    taken: bool
    why: str


def explain(catalog: Catalog, overlays: Iterable[Overlay], asked: Asked, at: datetime, quote: Quote) -> list[Reason]:
    """Every row that has to do with a call, the most telling first; `quote` is what the call was quoted."""
    reasons = [reason for overlay in overlays for reason in _of_overlay(catalog, overlay, asked, at, quote)]
    call = Call(catalog, _mapped(overlays, asked, at), at)
    if call.found is not None:
        reasons.append(_of_table(catalog, call, quote))
    return reasons


def _mapped(overlays: Iterable[Overlay], asked: Asked, at: datetime) -> Asked:
    provider, names = provider_id(asked.provider), asked.resources()
    for overlay in overlays:
        holding = [each for each in overlay.resources if each.is_for(provider, names) and each.holds(at)]
        if holding:
            return asked._replace(model=max(holding, key=lambda each: each.valid_from).model)
    return asked


def _of_overlay(catalog: Catalog, overlay: Overlay, asked: Asked, at: datetime, quote: Quote) -> Iterator[Reason]:
    call = Call(catalog, _mapped((overlay,), asked, at), at)
    layers: tuple[tuple[Layer, tuple[Dated, ...]], ...] = (
        ("commitment", overlay.commitments),
        ("resource", overlay.resources),
        ("price", overlay.rows),
        ("discount", overlay.discounts),
        ("premium", overlay.premiums),
        ("fee", overlay.fees),
    )
    for layer, entries in layers:
        for entry in entries:
            if _concerns(entry, call, asked):
                ref = overlay.ref(entry)
                taken = ref in quote.rows or any(fee.ref == ref for fee in quote.fees.values())
                why = _says(entry) if taken else _why_not(entry, call, at)
                yield Reason(layer, ref, taken, why + (f" ({entry.note})" if entry.note else ""))


def _concerns(entry: Dated, call: Call, asked: Asked) -> bool:
    if isinstance(entry, OfResource):
        return entry.is_for(call.provider, asked.resources())
    return isinstance(entry, Scope) and call.covers(entry)


def _says(entry: Dated) -> str:
    if isinstance(entry, PriceRow):
        return "sets " + ", ".join(sorted(entry.prices))
    return {
        "Commitment": "paid by the hour, so never also per token",
        "Resource": f"stands for {getattr(entry, 'model', '')}",
        "Adjustment": f"times {getattr(entry, 'factor', '')}",
        "Fee": f"{getattr(entry, 'usd_per_use', '')} USD per use of {getattr(entry, 'tool', '')}",
    }[type(entry).__name__]


def _why_not(entry: Dated, call: Call, at: datetime) -> str:
    if at < entry.valid_from:
        return f"holds only from {entry.valid_from:%Y-%m-%d} on"
    if not entry.holds(at):
        return f"ended {entry.valid_until:%Y-%m-%d}"
    if isinstance(entry, Scope) and entry.service_tier not in ("", call.tier):
        return f"is for tier {entry.service_tier}"
    return "another is more exact or newer, or leaves it nothing to price"


def _of_table(catalog: Catalog, call: Call, quote: Quote) -> Reason:
    found = call.found
    assert found is not None
    listed = list_prices(catalog.source, found, call.at, call.tier)
    standard = list_prices(catalog.source, found, call.at, "")
    row = standard if standard.ref in quote.rows else listed
    taken = row.ref in quote.rows
    why = _how_found(catalog, found, call)
    if taken and quote.approximate and not listed.served:
        why += f"; has no price for tier {call.tier}, so the standard one"
    return Reason("list price", row.ref, taken, why + ("" if taken else "; the overlay beats it"))


def _how_found(catalog: Catalog, found: Found, call: Call) -> str:
    how = "by its exact name" if call.name in exact_names(found.model.match) else "by a rule for such names"
    if not found.own:
        how += f", under {found.provider}, whose models {call.provider} resells"
    return how + _geographic(catalog, found, call)


def _geographic(catalog: Catalog, found: Found, call: Call) -> str:
    """How much a regional endpoint or geography costs over the global one, where the table tells them apart."""
    geography, plain = split_geography(model_name(call.name))
    worldwide = catalog.find(call.provider, f"global.{plain}")
    if geography == "global" or worldwide is None or worldwide.model is found.model:
        return ""
    here, there = (_input_price(catalog, each, call.at) for each in (found, worldwide))
    if not here or not there:
        return ""
    percent = EXACT.multiply(EXACT.subtract(EXACT.divide(here, there), 1), 100).quantize(_HUNDREDTH).normalize()
    where = f"geography {geography}" if geography else "one region"
    return f"; {where}: {percent:+f} % on the global price"


def _input_price(catalog: Catalog, found: Found, at: datetime) -> Decimal | None:
    price = list_prices(catalog.source, found, at, "").prices.get("input_mtok")
    return Decimal(split_price(price)[0]) if price is not None else None
