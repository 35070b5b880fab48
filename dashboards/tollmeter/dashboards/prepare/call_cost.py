"""The cost of one call written out: its tokens by class, what each class cost, and the sum to the last digit.

Nothing is priced here again. The lake's row holds what each class of tokens cost and which price row was used, so the
rate that was really applied (tiers, discounts and negotiated prices included) is the part over its tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tollmeter.dashboards.prepare import formats
from tollmeter.model.names import COST_ESTIMATED, COST_INCONSISTENT, COST_PARTIAL, COST_PRICED, COST_UNPRICED

Row = Mapping[str, Any]

_MILLION: Final = 1_000_000
_RATE_DIGITS: Final = 6
_LEAST_DECIMALS: Final = 2
_DATE: Final = re.compile(r"(?P<row>.*?) (?P<since>\d{4}-\d\d-\d\d(?:T[\d:]+Z)?)(?P<rest>.*)")

STATUS_MEANING: Final = {
    COST_PRICED: "every class of tokens has a price",
    COST_ESTIMATED: "usage or part of the price was estimated",
    COST_PARTIAL: "the answer was cut off, or a fee is not known: the cost is what was seen of it",
    COST_UNPRICED: "no price is known for this model, or the call told no usage; unknown is not 0",
    COST_INCONSISTENT: "the usage contradicts itself, so any cost would be invented",
}


@dataclass(frozen=True, slots=True)
class TokenClass:
    """One class of tokens: how many (None: not told), which class it is a part of, and what it cost at what rate."""

    name: str
    tokens: int | None
    part_of: str = ""
    cost_usd: Decimal | None = None
    rate: str = ""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of the price book that a call was priced by: what it is called and from when it holds."""

    name: str
    valid_from: str

    @property
    def validity(self) -> str:
        """From when it holds, in words."""
        return f"valid from {self.valid_from}" if self.valid_from else "listed without a date: it holds from the first"


@dataclass(frozen=True, slots=True)
class CostSum:
    """The cost as an addition: named parts and the total, written with the same number of decimals.

    `text` is empty where the cost is not known, or its parts are not recorded; `adds_up` is checked, not assumed.
    """

    text: str
    parts: tuple[tuple[str, str], ...]
    total: str
    adds_up: bool
    status: str
    meaning: str


def token_classes(row: Row) -> tuple[TokenClass, ...]:
    """The classes of tokens of a call that has any, input before output, parts after what they are part of."""
    read, written = row["cache_read_tokens"], row["cache_write_tokens"]
    plain = None if row["input_tokens"] is None else row["input_tokens"] - (read or 0) - (written or 0)
    blended = bool(row["input_audio_tokens"] or row["input_image_tokens"])
    found = (
        TokenClass("Input", row["input_tokens"]),
        _priced("uncached", plain, "Input", row["input_cost_usd"], blended=blended),
        _priced("cache read", read, "Input", row["cache_read_cost_usd"], blended=blended),
        _priced("cache write", written, "Input", row["cache_write_cost_usd"]),
        TokenClass("of it kept for an hour", row["cache_write_1h_tokens"], "cache write"),
        TokenClass("audio in", row["input_audio_tokens"], "Input"),
        TokenClass("images in", row["input_image_tokens"], "Input"),
        _priced("Output", row["output_tokens"], "", row["output_cost_usd"]),
        TokenClass("reasoning", row["reasoning_tokens"], "Output"),
        TokenClass("audio out", row["output_audio_tokens"], "Output"),
        TokenClass("images out", row["output_image_tokens"], "Output"),
    )
    return tuple(one for one in found if one.tokens or not one.part_of)


def _priced(name: str, tokens: int | None, part_of: str, cost: Decimal | None, *, blended: bool = False) -> TokenClass:
    rate = rate_text(cost, tokens)
    return TokenClass(name, tokens, part_of, cost, f"{rate}, blended" if rate and blended else rate)


def rate_text(cost: Decimal | None, tokens: int | None) -> str:
    """Dollars per million tokens that a class really cost; `≈` where the division does not come out.

    >>> rate_text(Decimal("0.0025"), 1000), rate_text(Decimal("0.000001"), 3), rate_text(None, 5)
    ('$2.50 per million', '≈ $0.333333 per million', '')
    """
    if cost is None or not tokens:
        return ""
    rate = cost * _MILLION / tokens
    decimals = max(_LEAST_DECIMALS, _RATE_DIGITS - 1 - rate.adjusted()) if rate else _LEAST_DECIMALS
    rounded = rate.quantize(Decimal(1).scaleb(-decimals))
    text = _trimmed(rounded)
    # A part is rounded to 1e-12: a rate that explains it to that digit is the rate.
    exact = abs(rounded * tokens / _MILLION - cost) <= Decimal("0.5e-12")
    return f"{'' if exact else '≈ '}${text} per million"


def cost_sum(row: Row) -> CostSum:
    """The cost of a call as the sum of its parts, each to the last digit that is kept."""
    status = row["cost_status"] or COST_UNPRICED
    meaning = STATUS_MEANING.get(status, "")
    total: Decimal | None = row["cost_usd"]
    parts = [
        (name, row[column])
        for name, column in (
            ("input", "input_cost_usd"),
            ("cache read", "cache_read_cost_usd"),
            ("cache write", "cache_write_cost_usd"),
            ("output", "output_cost_usd"),
            ("fees", "fees_usd"),
        )
        if row[column]
    ]
    if total is None:
        return CostSum("", (), "", adds_up=True, status=status, meaning=meaning)
    decimals = max([_decimals(total), *[_decimals(part) for _, part in parts], _LEAST_DECIMALS])
    whole = _fixed(total, decimals)
    written = tuple((name, _fixed(part, decimals)) for name, part in parts)
    adds_up = sum((part for _, part in parts), Decimal(0)) == total
    text = " + ".join(amount for _, amount in written)
    return CostSum(f"{text} = {whole}" if text else "", written, whole, adds_up, status, meaning)


def price_rows(price_ref: str) -> tuple[PriceRow, ...]:
    """The rows that a reference names, the one that set the price first.

    >>> [(one.name, one.valid_from) for one in price_rows("genai-prices 0.2.3 openai/o3 2025-06-10")]
    [('genai-prices 0.2.3 openai/o3', '2025-06-10')]
    >>> [one.name for one in price_rows("p.yaml#deal 2026-01-01 over table 1 x/y; discount p.yaml#ea 2026-02-01")]
    ['p.yaml#deal', 'table 1 x/y', 'discount p.yaml#ea']
    """
    found = []
    for part in re.split(r"; | over ", price_ref):
        match = _DATE.fullmatch(part)
        if match:
            found.append(PriceRow((match["row"] + match["rest"]).strip(), match["since"]))
        elif part:
            found.append(PriceRow(part, ""))
    return tuple(found)


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _fixed(value: Decimal, decimals: int) -> str:
    return f"${value:,.{decimals}f}"


def _trimmed(value: Decimal) -> str:
    text = f"{value:,f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest:0<{_LEAST_DECIMALS}}"


def fees_text(row: Row) -> str:
    """The uses of the provider's tools that fees are for, in words; empty without any.

    >>> fees_text({"server_tool_calls": '{"web_search": 2}'})
    '2 web_search'
    """
    found = json.loads(row["server_tool_calls"] or "{}")
    return ", ".join(f"{uses} {tool}" for tool, uses in found.items() if uses)


def exact(value: Decimal) -> str:
    """An amount to its last digit, with cents at least.

    >>> exact(Decimal("0.120882000000")), exact(Decimal("2"))
    ('$0.120882', '$2.00')
    """
    return f"${_trimmed(value)}"


def saving_text(row: Row) -> str:
    """What the cache saved, in words; empty where nothing is known of it."""
    saved = row["cache_savings_usd"]
    if not saved:
        return ""
    if row["cache_hit"]:
        return f"answered from the service's own cache, which saved {formats.money(saved)}"
    word = "saved" if saved > 0 else "cost more than it saved, by"
    return f"the provider's cache {word} {formats.money(abs(saved))}"
