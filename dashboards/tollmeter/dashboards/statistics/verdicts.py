"""What a comparison of variants says, in a sentence that claims no more than its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tollmeter.dashboards.statistics.experiments import CONFIDENCE, LEAST_CLUSTERS, Comparison, Interval


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared: its name, and what less and more of it are called; `unit` is % or points."""

    name: str
    less: str
    more: str
    unit: str = "%"


COST: Final = Measure("cost", "cheaper", "dearer")
LATENCY: Final = Measure("latency", "faster", "slower")
ERRORS: Final = Measure("error rate", "points fewer errors", "points more errors", unit="points")


def score(name: str) -> Measure:
    """An evaluation score, where more is better.

    >>> score("relevance").more
    'higher relevance'
    """
    return Measure(name, f"lower {name}", f"higher {name}", unit="")


def sentence(variant: str, found: Sequence[tuple[Measure, Comparison]]) -> str:
    """One sentence on a variant beside the first; nothing is called a difference whose interval holds none.

    >>> cheaper = Comparison("lower", Interval(-0.12, -0.15, -0.08), 400)
    >>> alike = Comparison("same", Interval(0.001, -0.01, 0.012), 400)
    >>> sentence("B", [(COST, cheaper), (score("quality"), alike)])
    'B is 12 % cheaper, 95 % interval 8–15 %; quality no different.'
    """
    if found and all(comparison.verdict == "thin" for _, comparison in found):
        clusters = max(comparison.clusters for _, comparison in found)
        return f"Too little data to judge {variant}: {clusters} sessions on one side, of {LEAST_CLUSTERS} needed."
    said = [_clause(measure, comparison) for measure, comparison in found]
    verb = "is " if found and found[0][1].verdict in ("lower", "higher") and found[0][0].unit == "%" else ": "
    return (
        f"{variant}{' ' if verb == 'is ' else ''}{verb}{'; '.join(said)}."
        if said
        else f"Nothing to judge {variant} by."
    )


def _clause(measure: Measure, found: Comparison) -> str:
    if found.verdict == "thin":
        return f"{measure.name}: too little data"
    if found.interval is None:
        return f"{measure.name}: not comparable"
    if found.verdict == "same":
        return f"{measure.name} no different"
    if found.verdict == "unclear":
        low, high = (_signed(edge, measure) for edge in (found.interval.low, found.interval.high))
        return f"{measure.name}: no difference shown ({low} to {high})"
    return _difference(measure, found.interval, measure.less if found.verdict == "lower" else measure.more)


def _difference(measure: Measure, interval: Interval, word: str) -> str:
    near, far = sorted((abs(interval.low), abs(interval.high)))
    value, low, high = (_amount(part, measure) for part in (abs(interval.value), near, far))
    unit = " %" if measure.unit == "%" else ""
    level = f"{CONFIDENCE:.0%}".replace("%", " %")
    if not measure.unit:
        return f"{word} by {value}, {level} interval {low}–{high}"
    return f"{value}{unit} {word}, {level} interval {low}–{high}{unit}"


def _amount(value: float, measure: Measure) -> str:
    scaled = value * 100 if measure.unit else value
    return f"{scaled:.3g}" if scaled < 10 and not measure.unit else _percent(scaled)  # noqa: PLR2004


def _percent(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"  # noqa: PLR2004


def _signed(value: float, measure: Measure) -> str:
    unit = {"%": " %", "points": " points", "": ""}[measure.unit]
    return f"{'-' if value < 0 else '+'}{_amount(abs(value), measure)}{unit}"
