"""Rounding that still adds up: largest remainder, for amounts of either sign."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final

WIDE: Final = Context(prec=80)
"""Arithmetic that no amount of the lake can exhaust, and no setting of the host can round."""


def to_total(amounts: Sequence[Decimal], total: Decimal, unit: Decimal) -> list[Decimal]:
    """The amounts as multiples of `unit` that add up to `total`, itself a multiple; one that is 0 stays 0.

    Each is rounded down; what is then missing goes, a unit at a time, to those that lost most. Where the total is
    itself rounded, an amount may differ from the nearest multiple by a unit.

    >>> [str(one) for one in to_total([Decimal("0.4"), Decimal("0.4"), Decimal("-0.1")], Decimal(1), Decimal(1))]
    ['1', '0', '0']
    """
    counts = [int(WIDE.divide(amount, unit).to_integral_value(ROUND_FLOOR)) for amount in amounts]
    missing = int(WIDE.divide(total, unit)) - sum(counts)
    order = _by_remainder(amounts, counts, unit)
    for turn in range(abs(missing)):
        # Units that are too many are taken back from those that lost least.
        counts[order[turn % len(order)] if missing > 0 else order[-1 - turn % len(order)]] += 1 if missing > 0 else -1
    return [WIDE.multiply(unit, Decimal(count)) for count in counts]


def _by_remainder(amounts: Sequence[Decimal], counts: Sequence[int], unit: Decimal) -> list[int]:
    lost = {
        place: WIDE.subtract(amount, WIDE.multiply(unit, Decimal(count)))
        for place, (amount, count) in enumerate(zip(amounts, counts, strict=True))
        if amount
    }
    return sorted(lost, key=lambda place: (-lost[place], place))
