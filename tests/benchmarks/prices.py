"""What a price costs beside `genai_prices.calc_price`, in one process, over the same calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import exp, log
from statistics import median
from typing import Any, Final

import genai_prices
from benchmarks.cpu import SERVICE_CORE, pinned
from benchmarks.paired import difference

from tollmeter.pricing import Usage
from tollmeter.pricing.book import default_book
from tollmeter.pricing.call import cost_columns

_AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
_CALLS: Final = (
    ("openai", "openai", "gpt-4o-mini-2024-07-18"),
    ("openai", "openai", "o3"),
    ("anthropic", "anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "google", "gemini-2.5-pro"),
    ("aws.bedrock", "aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
)
_COUNTS: Final[Any] = {"input_tokens": 1280, "output_tokens": 320, "cache_read_tokens": 640}
Measured = dict[str, dict[str, float]]
_TURNS: Final = {"ours": 4000, "theirs": 40}


def measure(rounds: int, progress: Callable[[str], None]) -> Measured:
    """CPU µs of ours and theirs by what is asked, and how many times as much theirs is, with its 95 % interval."""
    taken: dict[str, dict[str, list[float]]] = {name: {"ours": [], "theirs": []} for name in _asked()}
    with pinned(SERVICE_CORE):
        for index in range(rounds):
            progress(f"prices: round {index + 1} of {rounds}")
            for name, sides in _asked().items():
                for side in ("ours", "theirs") if index % 2 else ("theirs", "ours"):
                    taken[name][side].append(_cpu_us(sides[side], _TURNS[side]))
    return {name: _row(sides["ours"], sides["theirs"]) for name, sides in taken.items()}


def _row(ours: list[float], theirs: list[float]) -> dict[str, float]:
    found = difference([log(each) for each in ours], [log(each) for each in theirs])
    ratios = {"times": found.median, "low": found.low, "high": found.high}
    return {"ours_us": median(ours), "theirs_us": median(theirs)} | {name: exp(value) for name, value in ratios.items()}


def _cpu_us(turn: Callable[[], None], turns: int) -> float:
    start = time.process_time_ns()
    for _ in range(turns):
        turn()
    return (time.process_time_ns() - start) / turns / len(_CALLS) / 1000


def _asked() -> dict[str, dict[str, Callable[[], None]]]:
    """What is measured: each side answers all calls in one turn."""
    theirs = _their_prices
    return {
        "look-up": {"ours": _our_lookups, "theirs": theirs},
        "look-up of an unknown model": {"ours": _our_misses, "theirs": _their_misses},
        "look-up and cost": {"ours": _our_prices, "theirs": theirs},
        "look-up, cost and its columns in Decimal": {"ours": _our_columns, "theirs": theirs},
    }


_BOOK: Final = default_book()
_OURS: Final = Usage(**_COUNTS)
_THEIRS: Final = genai_prices.Usage(**_COUNTS)
_lookup: Final[Any] = _BOOK.rates


def _our_lookups() -> None:
    for provider, _, model in _CALLS:
        _lookup(provider, model, at=_AT)


def _our_misses() -> None:
    for provider, _, _ in _CALLS:
        _lookup(provider, "nobody-knows-this-model", at=_AT)


def _our_prices() -> None:
    for provider, _, model in _CALLS:
        _BOOK.price(provider, model, _OURS, at=_AT)


def _our_columns() -> None:
    for provider, _, model in _CALLS:
        cost_columns(_BOOK.price(provider, model, _OURS, at=_AT))


def _their_prices() -> None:
    for _, provider, model in _CALLS:
        genai_prices.calc_price(_THEIRS, model, provider_id=provider, genai_request_timestamp=_AT)


def _their_misses() -> None:
    for _, provider, _ in _CALLS:
        try:
            genai_prices.calc_price(
                _THEIRS, "nobody-knows-this-model", provider_id=provider, genai_request_timestamp=_AT
            )
        except LookupError:
            continue
