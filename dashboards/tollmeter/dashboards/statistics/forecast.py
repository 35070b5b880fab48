"""What will have been spent at the end: the sum of the days to come, with a band, from the days that were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

LEAST_DAYS: Final = 14
"""Full days that must be known before anything is forecast: two weeks tell a weekday from a trend, one does not."""
MOST_DAYS: Final = 120
"""Older days are not looked at."""
BAND: Final = 0.8
"""The share of outcomes that the band is to hold; docs/budgets.md has what it held."""
WIDER: Final = 1.5
"""What the band is widened by, for paths know of no level that will move; found on simulated
histories of other seeds than docs/budgets.md reports."""
_WEEK: Final = 7
_PATHS: Final = 400
_WEEKS: Final = 8
_SEED: Final = 7
_ROUNDS: Final = 60


@dataclass(frozen=True, slots=True)
class Forecast:
    """For each day to come, the sum from the first of them on: expected, and the ends of the band."""

    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def forecast(history: Sequence[float], days: int) -> Forecast | None:
    """The sums of the next `days` days, after a history of full days without gaps (0 where nothing was spent).

    Two views of the same history, half of the paths each: exponential smoothing with a weekly season of the square
    roots (statsmodels' ETSModel, errors drawn from its own), which follows a level that moves; and weekdays drawn from
    the last eight weeks, which a spike does not carry away.
    None where fewer than `LEAST_DAYS` are known. The same history gives the same forecast.
    """
    known = _begun(history)[-MOST_DAYS:]
    if len(known) < LEAST_DAYS or days < 1:
        return None
    import numpy as np

    rng = np.random.default_rng(_SEED)
    past = np.asarray(known, dtype=float)
    paths = np.cumsum(np.concatenate([_smoothed(past, days, rng), _by_weekday(past, days, rng)], axis=1), axis=0)
    low, middle, high = np.quantile(paths, [(1 - BAND) / 2, 0.5, (1 + BAND) / 2], axis=1)
    low, high = (middle + WIDER * (end - middle) for end in (low, high))
    return Forecast(_told(paths.mean(axis=1)), _told(np.clip(low, 0, None)), _told(high))


def _begun(history: Sequence[float]) -> list[float]:
    """The history from its first day with anything on: before that there was no service."""
    first = next((place for place, value in enumerate(history) if value), len(history))
    return list(history[first:])


def _smoothed(past: np.ndarray, days: int, rng: Any) -> np.ndarray:
    """Paths of the days to come, by day and path."""
    import warnings

    import numpy as np
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    model = ETSModel(np.sqrt(past), error="add", seasonal="add", seasonal_periods=_WEEK)
    with warnings.catch_warnings():
        # A flat series has no likelihood to climb: the start values serve, and the band is as narrow as its history.
        warnings.simplefilter("ignore")
        fitted: Any = model.fit(disp=False, maxiter=_ROUNDS)
        paths = fitted.simulate(days, anchor="end", repetitions=_PATHS, random_errors="bootstrap", rng=rng)
    found: np.ndarray = np.clip(np.asarray(paths).reshape(days, _PATHS), 0, None) ** 2
    return found


def _by_weekday(past: np.ndarray, days: int, rng: Any) -> np.ndarray:
    """Likewise: a day is one of its weekday, of up to eight weeks; their means are drawn anew for each path, too."""
    import numpy as np

    weeks = min(len(past) // _WEEK, _WEEKS)
    known = past[-_WEEK * weeks :].reshape(weeks, _WEEK)
    weekday = np.arange(days) % _WEEK
    drawn = known[rng.integers(0, weeks, (_PATHS, days)), weekday]
    again = np.take_along_axis(known[None].repeat(_PATHS, 0), rng.integers(0, weeks, (_PATHS, weeks, _WEEK)), axis=1)
    shift = (again.mean(axis=1) - known.mean(axis=0))[:, weekday]
    found: np.ndarray = np.clip(drawn + shift, 0, None).T
    return found


def _told(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
