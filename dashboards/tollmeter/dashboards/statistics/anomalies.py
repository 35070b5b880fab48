"""Buckets that stand out of trend and season: expected, actual, and the band within which they would not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Every = Literal["day", "hour"]

DEVIATIONS: Final = 6.0
"""Half the width of the band, in robust standard deviations of what trend and season leave over."""
LEAST_SHARE: Final[dict[Every, float]] = {"day": 0.3, "hour": 0.8}
"""What deviates by less than this share of what was expected is no news, however regular the history."""
HISTORY: Final[dict[Every, int]] = {"day": 28, "hour": 21 * 24}
"""Buckets that must be known before anything is called unusual: four weeks of days, three of hours."""
_WEEK: Final[dict[Every, int]] = {"day": 7, "hour": 168}
_STEADY: Final = (
    35  # season's smoother over so many cycles: as good as fixed, so that one spike does not become a habit
)
_NORMAL: Final = 1.4826  # of the median absolute deviation, which is that of a normal distribution's deviation


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A bucket that stands out: its place in the series, what was, what was expected, and the band's ends."""

    place: int
    actual: float
    expected: float
    low: float
    high: float


def anomalies(values: Sequence[float], every: Every, floor: float) -> tuple[Anomaly, ...]:
    """The buckets of a series without gaps (0 where nothing was) that stand out by more than `floor` in its unit.

    Trend and a weekly season, of days or of hours, by robust STL (statsmodels) of the square roots, which steadies what
    grows with the level; the band is six times the median absolute deviation of the rest, scaled. None where the
    history is short (`HISTORY`) or flat.
    """
    if len(values) < HISTORY[every] or not any(values):
        return ()
    import numpy as np

    actual = np.asarray(values, dtype=float)
    roots = np.sqrt(np.clip(actual, 0, None))
    fitted = np.clip(_fitted(roots, _WEEK[every]), 0, None)
    rest = roots - fitted
    half = DEVIATIONS * _NORMAL * float(np.median(np.abs(rest - np.median(rest))))
    expected, low, high = fitted**2, np.clip(fitted - half, 0, None) ** 2, (fitted + half) ** 2
    least = np.maximum(floor, LEAST_SHARE[every] * expected)
    out = ((actual > high) | (actual < low)) & (np.abs(actual - expected) > least)
    return tuple(
        Anomaly(int(at), float(actual[at]), float(expected[at]), float(low[at]), float(high[at]))
        for at in np.flatnonzero(out)
    )


def _fitted(roots: Any, period: int) -> Any:
    from statsmodels.tsa.seasonal import STL

    found = STL(roots, period=period, seasonal=_STEADY, robust=True).fit()
    return found.trend + found.seasonal
