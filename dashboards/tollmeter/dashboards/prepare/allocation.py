"""What has no price and what has no owner: shown, never hidden."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any, Final

from tollmeter.dashboards.dimensions import dimension
from tollmeter.dashboards.prepare import cells, formats
from tollmeter.dashboards.prepare.ratios import share
from tollmeter.dashboards.prepare.spending import Href
from tollmeter.dashboards.queries.cube import Figures, Sums

Row = dict[str, Any]

OWNERS: Final = ("tenant", "team", "feature", "user", "session", "prompt")
"""The dimensions that spend is to be allocated to."""


def unpriced_rows(answered: Sums, href: Href) -> list[Row]:
    """Models whose answered calls have no known cost, most calls first, each with the command that tells why."""
    found = [row for row in answered.rows if row.unpriced_calls]
    return [
        {
            "key": f"={row.name}",
            "name": row.name if row.name is not None else "other models",
            "href": href(row.name) if row.name is not None else "",
            "unpriced": row.unpriced_calls,
            "calls": row.calls,
            "share": share(row.unpriced_calls, row.calls),
            "hint": f"tollmeter prices lookup {quote(row.name)}" if row.name else "",
        }
        for row in sorted(found, key=lambda row: -row.unpriced_calls)
    ]


def unpriced_caption(whole: Figures, answered: Figures) -> str:
    """How many calls have no known cost, and how many of these answered."""
    failed = whole.unpriced_calls - answered.unpriced_calls
    return (
        f"{formats.count(answered.unpriced_calls)} answered calls have no price"
        f" · {formats.count(failed)} failed calls told no usage"
    )


def unallocated_rows(without: Mapping[str, Figures], whole: Figures, href: Mapping[str, str]) -> list[Row]:
    """For each dimension what calls cost that name no value of it."""
    return [
        {
            "key": name,
            "name": f"no {dimension(name).label.lower()}",
            "href": href[name],
            **cells.money("cost", found.cost_usd if found.calls else None, "nothing"),
            "share": share(found.cost_usd, whole.cost_usd) or 0.0,
            "calls": found.calls,
            "call_share": share(found.calls, whole.calls),
        }
        for name, found in without.items()
    ]
