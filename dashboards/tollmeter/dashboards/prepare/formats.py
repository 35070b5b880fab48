"""How numbers read on the page: money with enough digits to be true, the rest with enough to compare."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

Tone = Literal["good", "bad", "neutral"]
NOTHING: Final = "—"

_DIGITS: Final = 4
_CENTS: Final = 2
_PERCENT: Final = 100
_TENTH_PERCENT: Final = Decimal("0.1")
_SECOND_MS: Final = 1000
_MINUTE_MS: Final = 60_000


def money(value: Decimal | None) -> str:
    """US dollars: cents from a hundred dollars up, else four significant digits; unknown is a dash, never 0.

    >>> money(Decimal("1234.5")), money(Decimal("3.14159")), money(Decimal("0.000012345678")), money(None)
    ('$1,234.50', '$3.142', '$0.00001235', '—')
    """
    if value is None:
        return NOTHING
    decimals = _CENTS if value == 0 else max(_CENTS, _DIGITS - 1 - value.adjusted())
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,.{decimals}f}"


def estimate(value: float) -> str:
    """US dollars that are not known better than to three digits.

    >>> estimate(1234.5), estimate(0.01234), estimate(0)
    ('$1,230', '$0.0123', '$0')
    """
    return f"${Decimal(f'{value:.3g}'):,f}"


def count(value: int) -> str:
    """A whole number, thousands apart.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def many(value: int, noun: str) -> str:
    """A number of things.

    >>> many(1, "call"), many(1200, "call")
    ('1 call', '1,200 calls')
    """
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def compact(value: int) -> str:
    """A whole number in three or four digits; exact below ten thousand.

    >>> compact(9999), compact(12345), compact(1234567), compact(5_000_000_000)
    ('9,999', '12.3k', '1.23M', '5.00B')
    """
    for limit, divisor, suffix in ((10_000, 1, ""), (10**6, 10**3, "k"), (10**9, 10**6, "M")):
        if abs(value) < limit:
            return f"{value:,}" if not suffix else _three(value / divisor) + suffix
    return _three(value / 10**9) + "B"


def _three(value: float) -> str:
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0  # noqa: PLR2004
    return f"{value:,.{decimals}f}"


def percent(part: int, whole: int) -> str:
    """A share; a dash where there is nothing to share.

    >>> percent(3, 1000), percent(0, 0)
    ('0.30 %', '—')
    """
    return f"{part * _PERCENT / whole:.2f} %" if whole else NOTHING


def share(value: float) -> str:
    """A share from 0 to 1.

    >>> share(0.1234), share(0.0004)
    ('12.3 %', '0.04 %')
    """
    digits = 2 if abs(value) < 0.01 else 1  # noqa: PLR2004
    return f"{value * _PERCENT:.{digits}f} %"


def duration(milliseconds: float | None) -> str:
    """A latency in its natural unit.

    >>> duration(842.4), duration(1234), duration(90_000), duration(None)
    ('842 ms', '1.23 s', '1.5 min', '—')
    """
    if milliseconds is None:
        return NOTHING
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms" if milliseconds >= _DIGITS else f"{milliseconds:.2f} ms"
    if milliseconds < _MINUTE_MS:
        return f"{milliseconds / _SECOND_MS:.2f} s"
    return f"{milliseconds / _MINUTE_MS:.1f} min"


def moment(value: datetime | None) -> str:
    """A UTC time to the minute.

    >>> moment(datetime(2026, 11, 23, 10, 37, 5, 250))
    '2026-11-23 10:37'
    """
    return NOTHING if value is None else value.strftime("%Y-%m-%d %H:%M")


def change(now: Decimal | float | None, before: Decimal | float | None, *, up: Tone) -> tuple[str, Tone]:
    """The change against the period before, and whether that is good news; `up` says what a rise would be.

    >>> change(150, 100, up="bad"), change(50, 100, up="bad"), change(5, 0, up="neutral")
    (('+50.0 %', 'bad'), ('-50.0 %', 'good'), ('new', 'neutral'))
    """
    if now is None or before is None:
        return NOTHING, "neutral"
    first, second = Decimal(str(before)), Decimal(str(now))
    if first == second:
        return "±0 %", "neutral"
    if first == 0:
        return "new", "neutral"
    share = (second - first) / first * _PERCENT
    if abs(share) < _TENTH_PERCENT:
        return "±0 %", "neutral"
    down: Tone = {"good": "bad", "bad": "good", "neutral": "neutral"}[up]  # type: ignore[assignment]
    text = f"{share:+,.1f} %" if abs(share) < 10 * _PERCENT else f"{second / first:,.1f} times"
    return text, up if share > 0 else down
