"""The price book: what a call costs, by provider, model, time, served tier, resource and region."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tollmeter.pricing.catalog import Catalog, Found
from tollmeter.pricing.cost import INCONSISTENT, UNPRICED, Cost
from tollmeter.pricing.overlay import Commitment, Overlay
from tollmeter.pricing.overlay_file import read_overlay
from tollmeter.pricing.quote import Quote
from tollmeter.pricing.rates import Rates, compile_rates
from tollmeter.pricing.resolve import Resolver
from tollmeter.pricing.scope import Asked
from tollmeter.pricing.table import Provider, Table, read_table
from tollmeter.pricing.usage import Usage

if TYPE_CHECKING:
    from tollmeter.pricing.explain import Reason

SUPPLEMENT_PATH: Final = Path(__file__).with_name("supplement.json")
_CACHE_SIZE: Final = 4096
_Key = tuple[str, str, str, str, str]  # the fields of Asked


class PriceBook:
    """Looks prices up in one table and the overlay laid over it; what was found and what was missed is remembered.

    Args:
        table: the table, as `read_table` gives it.
        overlay: what is laid over it, as `read_overlay` gives it.
        supplement: what the table lacks and everybody pays; it lies below the overlay.
        unread: name of an overlay that should be there and could not be read: every cost is then an estimate, because
            list prices may stand in for negotiated ones.
    """

    def __init__(
        self, table: Table, overlay: Overlay | None = None, *, supplement: Overlay | None = None, unread: str = ""
    ) -> None:
        self.catalog = Catalog(table)
        self.source = self.catalog.source
        self.overlay = overlay
        self.commitments: tuple[Commitment, ...] = overlay.commitments if overlay else ()
        self._unread = unread
        self._overlays = tuple(each for each in (overlay, supplement) if each is not None)
        self._resolver = Resolver(self.catalog, self._overlays)
        self._known: dict[_Key, tuple[datetime, datetime, Rates | None]] = {}

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
        key = (provider, model, service_tier, resource_id, region)
        known = self._known.get(key)
        try:  # as `_rates` would, without its frame
            rates = known[2] if known is not None and known[0] <= at < known[1] else self._rates(key, at)
        except TypeError:
            rates = self._rates(key, at)
        if rates is not None:
            return rates.cost(usage)
        return UNPRICED if usage.is_consistent() else INCONSISTENT

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
        return self._rates((provider, model, service_tier, resource_id, region), at)

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
        return self._quote(Asked(provider, model, service_tier, resource_id, region), moment)

    def explain(
        self,
        provider: str,
        model: str,
        *,
        at: datetime,
        service_tier: str = "",
        resource_id: str = "",
        region: str = "",
    ) -> list[Reason]:
        """Every row that has to do with a call, and why it counts or does not; empty where nobody knows a price."""
        from tollmeter.pricing.explain import explain

        moment = at if at.tzinfo else at.replace(tzinfo=UTC)
        asked = Asked(provider, model, service_tier, resource_id, region)
        quote = self._quote(asked, moment)
        return explain(self.catalog, self._overlays, asked, moment, quote) if quote else []

    def find(self, provider: str, model: str) -> Found | None:
        """The model of the table that a name means, whatever the overlay says."""
        return self.catalog.find(provider, model)

    def provider(self, name: str) -> Provider | None:
        """The provider that an OpenTelemetry name, or a name of the table, means."""
        return self.catalog.provider(name)

    def _rates(self, key: _Key, at: datetime) -> Rates | None:
        known = self._known.get(key)
        try:
            if known is not None and known[0] <= at < known[1]:
                return known[2]
        except TypeError:  # a naive time, which cannot be compared; testing for it each time would cost a tenth
            return self._rates(key, at.replace(tzinfo=UTC))
        return self._learn(Asked(*key), at if at.tzinfo else at.replace(tzinfo=UTC))

    def _learn(self, asked: Asked, at: datetime) -> Rates | None:
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        quote = self._quote(asked, at)
        rates = compile_rates(quote) if quote else None
        self._known[asked] = (*self._resolver.interval(asked, at), rates)
        return rates

    def _quote(self, asked: Asked, at: datetime) -> Quote | None:
        found = self._resolver.resolve(asked, at)
        if found and self._unread:
            return found._replace(ref=f"{found.ref}; {self._unread} unread", approximate=True)
        return found


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
    return PriceBook(_table(), read_overlay(path), supplement=_supplement())


@cache
def _table() -> Table:
    return read_table()


@cache
def _supplement() -> Overlay:
    return read_overlay(SUPPLEMENT_PATH)


@cache
def default_book() -> PriceBook:
    """The price book over the table that ships with Tollmeter, read on first use (a few milliseconds)."""
    return PriceBook(_table(), supplement=_supplement())


def doubtful_book(unread: str) -> PriceBook:
    """The shipped book where an overlay is set but could not be read: every cost it gives is marked `estimated`."""
    return PriceBook(_table(), supplement=_supplement(), unread=unread)


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
