"""What is allowed in an overlay and still looks like a slip."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from tollmeter.pricing.book import PriceBook
from tollmeter.pricing.names import ALIASES, provider_id
from tollmeter.pricing.overlay import Overlay, Scope


class Finding(NamedTuple):
    """Something a person should look at: where it stands, and what is odd about it."""

    where: str
    what: str


def check_overlay(book: PriceBook) -> Iterator[Finding]:
    """What looks like a slip in the overlay of a book: providers nobody knows, entries that can never count.

    An overlay that is not allowed at all cannot be opened; `open_book` says why.
    """
    overlay = book.overlay
    if overlay is None:
        return
    yield from _unknown_providers(book, overlay)
    yield from _nothing_to_adjust(book, overlay)
    yield from _unpriced_resources(book, overlay)


def _unknown_providers(book: PriceBook, overlay: Overlay) -> Iterator[Finding]:
    known = [*book.providers, *ALIASES]
    for entry in overlay.entries():
        name = str(getattr(entry, "provider", ""))
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        if provider_id(name) not in book.providers and near:
            yield Finding(overlay.ref(entry), f"no provider is named {name!r}; is {near[0]} meant?")


def _nothing_to_adjust(book: PriceBook, overlay: Overlay) -> Iterator[Finding]:
    priced = {row.provider for row in overlay.rows}
    scopes: tuple[Scope, ...] = (*overlay.discounts, *overlay.premiums, *overlay.fees)
    for entry in scopes:
        if entry.provider not in book.providers and entry.provider not in priced:
            yield Finding(overlay.ref(entry), f"provider {entry.provider!r} has no prices to adjust")
        elif entry.model and not entry.model.endswith("*") and not _is_priced(book, entry):
            yield Finding(overlay.ref(entry), f"{entry.provider} has no price for a model {entry.model!r}")


def _unpriced_resources(book: PriceBook, overlay: Overlay) -> Iterator[Finding]:
    for entry in overlay.resources:
        if book.quote(entry.provider, entry.resource_id, at=entry.valid_from) is None:
            yield Finding(
                overlay.ref(entry), f"{entry.provider} has no price for the model {entry.model!r} it stands for"
            )


def _is_priced(book: PriceBook, entry: Scope) -> bool:
    return book.quote(entry.provider, entry.model, at=entry.valid_from) is not None
