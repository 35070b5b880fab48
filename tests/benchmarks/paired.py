"""Paired differences: their median and a bootstrap interval."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2000
SEED = 20261123


@dataclass(frozen=True, slots=True)
class Difference:
    """Median of paired differences, or ratios, with its 95 % interval."""

    median: float
    low: float
    high: float


def share(
    base: Sequence[float], ours: Sequence[float], their_base: Sequence[float], theirs: Sequence[float]
) -> Difference:
    """What one adds over its base, as a share of what another adds over its own, with its 95 % interval.

    The medians of both differences are taken over the same rounds, resampled together.
    """
    pairs = [
        (mine - plain, other - bare) for plain, mine, bare, other in zip(base, ours, their_base, theirs, strict=True)
    ]
    dice = random.Random(SEED)
    shares = sorted(_share(dice.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return Difference(_share(pairs), shares[int(0.025 * RESAMPLES)], shares[int(0.975 * RESAMPLES) - 1])


def ratio(base: Sequence[float], other: Sequence[float]) -> Difference:
    """Median of `other / base`, round by round, with a 95 % percentile-bootstrap interval."""
    pairs = [theirs / ours for ours, theirs in zip(base, other, strict=True)]
    dice = random.Random(SEED)
    medians = sorted(median(dice.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return Difference(median(pairs), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1])


def _share(pairs: Sequence[tuple[float, float]]) -> float:
    added = median(theirs for _, theirs in pairs)
    return median(ours for ours, _ in pairs) / added if added > 0 else float("inf")


def difference(base: Sequence[float], other: Sequence[float]) -> Difference:
    """Median of `other - base`, round by round, with a 95 % percentile-bootstrap interval."""
    pairs = [theirs - ours for ours, theirs in zip(base, other, strict=True)]
    dice = random.Random(SEED)
    medians = sorted(median(dice.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return Difference(median(pairs), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1])
