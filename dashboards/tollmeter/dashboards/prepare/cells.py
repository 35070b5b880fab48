"""Cells of tables: numbers stay numbers for sorting, money is exact text beside its sort key."""

from __future__ import annotations

from decimal import Decimal

from tollmeter.dashboards.prepare import formats


def money(field: str, value: Decimal | None, unknown: str = "unpriced") -> dict[str, object]:
    """The three fields of an amount, as the table's money column reads them.

    >>> money("cost", Decimal("0.00123456"))
    {'cost': 0.00123456, 'cost_text': '$0.001235', 'cost_exact': '0.00123456 USD'}
    """
    if value is None:
        return {field: None, f"{field}_text": unknown, f"{field}_exact": unknown}
    return {field: float(value), f"{field}_text": formats.money(value), f"{field}_exact": f"{value:f} USD"}
