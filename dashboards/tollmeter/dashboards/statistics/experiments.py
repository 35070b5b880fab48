"""Variants side by side: means and rates per call with intervals, and whether one differs from another.

Calls of one session are not independent, so a variant is judged by its sessions (or users; where a call has neither, by
itself): the variance of a mean is that of a ratio of cluster sums, by linearisation (Cochran, Sampling Techniques,
1977, §6.3 and §9A.2). A query can add up what that needs, so no row is moved: see `Sample`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

Verdict = Literal["lower", "higher", "same", "unclear", "thin"]

CONFIDENCE: Final = 0.95
LEAST_CLUSTERS: Final = 30
"""Sessions that each variant must have before anything is said about a difference."""
SAME_WITHIN: Final = 0.05
"""An interval that lies wholly within this share of the first variant's value is called no difference."""
SAME_POINTS: Final = 0.005
"""The same for rates, as a difference: half a percentage point."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Sums of one measure over the calls of a variant that have it, by cluster: s is a cluster's sum, n its calls.

    In SQL: group by variant and session first (`SUM(x) AS s, COUNT(x) AS n`), then by variant, over clusters with
    n > 0: `COUNT(*)`, `SUM(n)`, `SUM(s)`, `SUM(s * s)`, `SUM(s * n)`, `SUM(n * n)`. For a rate x is 1 or 0.
    """

    clusters: int = 0
    calls: int = 0
    total: float = 0.0
    square_totals: float = 0.0
    products: float = 0.0
    square_calls: float = 0.0

    @property
    def mean(self) -> float | None:
        """The value per call; None without calls."""
        return self.total / self.calls if self.calls else None

    @property
    def variance(self) -> float | None:
        """The variance of the mean; None where fewer than two clusters tell nothing of it."""
        if self.clusters < 2 or not self.calls:  # noqa: PLR2004
            return None
        mean = self.total / self.calls
        squares = self.square_totals - 2 * mean * self.products + mean * mean * self.square_calls
        return max(0.0, squares) / self.calls**2 * self.clusters / (self.clusters - 1)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One variant against the first: the relative change, or for rates and scores the difference; and what it means.

    `interval` is None where it cannot be told. The verdict is `lower` or `higher` where the interval leaves out no
    change, `same` where it lies within `SAME_WITHIN` of it, `unclear` where it holds both, and `thin` below
    `LEAST_CLUSTERS` sessions.
    """

    verdict: Verdict
    interval: Interval | None
    clusters: int


def mean_interval(sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
    """The value per call with its interval, by Student's t over clusters; None where there is no telling."""
    mean, variance = sample.mean, sample.variance
    if mean is None or variance is None:
        return None
    half = _t(confidence, sample.clusters - 1) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half)


def rate_interval(sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
    """A rate with Wilson's interval (1927), at the number of independent calls that the clusters are worth.

    By hand, as Newcombe's below: importing statsmodels for two formulas would cost a page's first reader seconds.
    """
    if sample.mean is None:
        return None
    rate, worth = sample.mean, _worth(sample)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    scale = 1 + z * z / worth
    middle = (rate + z * z / (2 * worth)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / worth + z * z / (4 * worth * worth))
    return Interval(rate, max(0.0, middle - half), min(1.0, middle + half))


def compare_means(first: Sample, other: Sample, confidence: float = CONFIDENCE) -> Comparison:
    """How much more or less the other variant takes per call: other / first - 1, by the log of the ratio.

    The interval is Welch's for the difference of logarithms, with variances by the delta method.
    """
    clusters = min(first.clusters, other.clusters)
    if not first.mean or not other.mean or first.mean < 0 or other.mean < 0:
        return Comparison(_undecided(clusters), None, clusters)
    parts = [(sample.variance or 0.0) / (sample.mean or 1.0) ** 2 for sample in (first, other)]
    half = _half(parts, first, other, confidence)
    if half is None:
        return Comparison(_undecided(clusters), None, clusters)
    change = math.log(other.mean / first.mean)
    interval = Interval(*(math.exp(edge) - 1 for edge in (change, change - half, change + half)))
    return Comparison(_verdict(interval, SAME_WITHIN, clusters), interval, clusters)


def compare_scores(first: Sample, other: Sample, confidence: float = CONFIDENCE) -> Comparison:
    """The difference of two mean scores, other - first, with Welch's interval; a score may be negative or 0."""
    clusters = min(first.clusters, other.clusters)
    if first.mean is None or other.mean is None:
        return Comparison(_undecided(clusters), None, clusters)
    half = _half([first.variance or 0.0, other.variance or 0.0], first, other, confidence)
    if half is None:
        return Comparison(_undecided(clusters), None, clusters)
    difference = other.mean - first.mean
    interval = Interval(difference, difference - half, difference + half)
    return Comparison(_verdict(interval, SAME_WITHIN * abs(first.mean), clusters), interval, clusters)


def compare_rates(first: Sample, other: Sample, confidence: float = CONFIDENCE) -> Comparison:
    """The difference of two rates, other - first, with Newcombe's interval (1998, method 10) from Wilson's of each.

    Half a percentage point either way is no difference.
    """
    clusters = min(first.clusters, other.clusters)
    one, two = rate_interval(first, confidence), rate_interval(other, confidence)
    if one is None or two is None:
        return Comparison(_undecided(clusters), None, clusters)
    difference = two.value - one.value
    down, up = (
        math.hypot(two.value - two.low, one.high - one.value),
        math.hypot(two.high - two.value, one.value - one.low),
    )
    interval = Interval(difference, difference - down, difference + up)
    return Comparison(_verdict(interval, SAME_POINTS, clusters), interval, clusters)


def _worth(sample: Sample) -> float:
    """How many independent calls tell as much about a rate; where every call ended alike, as many as clusters."""
    mean, variance = sample.mean or 0.0, sample.variance
    if not variance or not 0 < mean < 1:
        return float(sample.clusters)
    # Calls on their own are worth their number: without the factor by which the variance is unbiased.
    biased = variance * (sample.clusters - 1) / sample.clusters
    return min(float(sample.calls), mean * (1 - mean) / biased)


def _half(parts: list[float], first: Sample, other: Sample, confidence: float) -> float | None:
    """Half the width of Welch's interval; None where a variance is not known."""
    if first.variance is None or other.variance is None:
        return None
    whole = sum(parts)
    if not whole:
        return 0.0
    spread = parts[0] ** 2 / (first.clusters - 1) + parts[1] ** 2 / (other.clusters - 1)
    # The squares of variances that are all but 0 may vanish.
    freedom = whole**2 / spread if spread else float(min(first.clusters, other.clusters) - 1)
    return _t(confidence, freedom) * math.sqrt(whole)


def _t(confidence: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def _undecided(clusters: int) -> Verdict:
    return "thin" if clusters < LEAST_CLUSTERS else "unclear"


def _verdict(interval: Interval, margin: float, clusters: int) -> Verdict:
    if clusters < LEAST_CLUSTERS:
        return "thin"
    if interval.low > 0:
        return "higher"
    if interval.high < 0:
        return "lower"
    return "same" if -margin <= interval.low and interval.high <= margin else "unclear"
