"""Variants side by side: the plain verdict, and what forbids one."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from tollmeter.dashboards.prepare.variant_table import table
from tollmeter.dashboards.queries.variants import Variant, VariantTotals
from tollmeter.dashboards.statistics.experiments import Sample

NOW = datetime(2026, 11, 23)
TOTALS = VariantTotals("A", 400, 8, 0, 100, 0, 200, NOW, NOW + timedelta(days=7), Decimal(4))


def sample(values: list[float]) -> Sample:
    """Every value a session of its own."""
    count = len(values)
    return Sample(count, count, sum(values), sum(value * value for value in values), sum(values), float(count))


def variant(name: str, cost: float, *, sessions: int = 400, seed: int = 1, score: float = 0.8) -> Variant:
    rng = Random(seed)
    return Variant(
        replace(TOTALS, variant=name),
        {
            "cost_usd": sample([cost * rng.uniform(0.9, 1.1) for _ in range(sessions)]),
            "error": sample([float(index % 50 == 0) for index in range(sessions)]),
            "score relevance": sample([score + rng.uniform(-0.05, 0.05) for _ in range(sessions)]),
        },
    )


def test_a_clear_difference_is_said_plainly_and_what_is_the_same_too() -> None:
    found = table([variant("A", 0.01), variant("B", 0.0088, seed=2)])
    (sentence,) = found.sentences
    assert sentence.startswith("B is 12 % cheaper (95 % interval 11 % to 12 %)")
    assert "relevance no different" in sentence
    assert found.warnings == ()
    cost = found.lines[0]
    assert (cost.measure.key, cost.tones) == ("cost_usd", ("good",))
    assert cost.cells[0].calls == 400
    assert cost.cells[0].low is not None


def test_the_baseline_is_chosen_and_dearer_is_bad() -> None:
    found = table([variant("A", 0.01), variant("B", 0.0088, seed=2)], "B")
    assert found.names == ("B", "A")
    assert "A is 13 % dearer" in found.sentences[0]
    assert found.lines[0].tones == ("bad",)


def test_too_few_calls_say_so() -> None:
    found = table([variant("A", 0.01, sessions=29), variant("B", 0.005, sessions=400)])
    assert found.sentences == ("B against A: too few calls to tell cost, errors and relevance",)
    assert found.lines[0].verdicts == ("too few calls: 29 of 30 sessions",)


def test_scores_that_differ_are_told_with_their_direction() -> None:
    found = table([variant("A", 0.01), variant("B", 0.01, seed=3, score=0.6)])
    line = next(one for one in found.lines if one.measure.key == "score relevance")
    assert line.tones == ("bad",)
    assert "B has 0.204 lower relevance" in found.sentences[0]


def test_what_spoils_a_comparison_is_warned_of() -> None:
    shared = [replace(one, totals=replace(one.totals, shared_users=50)) for one in (variant("A", 1), variant("B", 1))]
    assert "50 of 100 users of A got another variant too" in table(shared).warnings[0]
    late = replace(variant("B", 1), totals=replace(TOTALS, variant="B", first_at=NOW + timedelta(days=8)))
    assert "did not run at the same time" in table([variant("A", 1), late]).warnings[0]
    assert "only one variant" in table([variant("A", 1)]).warnings[0]


def test_a_variant_without_a_measure_is_a_dash() -> None:
    bare = replace(variant("B", 1), samples={})
    found = table([variant("A", 1), bare])
    assert found.lines[0].cells[1].text == "—"
