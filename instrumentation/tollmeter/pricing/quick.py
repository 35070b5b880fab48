"""Rates in whole units of the lake's money, for calls whose cost is a plain sum of products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollmeter.pricing.cost import STEP

QuickRates = tuple[tuple[int, int, int, int, int, int], ...]
"""Highest size of input first: the size above which the rest holds, then rates of input, output, cache reads, cache
writes and those for an hour, each in 10^-12 USD per token. Below zero: the class has no price of its own."""

_Tiered = tuple[int, tuple[tuple[int, int], ...]]
_KEYS: Final = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
_MEDIA: Final = frozenset(
    {
        "input_audio_mtok", "input_image_mtok", "cache_audio_read_mtok", "cache_image_read_mtok", "output_audio_mtok",
        "output_image_mtok",
    }
)  # fmt: skip
_NONE: Final = -1


def quick_rates(rates: Mapping[str, _Tiered]) -> QuickRates:
    """Quick rates from rates in units of 10^-36 USD, each with its tiers; empty where there can be none.

    There can be none where input or output have no price, another class but audio and images has one, writes for an
    hour have one and other writes have none, or a rate is no whole number of 10^-12 USD.

    >>> usd = 10**36
    >>> quick_rates({"input_mtok": (usd, ()), "output_mtok": (2 * usd, ((100, 3 * usd),))})
    ((100, 1000000000000, 3000000000000, -1, -1, -1), (-1, 1000000000000, 2000000000000, -1, -1, -1))
    """
    odd = "cache_write_1h_mtok" in rates and "cache_write_mtok" not in rates
    if odd or not {"input_mtok", "output_mtok"} <= rates.keys() or rates.keys() - _MEDIA - set(_KEYS):
        return ()
    starts = sorted({start for _, tiers in rates.values() for start, _ in tiers} | {-1}, reverse=True)
    rows = tuple(_row(rates, start) for start in starts)
    if any(rate % STEP for row in rows for rate in row if rate >= 0):
        return ()
    return tuple((start, *_whole(row)) for start, row in zip(starts, rows, strict=True))


def _row(rates: Mapping[str, _Tiered], start: int) -> list[int]:
    """The rates that hold for inputs just above a size."""
    found = [_rate_above(rates[key], start) if key in rates else _NONE for key in _KEYS]
    if found[-1] == _NONE:  # writes for an hour are priced as other writes
        found[-1] = found[-2]
    return found


def _rate_above(tiered: _Tiered, start: int) -> int:
    rate, tiers = tiered
    return next((step for begin, step in tiers if begin <= start), rate)


def _whole(row: list[int]) -> tuple[int, int, int, int, int]:
    first, second, third, fourth, fifth = (rate // STEP if rate >= 0 else _NONE for rate in row)
    return first, second, third, fourth, fifth
