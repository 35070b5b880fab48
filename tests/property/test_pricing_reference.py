"""Costs against a reference that is written another way: Fractions, a class of tokens at a time, no shortcuts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from tollmeter.model.names import COST_INCONSISTENT
from tollmeter.pricing import Usage
from tollmeter.pricing.book import default_book
from tollmeter.pricing.quote import Price, Prices, Quote, split_price
from tollmeter.pricing.rates import compile_rates

PICO = 10**12
STARTS = (1000, 128_000, 200_000)
REASONING = "output_reasoning_mtok"
IN, OUT, READ, WRITE, LONG = (
    "input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok",
)  # fmt: skip


def amounts(places: int) -> st.SearchStrategy[str]:
    return st.decimals(0, 200, places=places, allow_nan=False).map(lambda value: f"{value:f}")


@st.composite
def price_of_class(draw: st.DrawFn, places: int) -> Price:
    steps = draw(st.lists(st.sampled_from(STARTS), unique=True, max_size=2))
    base = draw(amounts(places))
    return [base, *([start, draw(amounts(places))] for start in sorted(steps))] if steps else base


@st.composite
def prices(draw: st.DrawFn) -> Prices:
    more = draw(
        st.sampled_from(((), (READ,), (READ, WRITE), (READ, WRITE, LONG), (WRITE,), (READ, LONG), (REASONING,)))
    )
    places = draw(st.sampled_from((2, 6, 7, 18)))  # up to six need no rounding
    return {key: draw(price_of_class(places)) for key in (IN, OUT, *more)}


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    edges = st.sampled_from([start + off for start in STARTS for off in (-1, 0, 1)])
    sizes = edges | st.integers(0, 300_000)
    whole, out = draw(sizes), draw(sizes)
    read = draw(st.integers(0, whole))
    written = draw(st.integers(0, whole - read))
    return Usage(
        input_tokens=whole,
        output_tokens=out,
        cache_read_tokens=read or draw(st.sampled_from((0, None))),
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        reasoning_tokens=draw(st.none() | st.integers(0, out)),
    )


class Expected(NamedTuple):
    total: int
    parts: tuple[int, ...]
    savings: int


def reference(known: Prices, usage: Usage) -> Expected:
    whole, out = usage.input_tokens or 0, usage.output_tokens or 0
    read, written, long = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0, usage.cache_write_1h_tokens or 0
    reasoning = usage.reasoning_tokens or 0

    def rate(key: str) -> Fraction:
        base, steps = split_price(known[key])
        for start, step in sorted(steps):
            if whole > start:
                base = step
        return Fraction(base) / 10**6

    def priced_as(*keys: str) -> str:
        return next(key for key in keys if key in known)

    spent = {"in": Fraction(0), "out": Fraction(0), "read": Fraction(0), "write": Fraction(0)}
    part = {IN: "in", OUT: "out", READ: "read", WRITE: "write", LONG: "write", REASONING: "out"}
    for count, key in (
        (whole - read - written, IN),
        (out - reasoning, OUT),
        (reasoning, priced_as(REASONING, OUT)),
        (read, priced_as(READ, IN)),
        (written - long, priced_as(WRITE, IN)),
        (long, priced_as(LONG, WRITE, IN)),
    ):
        spent[part[key]] += count * rate(key)
    exact = [spent[name] * PICO for name in ("in", "out", "read", "write")]
    total = round(sum(exact))  # Fraction rounds half to even
    rounded = [value.__floor__() for value in exact]
    order = sorted(range(4), key=lambda index: exact[index] - rounded[index], reverse=True)
    for index in order[: total - sum(rounded)]:
        rounded[index] += 1
    saved = read * (rate(IN) - rate(READ)) if READ in known else Fraction(0)
    return Expected(total, tuple(rounded), round(saved * PICO))


@given(prices(), usages())
@example(
    {IN: "0.000001", OUT: "0.0000005", READ: "0.0000005"}, Usage(input_tokens=3, output_tokens=1, cache_read_tokens=1)
)
@example({IN: ["1", [1000, "2"]], OUT: ["3", [128_000, "4"]]}, Usage(input_tokens=128_001, output_tokens=1))
@example({IN: ["1", [1000, "2"]], OUT: ["3", [128_000, "4"]]}, Usage(input_tokens=128_000, output_tokens=1))
def test_any_cost_is_that_of_the_reference(known: Prices, usage: Usage) -> None:
    rates = compile_rates(Quote("ref", known))
    cost, expected = rates.cost(usage), reference(known, usage)
    assert cost == rates.whole_cost(usage)
    assert cost.total_picousd == expected.total
    parts = (cost.input_picousd, cost.output_picousd, cost.cache_read_picousd, cost.cache_write_picousd)
    assert parts == expected.parts
    assert cost.cache_savings_picousd == expected.savings
    assert cost.cost_usd == Decimal(expected.total).scaleb(-12)


counts = st.none() | st.integers(-3, 12)


@given(prices(), st.builds(Usage, **dict.fromkeys(Usage.__struct_fields__[:10], counts)))
def test_the_quick_way_never_differs_from_the_whole_one(known: Prices, usage: Usage) -> None:
    rates = compile_rates(Quote("ref", known))
    cost = rates.cost(usage)
    assert cost == rates.whole_cost(usage)
    assert (cost.status == COST_INCONSISTENT) == (not usage.is_consistent())


def test_most_models_of_the_table_take_the_quick_way() -> None:
    book, at = default_book(), datetime(2026, 11, 1, tzinfo=UTC)
    found = [
        book.rates(provider.id, model.match[1], at=at)
        for provider in book.providers.values()
        for model in provider.models
        if model.match[0] == "equals"
    ]
    quick = sum(bool(rates and rates.quick) for rates in found)
    assert quick > 0.8 * len(found), (quick, len(found))
