"""Why an alarm was in a state at a time: the data points that were known, what each counted for, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from tollmeter.alarms.definition import Alarm, load_alarm
from tollmeter.alarms.evaluate import Reason, Rule, State, rule_of
from tollmeter.alarms.history import ARRIVAL_EVENT, minutes_of, read_history
from tollmeter.alarms.periods import MINUTE, DataPoint, Minute, data_points, evaluations, full_minute
from tollmeter.model.errors import SettingError
from tollmeter.model.home import Home

Treated = Literal["breaching", "not breaching", "not needed", "missing"]

_REASONS: Final[dict[Reason, str]] = {
    "data": "{breaching} of {known} data points breach, {needed} are needed",
    "filled": "{breaching} of {known} data points breach, {needed} are needed; {filled} missing ones are {stand_in}",
    "kept": "{known} data points are too few to tell, and missing data keeps the state",
    "premature": "all {known} data points there are breach, and the oldest is at least {needed} periods old",
    "too_young": "all {known} data points there are breach, but the oldest is not yet {needed} periods old",
    "nothing_known": "all data points of the evaluation range are missing",
    "low_samples": "too few values for the percentile, which keeps the state",
}


@dataclass(frozen=True, slots=True)
class TreatedPoint:
    """A data point of the evaluation range, and what the decision took it for."""

    point: DataPoint
    treated: Treated


@dataclass(frozen=True, slots=True)
class Explanation:
    """One evaluation, UTC: the evaluation range, oldest first, and the decision with its reason in words."""

    alarm: str
    at: datetime
    before: State
    state: State
    reason: str
    points: tuple[TreatedPoint, ...]


def explain(
    home: Home,
    name: str,
    at: str | datetime,
    *,
    service: str = "",
    environment: str = "",
    arrival: str = ARRIVAL_EVENT,
) -> Explanation:
    """The last evaluation of an alarm up to a time, over what the lake holds and was known by then.

    It follows the alarm from the lake's first minute on, since missing data may keep a state for long. `service`,
    `environment` and `arrival` are those of a backtest.

    Raises:
        UnknownNameError: there is no alarm of that name, or the lake keeps no minutes of a metric it watches.
        SettingError: `at` is not a time, or `arrival` is not allowed.
    """
    alarm = load_alarm(name)
    try:
        found = read_history(home, [alarm], since=None, until=at, service=service, environment=environment)
    except SettingError:
        raise SettingError("at", at, "a time such as 2026-11-01T12:00, now, or an offset such as -1h") from None
    if found.until is None:
        raise SettingError("at", at, "a time")
    return explained(alarm, minutes_of(alarm, found.rows, arrival), found.until)


def explained(alarm: Alarm, minutes: list[Minute], at: datetime) -> Explanation:
    """The last evaluation of an alarm up to a time, over minutes in order."""
    now = full_minute(at)
    first = min([now, *(minute.start + MINUTE for minute in minutes[:1])])
    *_, last = evaluations(alarm, minutes, first, now)
    rule = rule_of(alarm)
    points = data_points(alarm, minutes, now)
    treated = tuple(TreatedPoint(*one) for one in zip(points, _treated(rule, points), strict=True))
    reason = _REASONS[last.verdict.reason].format(
        known=sum(one.treated in {"breaching", "not breaching"} for one in treated),
        breaching=sum(one.treated == "breaching" for one in treated),
        needed=rule.datapoints_to_alarm,
        filled=last.verdict.filled,
        stand_in=rule.missing_data.replace("_", " "),
    )
    return Explanation(alarm.name, now, last.before, last.verdict.state, reason, treated)


def _treated(rule: Rule, points: list[DataPoint]) -> list[Treated]:
    """What each data point was taken for; of those there are, only the newest N are needed."""
    left, found = rule.evaluation_periods, list[Treated]()
    for point in reversed(points):
        if point.value is None:
            found.append("missing")
        elif left == 0:
            found.append("not needed")
        else:
            left -= 1
            found.append("breaching" if rule.breaches(point.value) else "not breaching")
    return found[::-1]
