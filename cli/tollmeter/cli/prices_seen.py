"""What `tollmeter prices check` says of the models in the lake: what is wrong with their prices, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tollmeter.model.home import Home
from tollmeter.pricing.check import Finding

if TYPE_CHECKING:
    from tollmeter.etl.repricing import ModelSeen
    from tollmeter.pricing.book import PriceBook


def models_in_lake(home: Home, book: PriceBook, since: str) -> list[ModelSeen]:
    """The models that the lake of a home has calls of; none where there is no lake.

    Raises:
        SettingError: `since` is no day.
    """
    from tollmeter.sql.catalog import has_lake

    if not has_lake(home):
        return []
    from tollmeter.etl.repricing import models_seen
    from tollmeter.sql.parameters import Parameter

    day = Parameter("since", "date", None, "").parse(since, datetime.now(UTC))
    assert isinstance(day, date)
    return models_seen(home, book, day)


def findings_of(seen: ModelSeen) -> Iterator[Finding]:
    """What needs doing for one model, and how."""
    where = " ".join(filter(None, (seen.provider or "(no provider)", seen.model or "(no model)", seen.service_tier)))
    if seen.unpriced_calls:
        yield Finding(where, f"{_calls(seen.unpriced_calls, seen)} have no price; {_stanza(seen)}")
    if seen.fallback_calls:
        yield Finding(
            where, f"{_calls(seen.fallback_calls, seen)} are priced as standard, and marked estimated; {_stanza(seen)}"
        )
    if seen.stale_calls:
        difference = f"{seen.document()['difference_usd']:+f} USD"
        yield Finding(
            where,
            f"{_calls(seen.stale_calls, seen)} are priced otherwise today, {difference}; "
            f"run tollmeter etl reprice --since {seen.stale_since} --dry-run",
        )


def _calls(count: int, seen: ModelSeen) -> str:
    return f"{count:,} of {seen.calls:,} calls from {seen.first_seen:%Y-%m-%d} to {seen.last_seen:%Y-%m-%d}"


def _stanza(seen: ModelSeen) -> str:
    if not (seen.provider and seen.model):
        return "no price can be given to what has no name: see how the calls are recorded"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{seen.model} {seen.service_tier}".strip()).strip("-._")[:64]
    tier = f", service_tier: {seen.service_tier}" if seen.service_tier else ""
    return (
        f'add to the overlay, below prices: - {{name: {name}, provider: {seen.provider}, model: "{seen.model}"{tier}, '
        f"valid_from: {seen.first_seen:%Y-%m-%d}, prices: {{input_mtok: …, output_mtok: …}}}}"
    )
