"""What CloudWatch decides from the data points of one evaluation: a pure function.

The rules are those of the CloudWatch user guide, pages "Configuring how CloudWatch alarms treat missing data"
(alarms-and-missing-data), whose tables our tests hold row by row, and "Percentile-based alarms and low data samples"
(percentiles-with-low-samples).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from tollmeter.alarms.definition import Alarm, Comparison, MissingData

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
LowSamples = Literal["evaluate", "ignore"]
Reason = Literal["data", "filled", "kept", "premature", "too_young", "nothing_known", "low_samples"]

OK: Final[State] = "OK"
ALARM: Final[State] = "ALARM"
INSUFFICIENT_DATA: Final[State] = "INSUFFICIENT_DATA"

EXTRA_PERIODS: Final = 2
"""How many periods beyond N an evaluation looks back: the page says "a higher number" and shows 5 where N is 3."""

_COMPARE: Final[dict[Comparison, Callable[[float, float], bool]]] = {
    "greater_than": operator.gt,
    "greater_or_equal": operator.ge,
    "less_than": operator.lt,
    "less_or_equal": operator.le,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """M (`datapoints_to_alarm`) of N (`evaluation_periods`) beyond a threshold, and what stands in for missing data.

    `percentile` is 0 to 100, of an alarm on one; `low_samples` is CloudWatch's EvaluateLowSampleCountPercentile.
    """

    comparison: Comparison
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_data: MissingData
    percentile: Decimal | None = None
    low_samples: LowSamples = "evaluate"

    @property
    def range_periods(self) -> int:
        """How many periods an evaluation looks at, so that data older than N may stand in for what is missing."""
        return self.evaluation_periods + EXTRA_PERIODS

    def breaches(self, value: float) -> bool:
        """Whether a data point is beyond the threshold."""
        return _COMPARE[self.comparison](value, self.threshold)

    def has_too_few(self, samples: int) -> bool:
        """Whether the percentile of so many values says too little, and the rule waits for more.

        Fewer than 10 / (1 - p) are too few from p50 on, fewer than 10 / p below.
        """
        if self.percentile is None or self.low_samples == "evaluate":
            return False
        beyond = 100 - self.percentile if self.percentile >= 50 else self.percentile  # noqa: PLR2004 # the page's
        return samples * beyond < 1000  # noqa: PLR2004 # 10, times the hundred of percent


class Verdict(NamedTuple):
    """The state after one evaluation, by which rule, and how many missing data points were filled in."""

    state: State
    reason: Reason
    filled: int = 0


def rule_of(alarm: Alarm) -> Rule:
    """The rule by which CloudWatch judges an alarm."""
    return Rule(
        alarm.comparison, alarm.threshold, alarm.evaluation_periods, alarm.datapoints_to_alarm, alarm.missing_data
    )


def datapoint(alarm: Alarm, share: int, of: int) -> float | None:
    """The signal of one period in percent: None without any count, 0 below the floor on traffic.

    It is the expression that is rendered for CloudWatch: `IF(of >= min_traffic, 100 * share / of, 0)`.
    """
    if of == 0:
        return None
    return 100 * share / of if of >= alarm.min_traffic else 0.0


def judge(rule: Rule, points: Sequence[bool | None], before: State, samples: int = 0) -> Verdict:
    """The alarm's state after one evaluation.

    Args:
        rule: what fires the alarm.
        points: the evaluation range, oldest first: whether each data point breaches, None where it is missing.
        before: the state until now.
        samples: how many values the newest N periods hold; only a percentile asks.
    """
    if rule.has_too_few(samples):
        return Verdict(before, "low_samples")
    known = [point for point in points if point is not None]
    missing = rule.evaluation_periods - len(known)
    if missing <= 0:
        return _counted(rule, sum(known[-rule.evaluation_periods :]), "data", 0)
    if rule.missing_data == "breaching":
        return _counted(rule, sum(known) + missing, "filled", missing)
    if rule.missing_data == "not_breaching":
        return _counted(rule, sum(known), "filled", missing)
    return _unfilled(rule, points, known, before)


def _counted(rule: Rule, breaching: int, reason: Reason, filled: int) -> Verdict:
    return Verdict(ALARM if breaching >= rule.datapoints_to_alarm else OK, reason, filled)


def _unfilled(rule: Rule, points: Sequence[bool | None], known: list[bool], before: State) -> Verdict:
    """Fewer than N data points, and nothing stands in for the others.

    Breaching ones alone, fewer than M, fire once the oldest is M periods old (the page's premature alarm state). While
    it is younger, the page only says that the alarm does not fire; its versions of June 2018 to June 2019 have the row
    `- - - - X`: insufficient data, and with `ignore` the state is retained.
    """
    breaching = sum(known)
    if breaching >= rule.datapoints_to_alarm or breaching < len(known):
        return _counted(rule, breaching, "data", 0)
    if rule.missing_data == "ignore":
        return Verdict(before, "kept")
    if not known:
        return Verdict(INSUFFICIENT_DATA, "nothing_known")
    age = len(points) - next(index for index, point in enumerate(points) if point is not None)
    return Verdict(ALARM, "premature") if age >= rule.datapoints_to_alarm else Verdict(INSUFFICIENT_DATA, "too_young")
