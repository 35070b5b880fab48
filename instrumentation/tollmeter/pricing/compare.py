"""What differs between two price books, or one at two dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.catalog import Found
from tollmeter.pricing.listing import tiers_of
from tollmeter.pricing.match import Rule
from tollmeter.pricing.quote import Price, Prices

Asked = tuple[str, str, str]
"""Provider, model and tier."""


class Change(NamedTuple):
    """One model at one provider and tier (empty: standard) whose price is not the same: by class, old and new."""

    provider: str
    model: str
    service_tier: str
    kind: Literal["added", "removed", "changed"]
    prices: dict[str, tuple[Price | None, Price | None]]


def compare(old: PriceBook, new: PriceBook, old_at: datetime, new_at: datetime) -> Iterator[Change]:
    """The models whose price in one book at one time is not that in the other at the other, sorted by name."""
    before, after = _models(old), _models(new)
    for provider, model, tier in sorted(before.keys() | after.keys()):
        was = _priced(old, before.get((provider, model, tier)), old_at)
        now = _priced(new, after.get((provider, model, tier)), new_at)
        differing = {key: (was.get(key), now.get(key)) for key in sorted(was.keys() | now.keys())}
        differing = {key: pair for key, pair in differing.items() if pair[0] != pair[1]}
        if differing:
            kind: Literal["added", "removed", "changed"] = "changed"
            if not was or not now:
                kind = "added" if now else "removed"
            yield Change(provider, model, tier, kind, differing)


def _models(book: PriceBook) -> dict[Asked, Asked]:
    """What can be asked of a book: a model by the id that stands for it, and by a name that finds it."""
    found: dict[Asked, Asked] = {}
    for provider in book.providers.values():
        for model in provider.models:
            tiers = tiers_of(Found(provider.id, model, own=True))
            names = [name for name in (model.id, *_literals(model.match)) if _finds(book, provider.id, name, model.id)]
            for tier in ("", *tiers) if names else ():
                found[provider.id, model.id, tier] = (provider.id, names[0], tier)
    for row in book.overlay.rows if book.overlay else ():
        known = book.find(row.provider, row.model)
        name = known.model.id if known and known.own else row.model
        found.setdefault((row.provider, name, row.service_tier), (row.provider, row.model, row.service_tier))
    return found


def _finds(book: PriceBook, provider: str, name: str, model: str) -> bool:
    found = book.find(provider, name)
    return found is not None and found.own and found.model.id == model


def _literals(rule: Rule) -> Iterator[str]:
    kind, *operands = rule
    for operand in operands:
        if kind in ("or", "and"):
            yield from _literals(operand)
        elif kind != "regex":
            yield operand


def _priced(book: PriceBook, asked: Asked | None, at: datetime) -> Prices:
    if asked is None:
        return {}
    provider, model, tier = asked
    quote = book.quote(provider, model, at=at, service_tier=tier)
    if quote is None or (quote.approximate and tier):
        return {}
    return quote.prices
