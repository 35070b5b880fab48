"""Money: the cost of one call, computed in integers and rounded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Final

import msgspec

from tollmeter.model.columns import MONEY_PRECISION, MONEY_SCALE
from tollmeter.model.events import CostStatus
from tollmeter.model.names import COST_INCONSISTENT, COST_PRICED, COST_UNPRICED

RATE_SCALE: Final = 36
"""Rates are integers of 10^-36 USD: prices per million tokens have up to 18 decimals, each factor of an overlay 6."""

STEP: Final[int] = 10 ** (RATE_SCALE - MONEY_SCALE)
"""The smallest amount that the lake's money type holds, in units of a rate."""

COST_LIMIT: Final[int] = 10**MONEY_PRECISION
"""What no cost reaches, in units of 10^-12 USD: the lake's money type ends there, at a million dollars for one call."""

EXACT: Final = Context(prec=80)
"""Decimal arithmetic that nothing the host does to its own context can round."""

_ZERO: Final = Decimal(0)
_UNIT: Final = Decimal((0, (1,), -MONEY_SCALE))
_multiply: Final = EXACT.multiply


class Cost(msgspec.Struct, frozen=True, gc=False):
    """Cost of one call; the parts add up to the total exactly. None means unknown, which is never 0.

    Amounts are whole numbers of 10^-12 USD (`…_picousd`), and become Decimal USD when they are asked for.
    """

    status: CostStatus
    price_ref: str = ""
    total_picousd: int | None = None
    input_picousd: int | None = None
    output_picousd: int | None = None
    cache_read_picousd: int | None = None
    cache_write_picousd: int | None = None
    fees_picousd: int | None = None
    cache_savings_picousd: int | None = None

    @property
    def cost_usd(self) -> Decimal | None:
        """The total in USD."""
        return usd(self.total_picousd)

    @property
    def input_cost_usd(self) -> Decimal | None:
        """What input cost that was neither read from a cache nor written to one."""
        return usd(self.input_picousd)

    @property
    def output_cost_usd(self) -> Decimal | None:
        """What output cost."""
        return usd(self.output_picousd)

    @property
    def cache_read_cost_usd(self) -> Decimal | None:
        """What cache reads cost."""
        return usd(self.cache_read_picousd)

    @property
    def cache_write_cost_usd(self) -> Decimal | None:
        """What cache writes cost."""
        return usd(self.cache_write_picousd)

    @property
    def fees_usd(self) -> Decimal | None:
        """What fees per use cost, such as web searches."""
        return usd(self.fees_picousd)

    @property
    def cache_savings_usd(self) -> Decimal | None:
        """What the cache reads would have cost more at the plain rate."""
        return usd(self.cache_savings_picousd)

    def saved(self) -> Cost:
        """The cost of an answer that the service took from its own cache instead."""
        return Cost(COST_PRICED, self.price_ref, 0, 0, 0, 0, 0, 0, self.total_picousd)


UNPRICED: Final = Cost(COST_UNPRICED)
"""No price is known for the call."""

INCONSISTENT: Final = Cost(COST_INCONSISTENT)
"""The usage contradicts itself, so that any cost would be invented."""


def usd(picousd: int | None) -> Decimal | None:
    """An amount in USD, exact.

    >>> usd(1_750_000_000)
    Decimal('0.001750000000')
    """
    if not picousd:
        return _ZERO if picousd == 0 else None
    return _multiply(picousd, _UNIT)


def usd_each(picousd: Iterable[int | None]) -> list[Decimal | None]:
    """As `usd`, for several amounts at once, which costs half."""
    return [_multiply(amount, _UNIT) if amount else (_ZERO if amount == 0 else None) for amount in picousd]


def cost_of(parts: Sequence[int], savings: int, *, status: CostStatus, price_ref: str) -> Cost:
    """A cost from exact parts (input, output, cache read, cache write, fees) in units of 10^-36 USD.

    The total is rounded once, half to even, to 10^-12 USD; the parts follow by largest remainder. A total that the
    lake's money type cannot hold is no cost but inconsistent usage.

    >>> cost_of((10**30, 0, 0, 0, 0), 0, status="priced", price_ref="x").cost_usd
    Decimal('0.000001000000')
    """
    total, rounded = round_parts(parts)
    if total >= COST_LIMIT:
        return INCONSISTENT
    spent_in, spent_out, read, written, fees = rounded
    return Cost(status, price_ref, total, spent_in, spent_out, read, written, fees, half_even(savings))


def round_parts(parts: Sequence[int]) -> tuple[int, list[int]]:
    """The sum of non-negative parts, rounded half to even, and the parts rounded so that they add up to it.

    Parts come in units of 10^-36 USD, results in units of 10^-12 USD.

    >>> round_parts((4 * 10**23, 4 * 10**23, 4 * 10**23))
    (1, [1, 0, 0])
    """
    total = half_even(sum(parts))
    floors = [part // STEP for part in parts]
    if missing := total - sum(floors):
        by_remainder = sorted(range(len(parts)), key=lambda index: (-(parts[index] % STEP), index))
        for index in by_remainder[:missing]:
            floors[index] += 1
    return total, floors


def half_even(amount: int) -> int:
    """An amount in units of 10^-36 USD, rounded half to even to units of 10^-12 USD.

    >>> half_even(5 * 10**23), half_even(15 * 10**23)
    (0, 2)
    """
    quotient, rest = divmod(amount, STEP)
    up = 2 * rest > STEP or (2 * rest == STEP and quotient % 2 == 1)
    return quotient + up
