"""The price book: which row of the table prices a call, by provider, model, time and served tier."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from typing import Final, NamedTuple

from tollmeter.model.names import (
    PROVIDER_AZURE_OPENAI,
    PROVIDER_BEDROCK,
    PROVIDER_GEMINI,
    PROVIDER_VERTEX,
    USAGE_MISSING,
)
from tollmeter.pricing.cost import INCONSISTENT, UNPRICED, Cost
from tollmeter.pricing.match import exact_names, is_match
from tollmeter.pricing.rates import Prices, Rates, compile_rates
from tollmeter.pricing.table import Model, Provider, Row, Table, Variant, read_table
from tollmeter.pricing.usage import Usage

ALIASES: Final = {
    PROVIDER_BEDROCK: "aws",
    PROVIDER_AZURE_OPENAI: "azure",
    "azure.ai.inference": "azure",
    PROVIDER_GEMINI: "google",
    PROVIDER_VERTEX: "google",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""OpenTelemetry provider names beside those that the table itself uses.

Only whole names: the table's own rules for providers look for substrings, and would price a self-hosted
`openai_compatible` server as OpenAI.
"""

PLAIN_TIERS: Final = frozenset({"", "default", "standard", "auto", "on_demand"})
"""Served tiers that are priced by the standard row."""

_CONTEXT_KEYS: Final = frozenset({"service_tier", "processing", "speed"})
_CACHE_SIZE: Final = 4096
_COMPACT_DATE: Final = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Found(NamedTuple):
    """A model of the table, the provider it stands under, and whether that is the provider asked for."""

    provider: str
    model: Model
    own: bool


class Quote(NamedTuple):
    """The prices that hold for a model at a time and tier, as the table writes them, and where they come from."""

    ref: str
    prices: Prices
    approximate: bool


class PriceBook:
    """Looks prices up in one table; what was found and what was missed is remembered, within a bound.

    Args:
        table: the table, as `read_table` gives it.
    """

    def __init__(self, table: Table) -> None:
        self.source = f"{table.source} {table.version}"
        self.providers = {provider.id: provider for provider in table.providers}
        self._exact: dict[str, dict[str, Model]] = {}
        self._found: dict[tuple[str, str], Found | None] = {}
        self._compiled: dict[tuple[str, str, tuple[int, ...], str], Rates] = {}

    def price(self, provider: str, model: str, usage: Usage, *, at: datetime, service_tier: str = "") -> Cost:
        """The cost of one call; see `price`."""
        if not usage.is_consistent():
            return INCONSISTENT
        if usage.source == USAGE_MISSING:
            return UNPRICED
        rates = self.rates(provider, model, at=at, service_tier=service_tier)
        return rates.cost(usage) if rates else UNPRICED

    def rates(self, provider: str, model: str, *, at: datetime, service_tier: str = "") -> Rates | None:
        """The rates that hold for a call made at a time (naive means UTC), or None where the model is not known."""
        found = self.find(provider, model)
        if found is None:
            return None
        row, variants = _choice(found, at, service_tier)
        key = (found.provider, found.model.id, (row, *variants), service_tier)
        rates = self._compiled.get(key)
        if rates is None:
            if len(self._compiled) >= _CACHE_SIZE:
                self._compiled.clear()
            quote = self._quote(found, row, variants, service_tier)
            free = _is_free(found.model)
            rates = compile_rates(quote.prices, price_ref=quote.ref, free=free, approximate=quote.approximate)
            self._compiled[key] = rates
        return rates

    def quote(self, provider: str, model: str, *, at: datetime, service_tier: str = "") -> Quote | None:
        """The prices behind `rates`, for people to read."""
        found = self.find(provider, model)
        return self._quote(found, *_choice(found, at, service_tier), service_tier) if found else None

    def find(self, provider: str, model: str) -> Found | None:
        """The model that a name means at a provider, given by its OpenTelemetry name or the table's own."""
        key = (provider, model)
        if key in self._found:
            return self._found[key]
        if len(self._found) >= _CACHE_SIZE:
            self._found.clear()
        self._found[key] = found = self._search(provider, model.strip().lower())
        return found

    def provider(self, name: str) -> Provider | None:
        """The provider that an OpenTelemetry name, or a name of the table, means."""
        name = name.strip().lower()
        return self.providers.get(ALIASES.get(name, name))

    def _quote(self, found: Found, row: int, variants: tuple[int, ...], tier: str) -> Quote:
        model = found.model
        known = dict(model.rows[row].prices)
        for index in reversed(variants):  # the first variant wins
            known |= model.variants[index].prices
        ref = f"{self.source} {found.provider}/{model.id}{_validity(model.rows[row])}"
        served = "" if tier in PLAIN_TIERS else f" {tier}" if variants else " standard"
        return Quote(ref + served, known, approximate=tier not in PLAIN_TIERS and not variants)

    def _search(self, provider: str, model: str) -> Found | None:
        own = self.provider(provider)
        if own is None or not model:
            return None
        dashed = _COMPACT_DATE.sub(_dashed, model)
        for name in dict.fromkeys((model, dashed)):
            for candidate in (own, *(self.providers[other] for other in own.fallback if other in self.providers)):
                if hit := self._match(candidate, name):
                    return Found(candidate.id, hit, candidate is own)
        return None

    def _match(self, provider: Provider, name: str) -> Model | None:
        exact = self._exact.get(provider.id)
        if exact is None:
            exact = self._exact[provider.id] = _exact_index(provider.models)
        return exact.get(name) or next((model for model in provider.models if is_match(model.match, name)), None)


@cache
def default_book() -> PriceBook:
    """The price book over the table that ships with Tollmeter, read on first use (a few milliseconds)."""
    return PriceBook(read_table())


def price(provider: str, model: str, usage: Usage, *, at: datetime, service_tier: str = "") -> Cost:
    """What one call costs by the price that was valid when it was made.

    Args:
        provider: its OpenTelemetry name, such as `openai`, `aws.bedrock` or `gcp.gemini`.
        model: the model that answered, by any name the price book knows.
        usage: what was consumed; inclusive counts.
        at: when the call was made; naive means UTC.
        service_tier: the tier that served it: `batch`, `flex`, `priority`, …; empty means the standard one. A tier the
            book has no price for is priced as standard, and marked `estimated`.

    Returns:
        The cost; `unpriced` without an amount where provider, model or a class of tokens is not known, `inconsistent`
        where the usage contradicts itself.

    >>> usage = Usage(input_tokens=1000, cache_read_tokens=600, output_tokens=0)
    >>> price("openai", "gpt-4o", usage, at=datetime(2026, 1, 1)).cost_usd
    Decimal('0.001750000000')
    """
    return default_book().price(provider, model, usage, at=at, service_tier=service_tier)


def _exact_index(models: Iterable[Model]) -> dict[str, Model]:
    index: dict[str, Model] = {}
    for model in models:
        for name in exact_names(model.match):
            index.setdefault(name, model)
    return index


def _holds(row: Row, moment: datetime) -> bool:
    if row.since is not None:
        return moment.date() >= row.since
    if row.between is None:
        return True
    start, end = row.between
    now = moment.time()
    return start <= now < end if start <= end else now >= start or now < end


def _choice(found: Found, at: datetime, tier: str) -> tuple[int, tuple[int, ...]]:
    moment = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    rows = found.model.rows
    row = next((index for index in range(len(rows) - 1, 0, -1) if _holds(rows[index], moment)), 0)
    return row, _variants(found, moment, tier)


def _variants(found: Found, moment: datetime, tier: str) -> tuple[int, ...]:
    if tier in PLAIN_TIERS or not found.own:
        return ()
    variants = enumerate(found.model.variants)
    return tuple(index for index, variant in variants if _applies(variant, tier) and _holds(variant, moment))


def _applies(variant: Variant, tier: str) -> bool:
    return all(key in _CONTEXT_KEYS and value == tier for key, value in variant.when.items())


def _validity(row: Row) -> str:
    if row.since is not None:
        return f" {row.since.isoformat()}"
    if row.between is not None:
        return f" {row.between[0]:%H:%M}-{row.between[1]:%H:%M}Z"
    return ""


def _is_free(model: Model) -> bool:
    # In the table an empty row means "free" only where the name says so; elsewhere the price was never found out.
    return model.id.endswith(":free")


def _dashed(found: re.Match[str]) -> str:
    year, month, day = (int(part) for part in found.groups()[1:])
    try:
        date(year, month, day)
    except ValueError:
        return found.group(0)
    return f"-{year:04d}-{month:02d}-{day:02d}"
