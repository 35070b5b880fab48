"""Why spend changed: the difference of two periods, split exactly into effects. `docs/why-it-changed.md` explains it.

What a model cost within a group is a product of things that can change by themselves:

    calls of the group · the model's share of them · (tokens per call · price per token + fees and other cost per call)

where input tokens are spread over three classes (neither read from a cache nor written to one, read, written) with a
price each. Let all of these move from before to after in a straight line, at one pace, and book each bit of the rise in
spend to what moved: that is the split. It is the Shapley value of each factor, so no order of the factors is preferred,
and the effects add up to the difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Final, Literal, TypeAlias

from tollmeter.dashboards.statistics.rounding import WIDE, to_total
from tollmeter.model.columns import MONEY_SCALE

Effect = Literal["volume", "mix", "tokens", "cache", "price", "fees", "other", "new", "gone"]
State = Literal["both", "new", "gone"]
Effects: TypeAlias = Mapping[Effect, Decimal]

EFFECTS: Final[tuple[Effect, ...]] = ("volume", "mix", "tokens", "cache", "price", "fees", "other", "new", "gone")

_ZERO: Final = Decimal(0)
_UNIT: Final = Decimal(1).scaleb(-MONEY_SCALE)
_NOISE: Final = Decimal("1e-30")  # below it stands what ratios were rounded by
# Boole's rule: exact for polynomials up to the fifth degree, and what is integrated here has the fourth.
_STEPS: Final = tuple(
    (Decimal(place) / 4, Decimal(weight)) for place, weight in ((0, 7), (1, 32), (2, 12), (3, 32), (4, 7))
)
_WEIGHTS: Final = Decimal(90)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model did for one entity in one period, over calls whose cost is known; money in USD."""

    entity: str
    model: str
    calls: int = 0
    plain_tokens: int = 0
    read_tokens: int = 0
    write_tokens: int = 0
    output_tokens: int = 0
    plain_cost: Decimal = _ZERO
    read_cost: Decimal = _ZERO
    write_cost: Decimal = _ZERO
    output_cost: Decimal = _ZERO
    fees: Decimal = _ZERO
    cost: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one model of one entity, or all of them (`model` is empty), added to the difference, effect by effect."""

    entity: str
    model: str
    before: Decimal
    after: Decimal
    effects: Effects
    state: State

    @property
    def difference(self) -> Decimal:
        """After less before; the effects add up to it exactly."""
        return WIDE.subtract(self.after, self.before)


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A difference in spend, split: effects in all, by entity (greatest change first), and by entity and model."""

    before: Decimal
    after: Decimal
    effects: Effects
    entities: tuple[Contribution, ...] = ()
    cells: tuple[Contribution, ...] = ()

    @property
    def difference(self) -> Decimal:
        """After less before; the effects add up to it exactly."""
        return WIDE.subtract(self.after, self.before)


@dataclass(frozen=True, slots=True)
class _Factors:
    """A cell as factors; None where the period says nothing of one: then it has not changed."""

    volume: Decimal
    share: Decimal | None
    input: Decimal | None
    output: Decimal | None
    classes: tuple[Decimal, ...] | None
    prices: tuple[Decimal | None, ...]
    fees: Decimal | None
    other: Decimal | None


@dataclass(frozen=True, slots=True)
class _Line:
    """One factor on its way from before to after."""

    start: Decimal
    step: Decimal

    def at(self, moment: Decimal) -> Decimal:
        return self.start + moment * self.step


@dataclass(slots=True)
class _Sums:
    before: Decimal = _ZERO
    after: Decimal = _ZERO
    calls_before: int = 0
    calls_after: int = 0
    effects: dict[Effect, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, before: Cell, after: Cell, effects: Effects) -> None:
        self.before = WIDE.add(self.before, before.cost)
        self.after = WIDE.add(self.after, after.cost)
        self.calls_before += before.calls
        self.calls_after += after.calls
        for effect, amount in effects.items():
            self.effects[effect] = WIDE.add(self.effects[effect], amount)

    def contribution(self, entity: str, model: str) -> Contribution:
        ordered: dict[Effect, Decimal] = {effect: self.effects[effect] for effect in EFFECTS if self.effects[effect]}
        state: State = "both"
        if not self.calls_before and self.calls_after:
            state = "new"
        if self.calls_before and not self.calls_after:
            state = "gone"
        return Contribution(entity, model, self.before, self.after, ordered, state)


def decompose(before: Iterable[Cell], after: Iterable[Cell], *, within_entity: bool) -> Decomposition:
    """The difference in spend between two periods, split into effects that add up to it to the last digit.

    Shares of models are taken within each entity (`within_entity`), or of all calls where entities are models or are
    known by them, as providers are. Whoever made no call of known cost in one of the periods is `new` or `gone` as a
    whole. Cells of the same entity and model must be summed up beforehand.

    >>> one = Cell("chat", "gpt-4o", calls=10, output_tokens=100, output_cost=Decimal(1), cost=Decimal(1))
    >>> two = Cell("chat", "gpt-4o", calls=20, output_tokens=200, output_cost=Decimal(4), cost=Decimal(4))
    >>> decompose([one], [two], within_entity=True).effects
    {'volume': Decimal('1.500000000000'), 'price': Decimal('1.500000000000')}
    """
    old = {(cell.entity, cell.model): cell for cell in before}
    new = {(cell.entity, cell.model): cell for cell in after}
    volumes = _volumes(old.values(), within_entity), _volumes(new.values(), within_entity)
    total, entities, cells = _Sums(), defaultdict[str, _Sums](_Sums), []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key, Cell(*key)), new.get(key, Cell(*key))
        group = key[0] if within_entity else ""
        effects = _closed(was, now, _effects(was, now, volumes[0].get(group, 0), volumes[1].get(group, 0)))
        cell = _Sums()
        for sums in (total, entities[key[0]], cell):
            sums.add(was, now, effects)
        cells.append(cell.contribution(*key))
    by_entity = [sums.contribution(name, "") for name, sums in entities.items()]
    all_of_it = total.contribution("", "")
    return Decomposition(
        all_of_it.before, all_of_it.after, all_of_it.effects, _by_change(by_entity), _by_change(cells)
    )  # fmt: skip


def _by_change(found: Sequence[Contribution]) -> tuple[Contribution, ...]:
    return tuple(sorted(found, key=lambda one: (-abs(one.difference), one.entity, one.model)))


def _volumes(cells: Iterable[Cell], within_entity: bool) -> dict[str, int]:  # noqa: FBT001 - private, and named above
    calls: dict[str, int] = defaultdict(int)
    for cell in cells:
        calls[cell.entity if within_entity else ""] += cell.calls
    return calls


def _closed(was: Cell, now: Cell, effects: Effects) -> Effects:
    """The effects rounded to the lake's last digit, so that they add up to the difference in it."""
    difference = WIDE.subtract(now.cost, was.cost)
    amounts = [amount.quantize(_NOISE, context=WIDE) for amount in effects.values()]
    return dict(zip(effects, to_total(amounts, difference, _UNIT), strict=True))


def _effects(was: Cell, now: Cell, calls_before: int, calls_after: int) -> Effects:
    """Effects of one cell, in 60 digits."""
    with localcontext(prec=60):
        # Cost without a call that made it, which only a lake in disorder has, is nothing that can be explained.
        stray = (now.cost if not now.calls else _ZERO) - (was.cost if not was.calls else _ZERO)
        if not calls_before or not calls_after:
            counted = (now.cost if now.calls else _ZERO) - (was.cost if was.calls else _ZERO)
            return {"new" if calls_after else "gone": counted, "other": stray}
        moved = _integrate(_factors(was, calls_before), _factors(now, calls_after))
        moved["other"] += stray
        return moved


def _factors(cell: Cell, calls_of_group: int) -> _Factors:
    volume = Decimal(calls_of_group)
    if not cell.calls:
        return _Factors(volume, _ZERO, None, None, None, (None,) * 4, None, None)
    tokens = (cell.plain_tokens, cell.read_tokens, cell.write_tokens, cell.output_tokens)
    costs = (cell.plain_cost, cell.read_cost, cell.write_cost, cell.output_cost)
    prices = tuple(cost / count if count else None for cost, count in zip(costs, tokens, strict=True))
    by_tokens = sum((cost for cost, count in zip(costs, tokens, strict=True) if count), _ZERO)
    read_in = sum(tokens[:3])
    return _Factors(
        volume=volume,
        share=cell.calls / volume,
        input=Decimal(read_in) / cell.calls,
        output=Decimal(cell.output_tokens) / cell.calls,
        classes=tuple(Decimal(count) / read_in for count in tokens[:3]) if read_in else None,
        prices=prices,
        fees=cell.fees / cell.calls,
        other=(cell.cost - by_tokens - cell.fees) / cell.calls,
    )


def _line(before: Decimal | None, after: Decimal | None) -> _Line:
    """From one value to the other; a period that says nothing changes nothing."""
    start = before if before is not None else after if after is not None else _ZERO
    return _Line(start, _ZERO if after is None else after - start)


def _integrate(was: _Factors, now: _Factors) -> dict[Effect, Decimal]:
    volume, share = _line(was.volume, now.volume), _line(was.share, now.share)
    read_in, output = _line(was.input, now.input), _line(was.output, now.output)
    fees, other = _line(was.fees, now.fees), _line(was.other, now.other)
    nothing = (None,) * 3
    classes = [_line(*pair) for pair in zip(was.classes or nothing, now.classes or nothing, strict=True)]
    *paid, paid_out = [_line(*pair) for pair in zip(was.prices, now.prices, strict=True)]
    sums: dict[Effect, Decimal] = dict.fromkeys(EFFECTS[:7], _ZERO)
    for moment, weight in _STEPS:
        calls, part = volume.at(moment), share.at(moment)
        into, out = read_in.at(moment), output.at(moment)
        spread, rates = [one.at(moment) for one in classes], [one.at(moment) for one in paid]
        rate_out = paid_out.at(moment)
        rate_in = sum(map(Decimal.__mul__, spread, rates), _ZERO)
        per_call = into * rate_in + out * rate_out + fees.at(moment) + other.at(moment)
        here = weight * calls * part
        sums["volume"] += weight * volume.step * part * per_call
        sums["mix"] += weight * calls * share.step * per_call
        sums["tokens"] += here * (read_in.step * rate_in + output.step * rate_out)
        sums["cache"] += here * into * sum((one.step * rate for one, rate in zip(classes, rates, strict=True)), _ZERO)
        dearer_in = sum((part_of * one.step for one, part_of in zip(paid, spread, strict=True)), _ZERO)
        sums["price"] += here * (into * dearer_in + out * paid_out.step)
        sums["fees"] += here * fees.step
        sums["other"] += here * other.step
    return {effect: amount / _WEIGHTS for effect, amount in sums.items()}
