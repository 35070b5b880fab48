"""Why spend changed, as it is drawn and said: amounts that add up on the screen as they do in the lake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Final, Literal

from tollmeter.dashboards.dimensions import DIMENSIONS
from tollmeter.dashboards.prepare import cells, formats
from tollmeter.dashboards.statistics.decomposition import (
    EFFECTS,
    Cell,
    Contribution,
    Decomposition,
    Effect,
    Effects,
    decompose,
)
from tollmeter.dashboards.statistics.rounding import to_total

OF_MODELS: Final = frozenset({"", "model", "provider", "request_model"})
"""Dimensions by which the model is known: shares of models are taken of all calls, not within each value."""
REST: Final = "\x1frest"
"""The entity that stands for all that are not shown by themselves."""
MOST: Final = 200
_ALWAYS: Final[tuple[Effect, ...]] = ("volume", "mix", "tokens", "cache", "price")
_LABELS: Final[dict[Effect, str]] = {
    "volume": "Calls",
    "mix": "Mix of models",
    "tokens": "Tokens per call",
    "cache": "Cache",
    "price": "Prices",
    "fees": "Fees",
    "other": "Other",
    "new": "New",
    "gone": "Gone",
}
_WORDS: Final[dict[Effect, tuple[str, str]]] = {
    "volume": ("more calls", "fewer calls"),
    "mix": ("a dearer mix of models", "a cheaper mix of models"),
    "tokens": ("more tokens per call", "fewer tokens per call"),
    "cache": ("a dearer use of caches", "a cheaper use of caches"),
    "price": ("higher prices", "lower prices"),
    "fees": ("more fees per call", "fewer fees per call"),
    "other": ("other cost", "less other cost"),
    "new": ("new {plural}", "new {plural}"),
    "gone": ("{plural} that are gone", "{plural} that are gone"),
}
HELP: Final[dict[Effect, str]] = {
    "volume": "more or fewer calls, everything else alike",
    "mix": "calls moved between dearer and cheaper models",
    "tokens": "longer or shorter prompts and answers",
    "cache": "another share of the input read from or written to caches, at the difference in price",
    "price": "another price paid per token of the same kind",
    "fees": "other fees per call, such as web searches",
    "other": "cost that no token and no fee explains, such as of imports that know the total alone",
    "new": "who made no priced call in the earlier period",
    "gone": "who made no priced call in the later period",
}
_NAMED: Final = 4
_CENTS: Final = 2
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the waterfall, from `start` to `end` in shown dollars; totals stand on the ground."""

    label: str
    kind: Literal["total", "up", "down", "none"]
    start: Decimal
    end: Decimal
    text: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """All that the page shows: a sentence, a waterfall that adds up as shown, rows of a table, and captions."""

    sentence: str
    bars: tuple[Bar, ...]
    rows: tuple[dict[str, object], ...]
    columns: tuple[Effect, ...]
    caption: str
    table_caption: str


def change(before: Sequence[Cell], after: Sequence[Cell], by: str, *, unpriced: tuple[int, int] = (0, 0)) -> Change:
    """The difference between two periods, by a dimension (empty for none); `unpriced` are calls of unknown cost."""
    count = len({cell.entity for cell in (*before, *after)})
    kept = _kept(before, after)
    split = decompose(_merged(before, kept), _merged(after, kept), within_entity=by not in OF_MODELS)
    unit = _unit(split)
    plural = DIMENSIONS[by].plural if by else "calls"
    known = f"{formats.count(count)} {plural if count != 1 else DIMENSIONS[by].label.lower()}" if by else ""
    shown: tuple[Effect, ...] = tuple(effect for effect in EFFECTS if effect in _ALWAYS or split.effects.get(effect))
    rows = tuple(_row(one, by, unit) for one in split.entities)
    hidden = f"showing {formats.count(len(kept))} of {formats.count(count)} {plural}" if count > len(kept) else ""
    return Change(
        sentence=_sentence(split, unit, plural),
        bars=_bars(split, shown, unit),
        rows=rows,
        columns=shown,
        caption=_unpriced(*unpriced),
        table_caption=hidden or known,
    )


def label(effect: Effect) -> str:
    """What an effect is called on bars and columns."""
    return _LABELS[effect]


def _kept(before: Iterable[Cell], after: Iterable[Cell]) -> frozenset[str]:
    """The entities whose spend changed most; all of them where they are not many."""
    changes: defaultdict[str, Decimal] = defaultdict(Decimal)
    for cell in after:
        changes[cell.entity] += cell.cost
    for cell in before:
        changes[cell.entity] -= cell.cost
    return frozenset(sorted(changes, key=lambda name: (-abs(changes[name]), name))[:MOST])


def _merged(found: Iterable[Cell], kept: frozenset[str]) -> list[Cell]:
    """The cells, with all entities but those kept as one."""
    rest: dict[str, Cell] = {}
    apart = []
    for cell in found:
        if cell.entity in kept:
            apart.append(cell)
        else:
            held = rest.get(cell.model, Cell(REST, cell.model))
            sums = {name: getattr(held, name) + getattr(cell, name) for name in _SUMMED}
            rest[cell.model] = replace(held, **sums)
    return [*apart, *rest.values()]


_SUMMED: Final = tuple(field.name for field in fields(Cell) if field.name not in ("entity", "model"))


def _unit(split: Decomposition) -> Decimal:
    """What amounts are rounded to: a cent, and less where four digits need it."""
    largest = max(abs(split.before), abs(split.after), *(abs(amount) for amount in split.effects.values()), Decimal(0))
    places = max(_CENTS, _DIGITS - 1 - largest.adjusted()) if largest else _CENTS
    return Decimal(1).scaleb(-places)


def _rounded(before: Decimal, after: Decimal, effects: Effects, unit: Decimal) -> tuple[Decimal, Decimal, Effects]:
    """Both ends to the unit, and the effects so that they lead from one to the other."""
    start, end = (amount.quantize(unit) for amount in (before, after))
    return start, end, dict(zip(effects, to_total(list(effects.values()), end - start, unit), strict=True))


def _bars(split: Decomposition, shown: Sequence[Effect], unit: Decimal) -> tuple[Bar, ...]:
    start, end, effects = _rounded(split.before, split.after, split.effects, unit)
    nothing = Decimal(0)
    bars = [Bar("Before", "total", nothing, start, _money(start, unit))]
    reached = start
    for effect in shown:
        amount = effects.get(effect, nothing)
        kind: Literal["up", "down", "none"] = "up" if amount > 0 else "down" if amount < 0 else "none"
        bars.append(
            Bar(_LABELS[effect], kind, reached, reached + amount, _signed(amount, unit), HELP[effect])
        )  # fmt: skip
        reached += amount
    return (*bars, Bar("After", "total", nothing, end, _money(end, unit)))


def _row(one: Contribution, by: str, unit: Decimal) -> dict[str, object]:
    """A row of the table: who, both ends, the difference, each effect; its effects add up as shown."""
    start, end, effects = _rounded(one.before, one.after, one.effects, unit)
    known = DIMENSIONS.get(by)
    name = "all others" if one.entity == REST else known.text(one.entity) if known else "everything"
    row: dict[str, object] = {"key": one.entity, "name": name, "state": "" if one.state == "both" else one.state}
    for field, shown, exact in (
        ("before", start, one.before), ("after", end, one.after), ("difference", end - start, one.difference),
    ):  # fmt: skip
        row |= cells.money(field, exact)
        row[f"{field}_text"] = _money(shown, unit) if field != "difference" else _signed(shown, unit)
    for effect in EFFECTS:
        row |= cells.money(effect, one.effects.get(effect, Decimal(0)))
        row[f"{effect}_text"] = _signed(effects[effect], unit) if effects.get(effect) else "0"
    return row


def _sentence(split: Decomposition, unit: Decimal, plural: str) -> str:
    start, end, effects = _rounded(split.before, split.after, split.effects, unit)
    if not start and not end:
        return "Nothing was spent in either period."
    moved: list[Effect] = sorted((effect for effect in effects if effects[effect]), key=lambda one: -abs(effects[one]))
    parts = [_part(effect, effects[effect], unit, plural) for effect in moved[:_NAMED]]
    if rest := sum((effects[effect] for effect in moved[_NAMED:]), Decimal(0)):
        parts.append(f"{_signed(rest, unit)} the rest")
    why = f": {', '.join(parts)}." if parts else "."
    if start == end:
        return f"Spend did not change, {_money(end, unit)} in both periods{why}"
    rose = "rose" if end > start else "fell"
    share, _ = formats.change(end, start, up="neutral")
    told = f" ({share})" if start else ""
    return (
        f"Spend {rose} {_money(abs(end - start), unit)}{told}, from {_money(start, unit)} to {_money(end, unit)}{why}"
    )


def _part(effect: Effect, amount: Decimal, unit: Decimal, plural: str) -> str:
    return f"{_signed(amount, unit)} {_WORDS[effect][amount < 0].format(plural=plural)}"


def _unpriced(before: int, after: int) -> str:
    if not before and not after:
        return ""
    return f"calls of unknown cost are in neither sum: {formats.count(before)} before, {formats.count(after)} after"


def _money(amount: Decimal, unit: Decimal) -> str:
    places = -int(unit.as_tuple().exponent)
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{places}f}"


def _signed(amount: Decimal, unit: Decimal) -> str:
    return f"+{_money(amount, unit)}" if amount > 0 else _money(amount, unit)
