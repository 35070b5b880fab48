"""Calls priced again from the columns they were recorded with, and those whose price is another now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tollmeter.etl.lake import connect, data_files
from tollmeter.model.names import COST_INCONSISTENT, TABLE_LLM_CALLS, USAGE_MISSING
from tollmeter.pricing import Usage
from tollmeter.pricing.call import AMOUNT_COLUMNS, USAGE_COLUMNS, is_same_row, price_call
from tollmeter.sql.lake_views import view_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from tollmeter.model.home import Home
    from tollmeter.pricing import Cost
    from tollmeter.pricing.book import PriceBook

BATCH_ROWS: Final = 50_000
"""Rows that are held as Python objects at a time."""

_TEXTS: Final = (
    "provider", "request_model", "response_model", "service_tier", "resource_id", "inference_region", "status",
)  # fmt: skip
_QUERY: Final = f"""
    SELECT event_id, "timestamp", usage_source,
        {", ".join(f"coalesce({name}, '')" for name in _TEXTS)},
        {", ".join(USAGE_COLUMNS)},
        {", ".join(f"CAST({name} * 1000000000000 AS BIGINT)" for name in AMOUNT_COLUMNS)}, cost_status, price_ref
    FROM llm_calls
    WHERE usage_source <> '{USAGE_MISSING}' AND cost_status <> '{COST_INCONSISTENT}'
        AND NOT coalesce(cache_hit, FALSE)
"""  # noqa: S608 - names are the registry's
_PLACES: Final = 3 + len(_TEXTS)
_amounts_of: Final = attrgetter(
    "total_picousd", "input_picousd", "output_picousd", "cache_read_picousd", "cache_write_picousd", "fees_picousd",
    "cache_savings_picousd",
)  # fmt: skip


class Difference(NamedTuple):
    """One call whose price is another now; the old cost is in units of 10^-12 USD, None where it was unknown."""

    event_id: str
    day: date
    provider: str
    model: str
    service_tier: str
    old_picousd: int | None
    old_status: str
    new: Cost


def differences(home: Home, calls: Table, day: date, book: PriceBook) -> Iterator[list[Difference]]:
    """The calls of a day that the book prices otherwise than they are priced, some ten thousand calls at a time.

    A call whose usage is missing or contradicts itself has nothing to be priced by, and is left as it is; so is an
    answer of the service's own cache, which consumed nothing.
    """
    files = data_files(calls, [day])
    if not files:
        return
    with connect(home) as connection:
        connection.execute(view_of(TABLE_LLM_CALLS, calls, files))
        for batch in connection.sql(_QUERY).to_arrow_reader(BATCH_ROWS):
            columns = [column.to_pylist() for column in batch.columns]
            rows = zip(*columns, strict=True)
            yield [found for row in rows if (found := _difference(row, day, book))]


def _difference(row: tuple[Any, ...], day: date, book: PriceBook) -> Difference | None:
    event_id, at, source, provider, asked, answered, tier, resource, region, status = row[:_PLACES]
    *amounts, cost_status, price_ref = row[_PLACES + len(USAGE_COLUMNS) :]
    new = price_call(
        book,
        _usage(row[_PLACES : _PLACES + len(USAGE_COLUMNS)], source),
        provider=provider,
        request_model=asked,
        response_model=answered,
        at=at,
        status=status,
        service_tier=tier,
        resource_id=resource,
        region=region,
    )
    if new.status == cost_status and _amounts_of(new) == tuple(amounts) and is_same_row(new.price_ref, price_ref or ""):
        return None
    return Difference(event_id, day, provider, answered or asked, tier, amounts[0], cost_status, new)


def _usage(counts: tuple[Any, ...], source: Any) -> Usage:
    *tokens, tools = counts
    named = dict(zip(USAGE_COLUMNS, tokens, strict=False))
    return Usage(**named, server_tool_calls=msgspec.json.decode(tools) if tools else {}, source=source)
