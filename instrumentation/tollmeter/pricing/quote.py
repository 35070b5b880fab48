"""Prices as the table and overlays write them, and those that hold for one call."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

Price = str | list[Any]
"""A price in the table: USD per the unit's size, or `[base, [start, price], …]` where it depends on the input size."""

Prices = dict[str, Price]


class ToolFee(NamedTuple):
    """What one use of a provider's tool costs, and where that stands."""

    usd_per_use: Decimal
    ref: str = ""


class Quote(NamedTuple):
    """The prices that hold for a call, as the table writes them, and where they come from.

    `approximate` says that they are not known to be those of the tier that served the call or of the contract, `free`
    that no price means 0, `committed` that the call is paid by the hour. Tools in `fees` beat those in `prices`. `rows`
    are the rows that `ref` tells of, one by one.
    """

    ref: str
    prices: Prices
    fees: Mapping[str, ToolFee] = MappingProxyType({})
    approximate: bool = False
    free: bool = False
    committed: bool = False
    rows: tuple[str, ...] = ()


def split_price(price: Price) -> tuple[str, list[tuple[int, str]]]:
    """The base price and what it becomes above each size of input.

    >>> split_price(["1.25", [200000, "2.5"]])
    ('1.25', [(200000, '2.5')])
    """
    if isinstance(price, str):
        return price, []
    return price[0], [(start, step) for start, step in price[1:]]
