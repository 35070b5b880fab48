"""The rates of one model at one time and tier, ready to multiply."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from tollmeter.model.events import CostStatus
from tollmeter.model.names import (
    COST_ESTIMATED,
    COST_PARTIAL,
    COST_PRICED,
    USAGE_ESTIMATED,
    USAGE_MISSING,
    USAGE_REPORTED,
)
from tollmeter.pricing.cost import COST_LIMIT, EXACT, INCONSISTENT, RATE_SCALE, UNPRICED, Cost, cost_of
from tollmeter.pricing.quick import QuickRates, quick_rates
from tollmeter.pricing.quote import Price, Quote, split_price
from tollmeter.pricing.units import CACHE_READ, FEES, TOOL_PRICES, UNCOUNTED, UNITS, count_units, is_split_assumed
from tollmeter.pricing.usage import Usage

_TOTALS: Final = ("input_mtok", "output_mtok")
_REQUESTS: Final = "requests_kcount"  # a model priced by the request alone has its tokens covered
_CACHED_MEDIA: Final = frozenset({"cache_audio_read_mtok", "cache_image_read_mtok"})
_TOOL_KEYS: Final = frozenset(TOOL_PRICES.values())


class Line(NamedTuple):
    """The rate of one class of tokens; other lines are given by their index, and stand before it."""

    key: str
    part: int
    rate: int
    tiers: tuple[tuple[int, int], ...]  # (start, rate), highest start first
    inner: tuple[int, ...]  # lines whose tokens are part of this one's
    plain: int  # the line that a cached token would have been priced by, or -1

    def rate_at(self, total_input: int) -> int:
        """The rate for a request with so many input tokens."""
        for start, rate in self.tiers:
            if total_input > start:
                return rate
        return self.rate


class Item(NamedTuple):
    """One line of the sum that a cost is: how many tokens or uses of a class, and what one costs."""

    what: str
    quantity: int
    usd_each: Decimal

    @property
    def usd(self) -> Decimal:
        """What they cost together, exact."""
        return EXACT.multiply(self.usd_each, self.quantity).normalize(EXACT)


@dataclass(frozen=True, slots=True)
class Rates:
    """Compiled rates; build them with `compile_rates`."""

    lines: tuple[Line, ...]
    price_ref: str
    lacking: tuple[str, ...]
    fees: dict[str, tuple[int, str]]  # by tool: the rate of one use, and where it stands if not in the row
    priced: bool = True
    uncounted: bool = False
    splits: bool = False
    lacks_hour: bool = False  # what is written for an hour is priced as what is written for five minutes
    free: bool = False
    committed: bool = False
    approximate: bool = False
    quick: QuickRates = ()

    def cost(self, usage: Usage) -> Cost:
        """What a usage costs; unpriced where a class of tokens has no price at all.

        Most calls use plain, cached and written tokens alone, at rates that need no rounding: their cost is a sum of
        products. Every other call, and every doubt, takes the whole way; a property test holds the two to each other.
        """
        if (
            not self.quick
            or usage.source != USAGE_REPORTED
            or usage.server_tool_calls
            or usage.input_audio_tokens
            or usage.input_image_tokens
            or usage.output_audio_tokens
            or usage.output_image_tokens
        ):
            return self.whole_cost(usage)
        whole, out = usage.input_tokens or 0, usage.output_tokens or 0
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        long, reasoning = usage.cache_write_1h_tokens or 0, usage.reasoning_tokens or 0
        plain = whole - read - written
        if plain < 0 or read < 0 or long < 0 or written < long or reasoning < 0 or out < reasoning:
            return INCONSISTENT
        quick = self.quick[-1]
        if len(self.quick) > 1:
            quick = next(each for each in self.quick if whole > each[0])
        _, in_rate, out_rate, read_rate, write_rate, long_rate = quick
        input_cost, output_cost, read_cost = plain * in_rate, out * out_rate, read * read_rate
        write_cost = (written - long) * write_rate + long * long_rate
        total = input_cost + output_cost + read_cost + write_cost
        if read_cost < 0 or write_cost < 0 or total >= COST_LIMIT:
            return self.whole_cost(usage)
        return Cost(
            COST_ESTIMATED if self.approximate or (long and self.lacks_hour) else COST_PRICED,
            self.price_ref,
            total,
            input_cost,
            output_cost,
            read_cost,
            write_cost,
            0,
            read * (in_rate - read_rate),
        )

    def whole_cost(self, usage: Usage) -> Cost:
        """The cost of any usage, the whole way."""
        if not usage.is_consistent():
            return INCONSISTENT
        if usage.source == USAGE_MISSING:
            return UNPRICED
        counts = count_units(usage)
        if self._is_unpriced(counts):
            return UNPRICED
        summed = self._sum(counts)
        if summed is None:
            return INCONSISTENT
        parts, savings = summed
        ref = self.price_ref
        if usage.server_tool_calls and not self.committed:
            for tool, calls in sorted(usage.server_tool_calls.items()):
                rate, stands = self.fees.get(tool, (0, ""))
                parts[FEES] += calls * rate
                ref += f"; fee {stands}" if stands and calls else ""
        return cost_of(parts, savings, status=self._status(usage), price_ref=ref)

    def _sum(self, counts: dict[str, int]) -> tuple[list[int], int] | None:
        """The parts of the cost and what caching saved; None where parts of a count exceed it."""
        total_input = counts["input_mtok"]
        leaves: list[int] = []
        parts = [0, 0, 0, 0, 0]
        savings = 0
        for line in self.lines:
            leaf = counts.get(line.key, 0) - sum(leaves[inner] for inner in line.inner)
            leaves.append(leaf)
            if leaf < 0:
                return None
            rate = line.rate_at(total_input)
            parts[line.part] += leaf * rate
            if line.plain >= 0:
                savings += leaf * (self.lines[line.plain].rate_at(total_input) - rate)
        return parts, savings

    def items(self, usage: Usage) -> list[Item]:
        """The sum behind the cost of a consistent usage, class by class; nothing is rounded."""
        counts = count_units(usage)
        leaves: list[int] = []
        found: list[Item] = []
        for line in self.lines:
            leaves.append(counts.get(line.key, 0) - sum(leaves[inner] for inner in line.inner))
            if leaves[-1]:
                found.append(Item(line.key, leaves[-1], _usd(line.rate_at(counts["input_mtok"]))))
        if not self.committed:
            calls = sorted(usage.server_tool_calls.items())
            found += [Item(tool, count, _usd(self.fees[tool][0])) for tool, count in calls if tool in self.fees]
        return found

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
        assumed = (self.splits and is_split_assumed(usage)) or (self.lacks_hour and usage.cache_write_1h_tokens)
        return COST_ESTIMATED if assumed or self.approximate or usage.source == USAGE_ESTIMATED else COST_PRICED

    def _fee_unknown(self, usage: Usage) -> bool:
        return any(calls and tool not in self.fees for tool, calls in usage.server_tool_calls.items())


def compile_rates(quote: Quote) -> Rates:
    """Rates from the prices that hold for a call."""
    priced = [key for key in quote.prices if key in UNITS]
    keys = sorted((key for key in priced if key not in _TOOL_KEYS), key=lambda key: (-len(UNITS[key].dimensions), key))
    lines = tuple(_line(key, keys, quote.prices[key]) for key in keys)
    by_token = any(UNITS[key].part != FEES for key in priced) or _REQUESTS not in priced
    uncounted = not UNCOUNTED.isdisjoint(quote.prices)
    return Rates(
        lines,
        quote.ref,
        lacking=tuple(key for key in _TOTALS if by_token and key not in keys),
        fees=_fees(quote),
        priced=bool(priced),
        uncounted=uncounted,
        splits=not _CACHED_MEDIA.isdisjoint(keys),
        lacks_hour="cache_write_mtok" in keys and "cache_write_1h_mtok" not in keys,
        free=quote.free or quote.committed,
        committed=quote.committed,
        approximate=quote.approximate,
        quick=() if uncounted else quick_rates({line.key: (line.rate, line.tiers) for line in lines}),
    )


def _line(key: str, keys: list[str], price: Price) -> Line:
    unit = UNITS[key]
    base, tiers = split_price(price)
    steps = [(start, _scaled(step, unit.scale)) for start, step in tiers]
    inner = tuple(index for index, other in enumerate(keys) if UNITS[other].is_part_of(unit))
    plain = unit.dimensions - {"read"}
    outer = [index for index, other in enumerate(keys) if UNITS[other].dimensions == plain]
    uncached = outer[0] if unit.part == CACHE_READ and outer else -1
    return Line(key, unit.part, _scaled(base, unit.scale), tuple(sorted(steps, reverse=True)), inner, uncached)


def _fees(quote: Quote) -> dict[str, tuple[int, str]]:
    listed = {tool: key for tool, key in TOOL_PRICES.items() if key in quote.prices}
    fees = {tool: (_scaled(split_price(quote.prices[key])[0], UNITS[key].scale), "") for tool, key in listed.items()}
    return fees | {tool: (_scaled(f"{fee.usd_per_use:f}", 10**RATE_SCALE), fee.ref) for tool, fee in quote.fees.items()}


def _usd(rate: int) -> Decimal:
    return EXACT.scaleb(rate, -RATE_SCALE).normalize(EXACT)


def _scaled(price: str, scale: int) -> int:
    return int(EXACT.multiply(Decimal(price), scale))
