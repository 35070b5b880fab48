"""The rates of one model at one time and tier, ready to multiply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tollmeter.model.events import CostStatus
from tollmeter.model.names import COST_ESTIMATED, COST_PARTIAL, COST_PRICED, USAGE_ESTIMATED
from tollmeter.pricing.cost import EXACT, INCONSISTENT, RATE_SCALE, UNPRICED, Cost, cost_of
from tollmeter.pricing.units import CACHE_READ, FEES, TOOL_PRICES, UNCOUNTED, UNITS, count_units, is_split_assumed
from tollmeter.pricing.usage import Usage

Price = str | list[Any]
"""A price in the table: USD per the unit's size, or `[base, [start, price], …]` where it depends on the input size."""

Prices = dict[str, Price]


class ToolFee(NamedTuple):
    """What one use of a provider's tool costs, and where that stands."""

    usd_per_use: Decimal
    ref: str = ""


class _Line(NamedTuple):
    key: str
    part: int
    rate: int
    tiers: tuple[tuple[int, int], ...]  # (start, rate), highest start first
    inner: tuple[int, ...]  # lines whose tokens are part of this one's
    plain: int  # the line that a cached token would have been priced by, or -1


class Quote(NamedTuple):
    """The prices that hold for a call, as the table writes them, and where they come from.

    `approximate` says that they are not known to be those of the tier that served the call or of the contract, `free`
    that no price means 0, `committed` that the call is paid by the hour. Tools in `fees` beat those in `prices`.
    """

    ref: str
    prices: Prices
    fees: Mapping[str, ToolFee] = MappingProxyType({})
    approximate: bool = False
    free: bool = False
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Rates:
    """Compiled rates; build them with `compile_rates`."""

    lines: tuple[_Line, ...]
    price_ref: str
    lacking: tuple[str, ...]
    fees: dict[str, tuple[int, str]]  # by tool: the rate of one use, and where it stands if not in the row
    priced: bool = True
    uncounted: bool = False
    splits: bool = False
    free: bool = False
    committed: bool = False
    approximate: bool = False

    def cost(self, usage: Usage) -> Cost:
        """What a consistent usage costs; unpriced where a class of tokens has no price at all."""
        counts = count_units(usage)
        if self._is_unpriced(counts):
            return UNPRICED
        total_input, lines = counts["input_mtok"], self.lines
        leaves: list[int] = []
        parts = [0, 0, 0, 0, 0]
        savings = 0
        for line in lines:
            leaf = counts.get(line.key, 0)
            for inner in line.inner:
                leaf -= leaves[inner]
            leaves.append(leaf)
            if leaf < 0:
                return INCONSISTENT
            if leaf:
                rate = _rate(line, total_input)
                parts[line.part] += leaf * rate
                if line.plain >= 0:
                    savings += leaf * (_rate(lines[line.plain], total_input) - rate)
        status, ref = self._status(usage), self.price_ref
        if usage.server_tool_calls and not self.committed:
            parts[FEES] += sum(
                calls * self.fees[tool][0] for tool, calls in usage.server_tool_calls.items() if tool in self.fees
            )
            ref += "".join(
                f"; fee {self.fees[tool][1]}"
                for tool in sorted(usage.server_tool_calls)
                if tool in self.fees and self.fees[tool][1]
            )
        read, write, fees = parts[CACHE_READ:]
        return cost_of((parts[0], parts[1], read, write, fees), savings, status=status, price_ref=ref)

    def _is_unpriced(self, counts: dict[str, int]) -> bool:
        if self.free:
            return False
        for key in self.lacking:
            if counts[key]:
                return True
        return not self.priced or (self.uncounted and not (counts["input_mtok"] or counts["output_mtok"]))

    def _status(self, usage: Usage) -> CostStatus:
        if self.committed:
            return COST_PRICED
        if self.uncounted or (usage.server_tool_calls and self._fee_unknown(usage)):
            return COST_PARTIAL
        if self.approximate or usage.source == USAGE_ESTIMATED or (self.splits and is_split_assumed(usage)):
            return COST_ESTIMATED
        return COST_PRICED

    def _fee_unknown(self, usage: Usage) -> bool:
        return any(calls and tool not in self.fees for tool, calls in usage.server_tool_calls.items())


def compile_rates(quote: Quote) -> Rates:
    """Rates from the prices that hold for a call."""
    prices = quote.prices
    keys = sorted((key for key in prices if key in UNITS), key=lambda key: (-len(UNITS[key].dimensions), key))
    lines = tuple(_line(key, keys, prices[key]) for key in keys if key not in TOOL_KEYS)
    by_token = any(UNITS[key].part != FEES for key in keys) or _REQUESTS not in keys
    return Rates(
        lines,
        quote.ref,
        lacking=tuple(key for key in _TOTALS if by_token and key not in keys),
        fees=_fees(quote),
        priced=bool(keys),
        uncounted=not UNCOUNTED.isdisjoint(prices),
        splits=not _CACHED_MEDIA.isdisjoint(keys),
        free=quote.free or quote.committed,
        committed=quote.committed,
        approximate=quote.approximate,
    )


def split_price(price: Price) -> tuple[str, list[tuple[int, str]]]:
    """The base price and what it becomes above each size of input.

    >>> split_price(["1.25", [200000, "2.5"]])
    ('1.25', [(200000, '2.5')])
    """
    if isinstance(price, str):
        return price, []
    return price[0], [(start, step) for start, step in price[1:]]


TOOL_KEYS: Final = frozenset(TOOL_PRICES.values())
_TOTALS: Final = ("input_mtok", "output_mtok")
_REQUESTS: Final = "requests_kcount"  # a model priced by the request alone has its tokens covered
_CACHED_MEDIA: Final = frozenset({"cache_audio_read_mtok", "cache_image_read_mtok"})


def _line(key: str, keys: list[str], price: Price) -> _Line:
    unit = UNITS[key]
    base, tiers = split_price(price)
    steps = [(start, _scaled(step, unit.scale)) for start, step in tiers]
    inner = tuple(index for index, other in enumerate(keys) if UNITS[other].is_part_of(unit))
    plain = unit.dimensions - {"read"}
    outer = [index for index, other in enumerate(keys) if UNITS[other].dimensions == plain]
    uncached = outer[0] if unit.part == CACHE_READ and outer else -1
    return _Line(key, unit.part, _scaled(base, unit.scale), tuple(sorted(steps, reverse=True)), inner, uncached)


def _fees(quote: Quote) -> dict[str, tuple[int, str]]:
    listed = {tool: key for tool, key in TOOL_PRICES.items() if key in quote.prices}
    fees = {tool: (_scaled(split_price(quote.prices[key])[0], UNITS[key].scale), "") for tool, key in listed.items()}
    return fees | {tool: (_scaled(f"{fee.usd_per_use:f}", 10**RATE_SCALE), fee.ref) for tool, fee in quote.fees.items()}


def _scaled(price: str, scale: int) -> int:
    return int(EXACT.multiply(Decimal(price), scale))


def _rate(line: _Line, total_input: int) -> int:
    for start, rate in line.tiers:
        if total_input > start:
            return rate
    return line.rate
