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
    """Median of paired differences with its 95 % interval."""

    median: float
    low: float
    high: float


def difference(base: Sequence[float], other: Sequence[float]) -> Difference:
    """Median of `other - base`, round by round, with a 95 % percentile-bootstrap interval."""
    pairs = [theirs - ours for ours, theirs in zip(base, other, strict=True)]
    dice = random.Random(SEED)
    medians = sorted(median(dice.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return Difference(median(pairs), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1])
