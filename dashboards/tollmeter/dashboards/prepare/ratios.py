"""Quotients of money and counts that say when there is nothing to divide."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_EXACT: Final = Decimal("1e-12")


def per(amount: Decimal | None, count: int | None) -> Decimal | None:
    """Money by count, to 1e-12; None where either is unknown, or nothing was counted.

    >>> per(Decimal(1), 3)
    Decimal('0.333333333333')
    """
    return (amount / count).quantize(_EXACT) if amount is not None and count else None


def share(part: Decimal | float | None, whole: Decimal | float | None) -> float | None:
    """A part of a whole as 0 to 1; None where either is unknown, or the whole is nothing.

    >>> share(Decimal(1), Decimal(4)), share(0, 0)
    (0.25, None)
    """
    return float(part) / float(whole) if part is not None and whole else None


def change(now: Decimal | float | None, before: Decimal | float | None) -> float | None:
    """By what share of the earlier value the later differs; None where there is nothing to compare with.

    >>> change(15, 10), change(5, 0)
    (0.5, None)
    """
    return (float(now) - float(before)) / float(before) if now is not None and before else None
