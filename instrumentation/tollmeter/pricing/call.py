"""The price of one call as it was recorded: which of its names is priced, and what its ending does to the cost.

Who records a call and who prices it again later both ask here, so that the two can never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs
from msgspec.structs import astuple

from tollmeter.model.names import (
    COST_PARTIAL,
    COST_PRICED,
    COST_UNPRICED,
    PROVIDER_BEDROCK,
    STATUS_PARTIAL,
    USAGE_MISSING,
)
from tollmeter.pricing.cost import UNPRICED, Cost, usd_each
from tollmeter.pricing.usage import Usage

if TYPE_CHECKING:
    from tollmeter.pricing.book import PriceBook

USAGE_COLUMNS: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "input_image_tokens", "output_image_tokens",
    "server_tool_calls",
)  # fmt: skip
"""Columns of a call that hold its usage; `usage_source` is the other field of `Usage`."""

AMOUNT_COLUMNS: Final = (
    "cost_usd", "input_cost_usd", "output_cost_usd", "cache_read_cost_usd", "cache_write_cost_usd", "fees_usd",
    "cache_savings_usd",
)  # fmt: skip
"""Columns of a call that hold amounts in USD."""

COST_COLUMNS: Final = (*AMOUNT_COLUMNS, "cost_status", "price_ref")
"""All columns of a call that follow from its price."""

_RELEASE: Final = re.compile(r" \d\S*(?= \S+/\S)")  # of the table: "genai-prices 0.2.3 openai/o3"


def price_call(
    book: PriceBook,
    usage: Usage | None,
    *,
    provider: str,
    request_model: str,
    response_model: str,
    at: datetime,
    status: str,
    service_tier: str = "",
    resource_id: str = "",
    region: str = "",
    cache_hit: bool = False,
) -> Cost:
    """What a call costs; arguments are named as its columns, but for `region`, which is its `inference_region`.

    The model that answered is priced, the one asked for where that has no price; at Bedrock the other way round, for
    the name asked for says the region and profile that set the price. An abandoned call is `partial`. An answer from
    the service's own cache costs nothing, and saves what the call would have cost.

    >>> from tollmeter.pricing.book import default_book
    >>> names = {"provider": "openai", "request_model": "gpt-4o", "response_model": "", "at": datetime(2026, 1, 1)}
    >>> price_call(default_book(), Usage(input_tokens=1000, output_tokens=0), status="partial", **names).status
    'partial'
    """
    cost = UNPRICED
    if usage is not None and usage.source != USAGE_MISSING:
        first, second = response_model, request_model
        if provider == PROVIDER_BEDROCK:
            first, second = second, first
        resource = resource_id or request_model  # a deployment is often named where the model belongs
        cost = book.price(
            provider, first or second, usage, at=at, service_tier=service_tier, resource_id=resource, region=region
        )
        if cost.status == COST_UNPRICED and first and second and second != first:
            cost = book.price(
                provider, second, usage, at=at, service_tier=service_tier, resource_id=resource, region=region
            )
    if cache_hit:
        return cost.saved()
    if status == STATUS_PARTIAL and cost.status == COST_PRICED:
        return structs.replace(cost, status=COST_PARTIAL)
    return cost


def cost_columns(cost: Cost) -> dict[str, Any]:
    """A cost as the columns of a call.

    >>> cost_columns(UNPRICED)["cost_status"]
    'unpriced'
    """
    status, price_ref, *picousd = astuple(cost)
    return {"cost_status": status, "price_ref": price_ref, **dict(zip(AMOUNT_COLUMNS, usd_each(picousd), strict=True))}


def known_columns(cost: Cost) -> dict[str, Any]:
    """As `cost_columns`, without what a line leaves out: amounts that are not known, and that there is no price.

    >>> known_columns(UNPRICED)
    {}
    """
    columns: dict[str, Any] = {}
    if cost.status != COST_UNPRICED:
        columns["cost_status"] = cost.status
    if cost.price_ref:
        columns["price_ref"] = cost.price_ref
    if cost.total_picousd is not None:
        amounts = zip(AMOUNT_COLUMNS, usd_each(astuple(cost)[2:]), strict=True)
        columns.update(amounts if cost.cache_savings_picousd is not None else _known(amounts))
    return columns


def _known(amounts: Iterable[tuple[str, Decimal | None]]) -> list[tuple[str, Decimal]]:
    return [(name, amount) for name, amount in amounts if amount is not None]


def is_same_row(price_ref: str, other: str) -> bool:
    """Whether two references name the same row of the price book, whatever the release of the table it stood in.

    >>> is_same_row("genai-prices 0.2.3 openai/o3 2025-06-10", "genai-prices 0.3.0 openai/o3 2025-06-10")
    True
    >>> is_same_row("genai-prices 0.2.3 openai/o3 2025-06-10", "genai-prices 0.2.3 openai/o3")
    False
    """
    return price_ref == other or _RELEASE.sub("", price_ref) == _RELEASE.sub("", other)
