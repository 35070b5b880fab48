"""How much of the input came from caches, and what that saved."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tollmeter.dashboards.dimensions import NOT_SET
from tollmeter.dashboards.prepare import cells, formats, units
from tollmeter.dashboards.prepare.charts import Chart, measured
from tollmeter.dashboards.prepare.ratios import share
from tollmeter.dashboards.prepare.spending import Href
from tollmeter.dashboards.prepare.units import Number
from tollmeter.dashboards.queries.cube import Sums
from tollmeter.dashboards.window import Window

Row = dict[str, Any]

HIT, WRITTEN = "read from cache", "written to cache"
_COLOURS: Final = {HIT: "#5ad8a6", WRITTEN: "#f6bd16"}


def hit_chart(rows: Sums, span: Window, before: tuple[Sums, Window] | None = None) -> Chart:
    """Shares of input tokens read from and written to providers' caches; a bucket without input is a gap."""
    old = (_shares(before[0]), before[1]) if before else None
    return measured(_shares(rows), span, _COLOURS, units.SHARE, before=old, notes=("shares of input tokens",))


def _shares(rows: Sums) -> dict[str, dict[datetime, Number | None]]:
    return {
        HIT: {row.bucket: share(row.cache_read_tokens, row.input_tokens) for row in rows.rows},
        WRITTEN: {row.bucket: share(row.cache_write_tokens, row.input_tokens) for row in rows.rows},
    }


def cache_rows(rows: Sums, href: Href) -> list[Row]:
    """By value of the dimension: shares, what reads saved, and what writes cost."""
    return [
        {
            "key": f"={row.name}",
            "name": row.name or NOT_SET,
            "href": href(row.name),
            "input_tokens": row.input_tokens,
            "hit": share(row.cache_read_tokens, row.input_tokens),
            "written": share(row.cache_write_tokens, row.input_tokens),
            **cells.money("savings", row.cache_savings_usd, formats.NOTHING),
            **cells.money("writes", row.cache_write_cost_usd, formats.NOTHING),
            "own_hits": row.cache_hits,
        }
        for row in rows.rows
        if row.name is not None and (row.input_tokens or row.cache_hits)
    ]
