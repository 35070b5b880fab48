"""Intervals and verdicts of variants: known values, honest words, and coverage by simulation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from random import Random

import pytest

from tollmeter.dashboards.statistics import verdicts
from tollmeter.dashboards.statistics.experiments import (
    Comparison,
    Interval,
    Sample,
    compare_means,
    compare_rates,
    compare_scores,
    mean_interval,
    rate_interval,
)


def sample_of(clusters: Iterable[list[float]]) -> Sample:
    """The sums that a query makes of calls by session."""
    pairs = [(sum(cluster), len(cluster)) for cluster in clusters if cluster]
    return Sample(
        clusters=len(pairs),
        calls=sum(n for _, n in pairs),
        total=sum(s for s, _ in pairs),
        square_totals=sum(s * s for s, _ in pairs),
        products=sum(s * n for s, n in pairs),
        square_calls=sum(n * n for _, n in pairs),
    )


def test_calls_on_their_own_give_the_interval_of_the_textbook() -> None:
    # Student's 1908 data, group 2: mean 2.33, sd 2.002, n 10; t.ppf(0.975, 9) = 2.2622.
    student = sample_of([[x] for x in (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)])
    found = mean_interval(student)
    assert found
    assert (round(found.value, 2), round(found.low, 3), round(found.high, 3)) == (2.33, 0.898, 3.762)


def test_a_rate_on_its_own_gives_wilsons_interval() -> None:
    # 10 of 50: (0.2384 ± 0.1173) / 1.0768, by the formula of Wilson (1927).
    found = rate_interval(sample_of([[1.0]] * 10 + [[0.0]] * 40))
    assert found
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (0.2, 0.112, 0.33)


def test_newcombes_difference_of_56_of_70_and_48_of_80() -> None:
    # Newcombe (1998), example (a), method 10: 0.2 with 0.0524 to 0.3339.
    first = sample_of([[1.0]] * 48 + [[0.0]] * 32)
    other = sample_of([[1.0]] * 56 + [[0.0]] * 14)
    found = compare_rates(first, other)
    assert found.interval
    assert round(found.interval.low, 2) == 0.05
    assert round(found.interval.high, 2) == 0.33
    assert found.verdict == "higher"


def test_sessions_that_agree_within_are_worth_as_many_calls_as_sessions() -> None:
    alike = sample_of([[1.0] * 10] * 10 + [[0.0] * 10] * 40)
    apart = sample_of([[1.0]] * 10 + [[0.0]] * 40)
    one, two = rate_interval(alike), rate_interval(apart)
    assert one
    assert two
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=0.003)


def test_a_rate_of_nothing_is_bounded_by_its_sessions() -> None:
    found = rate_interval(sample_of([[0.0] * 20] * 30))
    assert found
    assert found.low == 0
    assert 0.10 < found.high < 0.12  # 3.84 / (30 + 3.84)


def test_without_calls_sessions_or_cost_there_is_no_interval() -> None:
    one, many = sample_of([[1.0, 2.0]]), sample_of([[1.0], [2.0]] * 30)
    nothing = sample_of([[0.0]] * 40)
    assert mean_interval(Sample()) is None
    assert mean_interval(one) is None
    assert rate_interval(Sample()) is None
    assert compare_means(Sample(), many) == Comparison("thin", None, 0)
    assert compare_means(many, nothing) == Comparison("unclear", None, 40)
    assert compare_rates(Sample(), nothing) == Comparison("thin", None, 0)
    assert compare_scores(one, many) == Comparison("thin", None, 1)


def test_equal_samples_are_no_different_and_noisy_ones_are_unclear() -> None:
    steady = sample_of([[1.0, 1.0]] * 100)
    wild = sample_of([[0.1], [4.0]] * 20)
    assert compare_means(steady, steady).verdict == "same"
    assert compare_means(steady, sample_of([[0.9]] * 100)).verdict == "lower"
    assert compare_means(wild, sample_of([[0.1], [4.4]] * 20)).verdict == "unclear"
    assert compare_scores(steady, steady).verdict == "same"


@pytest.mark.parametrize(
    ("verdict", "interval", "measure", "said"),
    [
        ("lower", Interval(-0.12, -0.15, -0.08), verdicts.COST, "B is 12 % cheaper, 95 % interval 8–15 %."),
        ("higher", Interval(0.034, 0.011, 0.058), verdicts.LATENCY, "B is 3.4 % slower, 95 % interval 1.1–5.8 %."),
        ("same", Interval(0.0, -0.01, 0.01), verdicts.COST, "B: cost no different."),
        ("unclear", Interval(0.01, -0.04, 0.06), verdicts.COST, "B: cost: no difference shown (-4 % to +6 %)."),
        ("higher", Interval(0.02, 0.005, 0.034), verdicts.ERRORS,
         "B: 2 points more errors, 95 % interval 0.5–3.4."),
        ("lower", Interval(-0.21, -0.3, -0.125), verdicts.score("relevance"),
         "B: lower relevance by 0.21, 95 % interval 0.125–0.3."),
        ("unclear", None, verdicts.COST, "B: cost: not comparable."),
    ],
)  # fmt: skip
def test_the_sentence_says_what_the_interval_says(
    verdict: str, interval: Interval | None, measure: verdicts.Measure, said: str
) -> None:
    assert verdicts.sentence("B", [(measure, Comparison(verdict, interval, 400))]) == said  # type: ignore[arg-type]


def test_thin_data_is_named_whole_or_in_part() -> None:
    thin = Comparison("thin", None, 12)
    assert verdicts.sentence("B", [(verdicts.COST, thin)]) == (
        "Too little data to judge B: 12 sessions on one side, of 30 needed."
    )
    alike = Comparison("same", Interval(0, 0, 0), 50)
    assert verdicts.sentence("B", [(verdicts.COST, alike), (verdicts.score("quality"), thin)]) == (
        "B: cost no different; quality: too little data."
    )


def test_95_of_100_intervals_hold_the_truth_with_heavy_tails_and_sessions() -> None:
    rng = Random(11)
    rounds, held = 400, {"cost": 0, "rate": 0, "score": 0}
    mean = math.exp(0.9**2 / 2 + 0.4**2 / 2)
    for _ in range(rounds):
        first, other = _sessions(rng, 1.0), _sessions(rng, 0.88)
        cost = compare_means(sample_of(first), sample_of(other)).interval
        score = compare_scores(sample_of(first), sample_of(other)).interval
        rate = compare_rates(sample_of(_flags(rng, 0.04)), sample_of(_flags(rng, 0.07))).interval
        assert cost
        assert score
        assert rate
        held["cost"] += cost.low <= -0.12 <= cost.high
        held["score"] += score.low <= -0.12 * mean <= score.high
        held["rate"] += rate.low <= 0.03 <= rate.high
    # 95 % of 400 is 380; four standard errors are 18.
    assert {name: 362 <= count <= 398 for name, count in held.items()} == dict.fromkeys(held, True), held


def _sessions(rng: Random, scale: float) -> list[list[float]]:
    """Costs of 120 sessions: of one to eight calls, of a level of their own, of log-normal tails."""
    return [
        [level * rng.lognormvariate(0, 0.9) for _ in range(rng.randint(1, 8))]
        for level in (scale * rng.lognormvariate(0, 0.4) for _ in range(120))
    ]


def _flags(rng: Random, share: float) -> list[list[float]]:
    """Failures of 150 sessions, of which half have none: calls of a session fail together."""
    return [
        [float(rng.random() < risk) for _ in range(rng.randint(1, 8))]
        for risk in (rng.choice((0, 2 * share)) for _ in range(150))
    ]
