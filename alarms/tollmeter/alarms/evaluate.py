"""M of N over a series of datapoints: a pure function, as CloudWatch evaluates once per period."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from tollmeter.alarms.definition import Alarm, Comparison, MissingData

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

OK: Final[State] = "OK"
ALARM: Final[State] = "ALARM"
INSUFFICIENT_DATA: Final[State] = "INSUFFICIENT_DATA"

_COMPARE: Final[dict[Comparison, Callable[[float, float], bool]]] = {
    "greater_than": operator.gt,
    "greater_or_equal": operator.ge,
    "less_than": operator.lt,
    "less_or_equal": operator.le,
}


def datapoint(alarm: Alarm, share: int, of: int) -> float | None:
    """The signal of one period in percent: None without any count, 0 below the floor on traffic.

    It is the expression that is rendered for CloudWatch: `IF(of >= min_traffic, 100 * share / of, 0)`.
    """
    if of == 0:
        return None
    return 100 * share / of if of >= alarm.min_traffic else 0.0


def states(alarm: Alarm, points: Iterable[float | None]) -> Iterator[State]:
    """The alarm's state after each period; None is a period without data.

    Missing periods count as the alarm's `missing_data` says: `breaching` and `not_breaching` fill them, `ignore` keeps
    the state where they could tip it, `missing` knows nothing when all are missing. Real CloudWatch may look back
    beyond N periods for data when some are missing, which can only make it slower to change.
    """
    window: deque[bool | None] = deque(maxlen=alarm.evaluation_periods)
    compare = _COMPARE[alarm.comparison]
    state = INSUFFICIENT_DATA
    for point in points:
        window.append(None if point is None else compare(point, alarm.threshold))
        state = _state(state, window, alarm.datapoints_to_alarm, alarm.missing_data)
        yield state


def _state(before: State, window: deque[bool | None], needed: int, missing: MissingData) -> State:
    absent = sum(breach is None for breach in window)
    breaching = sum(breach is True for breach in window)
    if missing == "breaching":
        breaching += absent
    if breaching >= needed:
        return ALARM
    blank = absent == len(window)
    if missing == "ignore" and (blank or breaching + absent >= needed):
        return before
    if missing == "missing" and blank:
        return INSUFFICIENT_DATA
    return OK
