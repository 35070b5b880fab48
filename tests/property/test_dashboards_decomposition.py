"""Why spend changed: effects add up to the difference to the last digit, whatever the lake holds, in whatever order."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations
from math import factorial

from hypothesis import given, settings
from hypothesis import strategies as st

from tollmeter.dashboards.statistics.decomposition import Cell, decompose
from tollmeter.dashboards.statistics.rounding import to_total

_UNIT = Decimal("1e-12")
_NAMES = st.sampled_from(("a", "b", "", "<b>&,"))
_TOKENS = st.integers(0, 10**12) | st.integers(0, 3)
_MONEY = st.integers(0, 10**20).map(lambda number: Decimal(number) * _UNIT) | st.just(Decimal(0))


@st.composite
def _cells(draw: st.DrawFn) -> list[Cell]:
    keys = draw(st.lists(st.tuples(_NAMES, _NAMES), unique=True, max_size=6))
    return [draw(_cell(*key)) for key in keys]


@st.composite
def _cell(draw: st.DrawFn, entity: str = "a", model: str = "m") -> Cell:
    plain, read, written, output, fees = (draw(_MONEY) for _ in range(5))
    # Most rows have parts that add up; an import may know the total alone, and disorder is to add up, too.
    cost = draw(st.just(plain + read + written + output + fees) | _MONEY)
    return Cell(
        entity, model, draw(st.integers(0, 10**9) | st.integers(0, 2)),
        draw(_TOKENS), draw(_TOKENS), draw(_TOKENS), draw(_TOKENS),
        plain, read, written, output, fees, cost,
    )  # fmt: skip


@settings(deadline=None)
@given(_cells(), _cells(), st.booleans())
def test_effects_add_up_to_the_difference_in_all_by_entity_and_by_cell(
    before: list[Cell], after: list[Cell], within: bool
) -> None:
    found = decompose(before, after, within_entity=within)
    # Cells in disorder have effects of more digits than a sum in Python's 28 would keep.
    with localcontext(prec=80):
        assert (found.before, found.after) == (sum(c.cost for c in before), sum(c.cost for c in after))
        assert sum(found.effects.values()) == found.after - found.before
        for one in (*found.entities, *found.cells):
            assert sum(one.effects.values()) == one.after - one.before
        for name, total in found.effects.items():
            for parts in (found.entities, found.cells):
                assert sum(one.effects.get(name, Decimal(0)) for one in parts) == total


@settings(deadline=None)
@given(_cells(), _cells(), st.booleans())
def test_turned_around_every_effect_changes_its_sign(before: list[Cell], after: list[Cell], within: bool) -> None:
    there = decompose(before, after, within_entity=within).effects
    back = decompose(after, before, within_entity=within).effects
    turned = {"new": "gone", "gone": "new"}
    cells = len(before) + len(after)
    for name, amount in there.items():
        assert abs(amount + back.get(turned.get(name, name), Decimal(0))) <= 2 * cells * _UNIT  # type: ignore[call-overload]


@settings(max_examples=20, deadline=None)
@given(_cell(), _cell(), st.integers(0, 50), st.integers(0, 50))
def test_an_effect_is_the_shapley_value_of_its_factor(was: Cell, now: Cell, more: int, later: int) -> None:
    # A second model in the group, without cost, so that shares move.
    before, after = [was, Cell("a", "n", calls=more)], [now, Cell("a", "n", calls=later)]
    if not was.calls or not now.calls:
        return
    found = decompose(before, after, within_entity=True).effects
    for name, value in _shapley(was, was.calls + more, now, now.calls + later).items():
        assert abs(Fraction(found.get(name, Decimal(0))) - value) <= Fraction(_UNIT)  # type: ignore[call-overload]


@settings(deadline=None)
@given(st.lists(st.decimals(-1000, 1000, places=6), min_size=1, max_size=9))
def test_rounded_amounts_add_up_and_are_off_by_less_than_a_cent(amounts: list[Decimal]) -> None:
    cent = Decimal("0.01")
    total = sum(amounts, Decimal(0)).quantize(cent)
    rounded = to_total(amounts, total, cent)
    if any(amounts):
        assert sum(rounded) == total
    assert all(abs(one - other) <= cent for one, other in zip(rounded, amounts, strict=True))
    assert all(one == 0 for one, other in zip(rounded, amounts, strict=True) if other == 0)


_FACTORS = ("volume", "mix", "tokens", "cache", "price", "fees", "other")


def _shapley(was: Cell, calls_before: int, now: Cell, calls_after: int) -> dict[str, Fraction]:
    """What each factor adds when its turn comes, as the mean over all orders of the factors, in fractions."""
    old, new = _values(was, calls_before), _values(now, calls_after)
    for name, value in old.items():
        old[name], new[name] = _known(value, new[name])
    sums: dict[str, Fraction] = dict.fromkeys(_FACTORS, Fraction(0))
    for name in _FACTORS:
        others = [factor for factor in _FACTORS if factor != name]
        for size in range(len(others) + 1):
            orders = Fraction(factorial(size) * factorial(len(others) - size), factorial(len(_FACTORS)))
            for moved in combinations(others, size):
                then = _spend({factor: (new if factor in (*moved, name) else old)[factor] for factor in _FACTORS})
                sums[name] += orders * (then - _spend({f: (new if f in moved else old)[f] for f in _FACTORS}))
    return sums


def _known(before: list[Fraction | None], after: list[Fraction | None]) -> tuple[list, list]:  # type: ignore[type-arg]
    pairs = [
        (one if one is not None else other or Fraction(0), other if other is not None else one or Fraction(0))
        for one, other in zip(before, after, strict=True)
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _values(cell: Cell, calls: int) -> dict[str, list[Fraction | None]]:
    tokens = (cell.plain_tokens, cell.read_tokens, cell.write_tokens, cell.output_tokens)
    costs = (cell.plain_cost, cell.read_cost, cell.write_cost, cell.output_cost)
    read_in = sum(tokens[:3])
    priced = sum((Fraction(cost) for cost, count in zip(costs, tokens, strict=True) if count), Fraction(0))
    return {
        "volume": [Fraction(calls)],
        "mix": [Fraction(cell.calls, calls)],
        "tokens": [Fraction(read_in, cell.calls), Fraction(tokens[3], cell.calls)],
        "cache": [Fraction(count, read_in) if read_in else None for count in tokens[:3]],
        "price": [Fraction(cost) / count if count else None for cost, count in zip(costs, tokens, strict=True)],
        "fees": [Fraction(cell.fees) / cell.calls],
        "other": [(Fraction(cell.cost) - priced - Fraction(cell.fees)) / cell.calls],
    }


def _spend(by: dict[str, list]) -> Fraction:  # type: ignore[type-arg]
    into, out = by["tokens"]
    rate = sum((share * price for share, price in zip(by["cache"], by["price"][:3], strict=True)), Fraction(0))
    per_call = into * rate + out * by["price"][3] + by["fees"][0] + by["other"][0]
    return Fraction(by["volume"][0] * by["mix"][0] * per_call)
