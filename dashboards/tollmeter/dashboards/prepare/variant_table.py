"""Variants side by side: figures with their intervals, the plain verdict, and what forbids one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from tollmeter.dashboards.prepare import formats
from tollmeter.dashboards.queries.variants import Variant
from tollmeter.dashboards.statistics.experiments import (
    LEAST_CLUSTERS,
    Comparison,
    Interval,
    Sample,
    compare_means,
    compare_rates,
    compare_scores,
    mean_interval,
    rate_interval,
)

Better = Literal["lower", "higher", "neither"]
Kind = Literal["mean", "rate", "score"]
OVERLAP_FROM: Final = 0.01
"""Above this share of users in more than one variant the reader is warned: what they saw of one colours the other."""
_PERCENT: Final = 100
_SCORE: Final = "score "
NOT_NAMED: Final = "(not set)"
_DIGITS: Final = 3
_NOT_TOLD: Final = ("tokens", "ttft_ms")
"""Measures that stand in the table and not in the sentence: they say why, not whether it is worth it."""
_UNDECIDED: Final = {
    "no different": "{} no different",
    "not told apart": "{} not told apart yet",
    "too few": "too few calls to tell {}",
    "cannot": "nothing known of {}",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of calls: how it reads, which way is better, and how it is compared."""

    key: str
    label: str
    kind: Kind
    better: Better
    text: Callable[[float], str]
    lower_word: str
    higher_word: str
    verb: Literal["is", "has"] = "has"


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one variant: the value, its 95 % interval and on how many calls and sessions it stands."""

    text: str
    interval: str
    calls: int
    clusters: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of all variants, and what the others are against the first."""

    measure: Measure
    cells: tuple[Cell, ...]
    verdicts: tuple[str, ...]
    tones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Variants, their measures, a sentence for each variant against the first, and warnings."""

    names: tuple[str, ...]
    lines: tuple[Line, ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]


def _money(value: float) -> str:
    return formats.money(Decimal(repr(value)))


def _percent(value: float) -> str:
    return f"{value * _PERCENT:.2f} %"


def _number(value: float) -> str:
    return f"{value:,.{_DIGITS}g}" if abs(value) < _PERCENT else f"{value:,.0f}"


MEASURES: Final = (
    Measure("cost_usd", "Cost per call", "mean", "lower", _money, "cheaper", "dearer", "is"),
    Measure("latency_ms", "Latency, mean", "mean", "lower", formats.duration, "faster", "slower", "is"),
    Measure("ttft_ms", "First token, mean", "mean", "lower", formats.duration, "faster to the first token", "slower to the first token"),  # noqa: E501 - a table: one row, one line
    Measure("tokens", "Tokens per call", "mean", "neither", _number, "fewer tokens", "more tokens"),
    Measure("error", "Error rate", "rate", "lower", _percent, "fewer errors", "more errors"),
)  # fmt: skip


def table(variants: Sequence[Variant], baseline: str = "") -> Table:
    """All measures of some variants; the baseline, else the first by name, is what the others are held against."""
    ordered = sorted(variants, key=lambda one: (one.totals.variant != baseline, one.totals.variant))
    names = tuple(one.totals.variant or NOT_NAMED for one in ordered)
    scores = sorted({key for one in ordered for key in one.samples if key.startswith(_SCORE)})
    measures = (*MEASURES, *(_score(key) for key in scores))
    lines = tuple(_line(measure, ordered) for measure in measures if any(measure.key in one.samples for one in ordered))
    return Table(names, lines, _sentences(names, lines), _warnings(ordered))


def _score(key: str) -> Measure:
    name = key.removeprefix(_SCORE)
    return Measure(key, f"Score: {name}", "score", "higher", _number, f"lower {name}", f"higher {name}")


def _line(measure: Measure, ordered: Sequence[Variant]) -> Line:
    samples = [one.samples.get(measure.key, Sample()) for one in ordered]
    first = samples[0]
    compared = [_compare(measure, first, other) for other in samples[1:]]
    verdicts = tuple(_verdict(measure, one) for one in compared)
    return Line(
        measure, tuple(_cell(measure, one) for one in samples), verdicts, tuple(_tone(measure, one) for one in compared)
    )


def _cell(measure: Measure, sample: Sample) -> Cell:
    interval = rate_interval(sample) if measure.kind == "rate" else mean_interval(sample)
    if sample.mean is None:
        return Cell(formats.NOTHING, "", 0, 0, None, None, None)
    return Cell(
        measure.text(sample.mean), _interval_text(measure, interval), sample.calls, sample.clusters, sample.mean,
        interval.low if interval else None, interval.high if interval else None,
    )  # fmt: skip


def _interval_text(measure: Measure, interval: Interval | None) -> str:
    if interval is None:
        return "too few for an interval"
    low = max(0.0, interval.low) if measure.kind != "score" else interval.low
    return f"{measure.text(low)} – {measure.text(interval.high)}"


def _compare(measure: Measure, first: Sample, other: Sample) -> Comparison:
    return {"mean": compare_means, "rate": compare_rates, "score": compare_scores}[measure.kind](first, other)


def _verdict(measure: Measure, compared: Comparison) -> str:
    if compared.verdict == "thin":
        return f"too few calls: {compared.clusters} of {LEAST_CLUSTERS} sessions"
    if compared.interval is None:
        return "cannot be told"
    span = _span(measure, compared.interval)
    if compared.verdict == "same":
        return f"no different ({span})"
    if compared.verdict == "unclear":
        return f"not told apart ({span})"
    word = measure.lower_word if compared.verdict == "lower" else measure.higher_word
    size = abs(compared.interval.value)
    return f"{_size(measure, size)} {word} ({span})"


def _size(measure: Measure, size: float) -> str:
    if measure.kind == "mean":
        return f"{size * _PERCENT:.0f} %" if size >= 0.1 else f"{size * _PERCENT:.1f} %"  # noqa: PLR2004
    return f"{size * _PERCENT:.2f} points" if measure.kind == "rate" else _number(size)


def _span(measure: Measure, interval: Interval) -> str:
    """The interval, as sizes where it lies on one side of no change, else with signs."""
    if interval.high < 0 or interval.low > 0:
        low, high = sorted((abs(interval.low), abs(interval.high)))
        return f"95 % interval {_size(measure, low)} to {_size(measure, high)}"
    signs = [f"{'-' if edge < 0 else '+'}{_size(measure, abs(edge))}" for edge in (interval.low, interval.high)]
    return f"95 % interval {signs[0]} to {signs[1]}"


def _tone(measure: Measure, compared: Comparison) -> str:
    if compared.verdict not in ("lower", "higher") or measure.better == "neither":
        return "neutral"
    return "good" if compared.verdict == measure.better else "bad"


def _sentences(names: Sequence[str], lines: Sequence[Line]) -> tuple[str, ...]:
    """What each variant is against the first: differences first, what is no different after them."""
    made = []
    for index, name in enumerate(names[1:]):
        told = [(line.measure, line.verdicts[index]) for line in lines if line.measure.key not in _NOT_TOLD]
        by_state: dict[str, list[str]] = {}
        for measure, verdict in told:
            state = next((start for start in _UNDECIDED if verdict.startswith(start)), "")
            by_state.setdefault(state or measure.verb, []).append(_noun(measure) if state else verdict)
        parts = [f"{verb} {_and(by_state[verb])}" for verb in ("is", "has") if verb in by_state]
        clear = f"{name} {' and '.join(parts)}" if parts else f"{name} against {names[0]}"
        rest = [words.format(_and(by_state[start])) for start, words in _UNDECIDED.items() if start in by_state]
        made.append(f"{clear}{'; ' if parts and rest else ': ' if rest else ''}{'; '.join(rest)}")
    return tuple(made)


def _noun(measure: Measure) -> str:
    known = {"cost_usd": "cost", "latency_ms": "latency", "error": "errors"}
    return known.get(measure.key, measure.key.removeprefix(_SCORE))


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _warnings(variants: Sequence[Variant]) -> tuple[str, ...]:
    found = []
    users = max((one.totals.users for one in variants), default=0)
    shared = max((one.totals.shared_users for one in variants), default=0)
    if users and shared / users > OVERLAP_FROM:
        worst = max(variants, key=lambda one: one.totals.shared_users)
        found.append(
            f"{formats.count(worst.totals.shared_users)} of {formats.count(worst.totals.users)} users of "
            f"{worst.totals.variant or NOT_NAMED} got another variant too: the variants are not independent groups"
        )
    if len(variants) == 1:
        found.append("only one variant had calls in this span: there is nothing to hold it against")
    ends = [one.totals.last_at for one in variants]
    starts = [one.totals.first_at for one in variants]
    if len(variants) > 1 and max(starts) >= min(ends):
        found.append("the variants did not run at the same time: a difference may be that of the times")
    return tuple(found)
