"""Models seen in the lake whose calls have no price, a stand-in's, or another than the price book gives now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollmeter.etl.lake import connect, data_files, days_of, existing_tables
from tollmeter.etl.repricing.differences import Difference, differences
from tollmeter.model.names import (
    COST_ESTIMATED,
    COST_UNPRICED,
    TABLE_LLM_CALLS,
    USAGE_MISSING,
    USAGE_REPORTED,
)
from tollmeter.pricing.cost import usd
from tollmeter.sql.lake_views import view_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home
    from tollmeter.pricing.book import PriceBook

Key = tuple[str, str, str]

# The reference of a price says "standard" where a tier was served that the book has no price for.
_SEEN: Final = f"""
    SELECT coalesce(provider, '') AS provider, coalesce(nullif(response_model, ''), request_model, '') AS model,
        coalesce(service_tier, '') AS service_tier, count(*) AS calls,
        coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens,
        coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens,
        min("timestamp") AS first_seen, max("timestamp") AS last_seen,
        count(*) FILTER (cost_status = '{COST_UNPRICED}' AND usage_source <> '{USAGE_MISSING}') AS unpriced_calls,
        count(*) FILTER (cost_status = '{COST_ESTIMATED}' AND usage_source = '{USAGE_REPORTED}'
            AND regexp_matches(price_ref, ' standard(;|$)')) AS fallback_calls
    FROM llm_calls GROUP BY ALL
"""  # noqa: S608 - names are constants


class ModelSeen(msgspec.Struct, kw_only=True):
    """The calls of one provider, model and tier, and how many of them need a price.

    `unpriced_calls` told a usage and have no price today either, `fallback_calls` are priced as standard for want of a
    price of their tier, `stale_calls` are priced otherwise today, which would change their cost from `old` to `new`
    (10^-12 USD). Times are UTC without zone.
    """

    provider: str
    model: str
    service_tier: str
    calls: int
    input_tokens: int
    output_tokens: int
    first_seen: datetime
    last_seen: datetime
    unpriced_calls: int
    fallback_calls: int
    stale_calls: int = 0
    stale_since: date | None = None
    old_picousd: int = 0
    new_picousd: int = 0

    @property
    def is_finding(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.unpriced_calls or self.fallback_calls or self.stale_calls)

    def document(self) -> dict[str, Any]:
        """The fields for JSON, the difference in USD."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if not name.endswith("_picousd")}
        return own | {"difference_usd": usd(self.new_picousd - self.old_picousd)}

    def add(self, other: ModelSeen) -> None:
        """Count another day's calls."""
        for name in ("calls", "input_tokens", "output_tokens", "unpriced_calls", "fallback_calls"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)

    def add_stale(self, found: Difference) -> None:
        """Count a call that is priced otherwise today; whatever else was wrong with its price is mended by that."""
        self.stale_calls += 1
        self.stale_since = min(self.stale_since or found.day, found.day)
        self.old_picousd += found.old_picousd or 0
        self.new_picousd += found.new.total_picousd or 0
        self.unpriced_calls -= found.old_status == COST_UNPRICED != found.new.status
        was_fallback = found.old_status == COST_ESTIMATED and self.fallback_calls > 0
        self.fallback_calls -= was_fallback and found.new.status != COST_ESTIMATED


def models_seen(home: Home, book: PriceBook, since: date) -> list[ModelSeen]:
    """Every model that the lake has calls of, by provider, model and tier; reads only.

    Args:
        home: the home; one without a lake has seen no model.
        book: the price book of today.
        since: first day (UTC) of the calls that are looked at.

    Raises:
        MissingExtraError: the `etl` extra is not installed.
    """
    calls = existing_tables(home).get(TABLE_LLM_CALLS)
    seen: dict[Key, ModelSeen] = {}
    for day in days_of(calls) if calls else ():
        if calls and day >= since:
            _count(seen, _seen_on(home, calls, day))
            for found in differences(home, calls, day, book):
                for one in found:
                    seen[one.provider, one.model, one.service_tier].add_stale(one)
    return [seen[key] for key in sorted(seen)]


def _count(seen: dict[Key, ModelSeen], found: Iterable[ModelSeen]) -> None:
    for one in found:
        key = (one.provider, one.model, one.service_tier)
        if key in seen:
            seen[key].add(one)
        else:
            seen[key] = one


def _seen_on(home: Home, calls: Table, day: date) -> list[ModelSeen]:
    with connect(home) as connection:
        connection.execute(view_of(TABLE_LLM_CALLS, calls, data_files(calls, [day])))
        rows = connection.sql(_SEEN).to_arrow_table().to_pylist()
    return [ModelSeen(**row) for row in rows]
