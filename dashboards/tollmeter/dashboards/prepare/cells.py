"""Cells of tables: numbers stay numbers for sorting, money is exact text beside its sort key."""

from __future__ import annotations

from decimal import Decimal

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.prepare.formats import Tone
from tollmeter.dashboards.prepare.ratios import change as changed


def money(field: str, value: Decimal | None, unknown: str = "unpriced") -> dict[str, object]:
    """The three fields of an amount, as the table's money column reads them.

    >>> money("cost", Decimal("0.00123456"))
    {'cost': 0.00123456, 'cost_text': '$0.001235', 'cost_exact': '0.00123456 USD'}
    """
    if value is None:
        return {field: None, f"{field}_text": unknown, f"{field}_exact": unknown}
    return {field: float(value), f"{field}_text": formats.money(value), f"{field}_exact": f"{value:f} USD"}


def change(
    field: str, now: Decimal | float | None, before: Decimal | float | None, up: Tone = "bad"
) -> dict[str, object]:
    """The three fields of a change, as the table's column of changes reads them: sort key, text, and how it is meant.

    >>> change("delta", 12, 10)
    {'delta': 0.2, 'delta_text': '+20.0 %', 'delta_tone': 'bad'}
    """
    text, tone = formats.change(now, before, up=up)
    return {field: changed(now, before), f"{field}_text": text, f"{field}_tone": tone}
