"""Kinds of numbers: how one reads in a label, and how an axis of them is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tollmeter.dashboards.prepare import formats

Number = Decimal | float | int
_SECONDS_FROM_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Unit:
    """How numbers of one kind are written; `scale` turns a value into the axis's own."""

    label: Callable[[Number | None], str]
    prefix: str = ""
    suffix: str = ""
    scale: float = 1.0
    axis: str = ""
    """The axis's number format, as d3 has it; empty leaves it to Plotly."""


def _money(value: Number | None) -> str:
    return formats.money(None if value is None else Decimal(str(value)))


def _count(value: Number | None) -> str:
    return formats.NOTHING if value is None else formats.count(round(value))


def _duration(value: Number | None) -> str:
    return formats.duration(None if value is None else float(value))


def _share(value: Number | None) -> str:
    return formats.NOTHING if value is None else formats.share(float(value))


def _rate(value: Number | None) -> str:
    return formats.NOTHING if value is None else f"{float(value):,.1f} /s"


MONEY: Final = Unit(_money, prefix="$")
COUNT: Final = Unit(_count)
DURATION: Final = Unit(_duration, suffix=" ms")
SECONDS: Final = Unit(_duration, suffix=" s", scale=1e-3)
SHARE: Final = Unit(_share, axis=".2~%")
RATE: Final = Unit(_rate, suffix=" /s")


def duration_unit(longest_ms: float) -> Unit:
    """Seconds where milliseconds would need five digits.

    >>> duration_unit(12_000).suffix, duration_unit(900).suffix
    (' s', ' ms')
    """
    return SECONDS if longest_ms >= _SECONDS_FROM_MS else DURATION
