"""Money: the cost of one call, computed in integers and rounded once."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

import msgspec

from tollmeter.model.columns import MONEY_PRECISION, MONEY_SCALE
from tollmeter.model.events import CostStatus
from tollmeter.model.names import COST_INCONSISTENT, COST_UNPRICED

RATE_SCALE: Final = 36
"""Rates are integers of 10^-36 USD: prices per million tokens have up to 18 decimals, each factor of an overlay 6."""

_STEP: Final[int] = 10 ** (RATE_SCALE - MONEY_SCALE)
_LIMIT: Final[int] = 10**MONEY_PRECISION
_ZERO: Final = Decimal(0)
_UNIT: Final = Decimal((0, (1,), -MONEY_SCALE))

EXACT: Final = Context(prec=80)
"""Decimal arithmetic that nothing the host does to its own context can round."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of one call in USD; the parts add up to `cost_usd` exactly. None means unknown, which is never 0."""

    status: CostStatus
    cost_usd: Decimal | None = None
    input_cost_usd: Decimal | None = None
    output_cost_usd: Decimal | None = None
    cache_read_cost_usd: Decimal | None = None
    cache_write_cost_usd: Decimal | None = None
    fees_usd: Decimal | None = None
    price_ref: str = ""
    cache_savings_usd: Decimal | None = None


UNPRICED: Final = Cost(status=COST_UNPRICED)
"""No price is known for the call."""

INCONSISTENT: Final = Cost(status=COST_INCONSISTENT)
"""The usage contradicts itself, so that any cost would be invented."""


def cost_of(parts: tuple[int, int, int, int, int], savings: int, *, status: CostStatus, price_ref: str) -> Cost:
    """A cost from exact parts (input, output, cache read, cache write, fees) in units of 10^-36 USD.

    The total is rounded once, half to even, to 10^-12 USD; the parts follow by largest remainder. A total that the
    lake's money type cannot hold (a million dollars for one call) is no cost but inconsistent usage.

    >>> cost_of((10**30, 0, 0, 0, 0), 0, status="priced", price_ref="x").cost_usd
    Decimal('0.000001000000')
    """
    total, rounded = round_parts(parts)
    if total >= _LIMIT:
        return INCONSISTENT
    return Cost(
        status=status,
        cost_usd=_money(total),
        input_cost_usd=_money(rounded[0]),
        output_cost_usd=_money(rounded[1]),
        cache_read_cost_usd=_money(rounded[2]),
        cache_write_cost_usd=_money(rounded[3]),
        fees_usd=_money(rounded[4]),
        price_ref=price_ref,
        cache_savings_usd=_money(_half_even(savings)),
    )


def round_parts(parts: tuple[int, ...]) -> tuple[int, list[int]]:
    """The sum of non-negative parts, rounded half to even, and the parts rounded so that they add up to it.

    Parts come in units of 10^-36 USD, results in units of 10^-12 USD.

    >>> round_parts((4 * 10**23, 4 * 10**23, 4 * 10**23))
    (1, [1, 0, 0])
    """
    total = _half_even(sum(parts))
    floors = [part // _STEP for part in parts]
    if missing := total - sum(floors):
        by_remainder = sorted(range(len(parts)), key=lambda index: (-(parts[index] % _STEP), index))
        for index in by_remainder[:missing]:
            floors[index] += 1
    return total, floors


def _half_even(amount: int) -> int:
    quotient, rest = divmod(amount, _STEP)
    up = 2 * rest > _STEP or (2 * rest == _STEP and quotient % 2 == 1)
    return quotient + up


def _money(amount: int) -> Decimal:
    return EXACT.multiply(amount, _UNIT) if amount else _ZERO
