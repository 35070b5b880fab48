"""The price book: what a call costs, by provider, model, time, served tier, resource and region."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from tollmeter.model.names import USAGE_MISSING
from tollmeter.pricing.catalog import Catalog, Found
from tollmeter.pricing.cost import INCONSISTENT, UNPRICED, Cost
from tollmeter.pricing.overlay import Commitment, Overlay
from tollmeter.pricing.overlay_file import read_overlay
from tollmeter.pricing.rates import Quote, Rates, compile_rates
from tollmeter.pricing.resolve import Resolver
from tollmeter.pricing.scope import Asked
from tollmeter.pricing.table import Provider, Table, read_table
from tollmeter.pricing.usage import Usage

_CACHE_SIZE: Final = 4096


class _Known(NamedTuple):
    start: datetime
    end: datetime
    rates: Rates | None


class PriceBook:
    """Looks prices up in one table and the overlay laid over it; what was found and what was missed is remembered.

    Args:
        table: the table, as `read_table` gives it.
        overlay: what is laid over it, as `read_overlay` gives it.
        unread: name of an overlay that should be there and could not be read: every cost is then an estimate, because
            list prices may stand in for negotiated ones.
    """

    def __init__(self, table: Table, overlay: Overlay | None = None, *, unread: str = "") -> None:
        self.catalog = Catalog(table)
        self.source = self.catalog.source
        self.overlay = overlay
        self.commitments: tuple[Commitment, ...] = overlay.commitments if overlay else ()
        self._unread = unread
        self._resolver = Resolver(self.catalog, (overlay,) if overlay else ())
        self._known: dict[Asked, _Known] = {}

    @property
    def providers(self) -> dict[str, Provider]:
        """The table's providers, by its own names for them."""
        return self.catalog.providers

    def price(
        self,
        provider: str,
        model: str,
        usage: Usage,
        *,
        at: datetime,
        service_tier: str = "",
        resource_id: str = "",
        region: str = "",
    ) -> Cost:
        """The cost of one call; see `price`."""
        if not usage.is_consistent():
            return INCONSISTENT
        if usage.source == USAGE_MISSING:
            return UNPRICED
        rates = self.rates(provider, model, at=at, service_tier=service_tier, resource_id=resource_id, region=region)
        return rates.cost(usage) if rates else UNPRICED

    def rates(
        self,
        provider: str,
        model: str,
        *,
        at: datetime,
        service_tier: str = "",
        resource_id: str = "",
        region: str = "",
    ) -> Rates | None:
        """The rates that hold for a call made at a time (naive means UTC), or None where nobody knows a price."""
        asked = Asked(provider, model, service_tier, resource_id, region)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        known = self._known.get(asked)
        if known is None or not known.start <= at < known.end:
            known = self._learn(asked, at)
        return known.rates

    def quote(
        self,
        provider: str,
        model: str,
        *,
        at: datetime,
        service_tier: str = "",
        resource_id: str = "",
        region: str = "",
    ) -> Quote | None:
        """The prices behind `rates`, for people to read."""
        moment = at if at.tzinfo else at.replace(tzinfo=UTC)
        found = self._resolver.resolve(Asked(provider, model, service_tier, resource_id, region), moment)
        if found and self._unread:
            return found._replace(ref=f"{found.ref}; {self._unread} unread", approximate=True)
        return found

    def find(self, provider: str, model: str) -> Found | None:
        """The model of the table that a name means, whatever the overlay says."""
        return self.catalog.find(provider, model)

    def provider(self, name: str) -> Provider | None:
        """The provider that an OpenTelemetry name, or a name of the table, means."""
        return self.catalog.provider(name)

    def _learn(self, asked: Asked, at: datetime) -> _Known:
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        start, end = self._resolver.interval(asked, at)
        quote = self.quote(*asked[:2], at=at, **dict(zip(Asked._fields[2:], asked[2:], strict=True)))
        self._known[asked] = known = _Known(start, end, compile_rates(quote) if quote else None)
        return known


def open_book(overlay: str | Path | None = None) -> PriceBook:
    """The shipped price table with an overlay file laid over it; the same book for as long as the file is the same.

    Args:
        overlay: path of the overlay, YAML or JSON; None or an empty text means the shipped table alone.

    Raises:
        DefinitionError: the overlay says something that is not allowed; the message names file, line and value.
        MissingExtraError: it is YAML and PyYAML is not installed.
        OSError: it cannot be read.
    """
    if not overlay:
        return default_book()
    path = Path(overlay).expanduser().resolve()
    stat = path.stat()
    return _opened(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _opened(path: Path, _modified_ns: int, _size: int) -> PriceBook:
    return PriceBook(_shipped(), read_overlay(path))


@cache
def _shipped() -> Table:
    return read_table()


@cache
def default_book() -> PriceBook:
    """The price book over the table that ships with Tollmeter, read on first use (a few milliseconds)."""
    return PriceBook(_shipped())


def doubtful_book(unread: str) -> PriceBook:
    """The shipped book where an overlay is set but could not be read: every cost it gives is marked `estimated`."""
    return PriceBook(_shipped(), unread=unread)


def price(
    provider: str,
    model: str,
    usage: Usage,
    *,
    at: datetime,
    service_tier: str = "",
    resource_id: str = "",
    region: str = "",
) -> Cost:
    """What one call costs by the public price that was valid when it was made.

    Args:
        provider: its OpenTelemetry name, such as `openai`, `aws.bedrock` or `gcp.gemini`.
        model: the model that answered, by any name the price book knows.
        usage: what was consumed; inclusive counts.
        at: when the call was made; naive means UTC.
        service_tier: the tier that served it: `batch`, `flex`, `priority`, …; empty means the standard one. A tier the
            book has no price for is priced as standard, and marked `estimated`.
        resource_id: the deployment, inference profile or provisioned throughput it was sent to.
        region: region or geography of the inference.

    Returns:
        The cost; `unpriced` without an amount where provider, model or a class of tokens is not known, `inconsistent`
        where the usage contradicts itself.

    >>> usage = Usage(input_tokens=1000, cache_read_tokens=600, output_tokens=0)
    >>> price("openai", "gpt-4o", usage, at=datetime(2026, 1, 1)).cost_usd
    Decimal('0.001750000000')
    """
    return default_book().price(
        provider, model, usage, at=at, service_tier=service_tier, resource_id=resource_id, region=region
    )
