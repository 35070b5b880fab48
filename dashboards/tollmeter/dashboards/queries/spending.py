"""What each value of a dimension spent on each model in a span, with tokens and cost by class."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tollmeter.dashboards.queries.plan import Plan, conditions, plan_sums
from tollmeter.dashboards.statistics.decomposition import Cell

if TYPE_CHECKING:
    from tollmeter.dashboards.access import Viewer
    from tollmeter.dashboards.lake import Lake
    from tollmeter.dashboards.selection import Filters
    from tollmeter.dashboards.window import Window

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Spending:
    """The cells of a period, and its calls with and without a known cost."""

    cells: tuple[Cell, ...] = ()
    calls: int = 0
    unpriced_calls: int = 0


def spending(lake: Lake, viewer: Viewer, span: Window, by: str, filters: Filters) -> Spending:
    """What was spent in a span by a dimension (empty for none) and model.

    Raises:
        QueryError: the lake could not answer.
    """
    asked = {name for name, values in filters if values} | ({by} if by else set())
    plan = plan_sums(span, "all", asked, viewer)
    if plan.source == "sessions":  # has no parts of the cost
        plan = Plan("rows", span.end, span.end)
    given = plan.parameters(span, "all")
    for name in ("bucket", "zone", "hours_begin"):
        del given[name]
    given["by"] = by or "none"
    rows = lake.rows(viewer, "spend_cells", **given, **conditions(filters))
    return Spending(
        tuple(_cell(row) for row in rows),
        sum(row["calls"] for row in rows),
        sum(row["unpriced_calls"] for row in rows),
    )


def _cell(row: dict[str, Any]) -> Cell:
    read, written = row["cache_read_tokens"], row["cache_write_tokens"]
    return Cell(
        entity=row["name"],
        model=row["model"],
        calls=row["calls"] - row["unpriced_calls"],
        # Usage that contradicts itself may have more cached tokens than tokens.
        plain_tokens=max(row["input_tokens"] - read - written, 0),
        read_tokens=read,
        write_tokens=written,
        output_tokens=row["output_tokens"],
        plain_cost=row["input_cost_usd"] or _ZERO,
        read_cost=row["cache_read_cost_usd"] or _ZERO,
        write_cost=row["cache_write_cost_usd"] or _ZERO,
        output_cost=row["output_cost_usd"] or _ZERO,
        fees=row["fees_usd"] or _ZERO,
        cost=row["cost_usd"] or _ZERO,
    )
