"""An alarm's data points from counts by the minute, each minute known from when it arrived, and what they decide.

CloudWatch evaluates once a minute, whatever the period, over periods that end then ("Alarm evaluation" in its user
guide: with a period of five minutes, at the end of minute 6 over minutes 2 to 6).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tollmeter.alarms.definition import Alarm
from tollmeter.alarms.evaluate import INSUFFICIENT_DATA, State, Verdict, datapoint, judge, rule_of

MINUTE: Final = timedelta(minutes=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Minute:
    """Counts of one minute: the signal's numerator and denominator, and since when they are known, all UTC.

    Where some came late, the minute is there twice.
    """

    start: datetime
    share: int
    of: int
    known_from: datetime


@dataclass(frozen=True, slots=True)
class DataPoint:
    """One period of an evaluation range, UTC; `value` in percent, None where it is missing."""

    start: datetime
    end: datetime
    share: int
    of: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation: when, from which state, to what; `value` is that of the newest period."""

    at: datetime
    before: State
    verdict: Verdict
    value: float | None


def evaluations(alarm: Alarm, minutes: Iterable[Minute], first: datetime, last: datetime) -> Iterator[Evaluation]:
    """Every evaluation from `first` to `last`, both included and full minutes, over what was known at each.

    The state before the first is INSUFFICIENT_DATA, as that of an alarm just made.
    """
    rule, span = rule_of(alarm), alarm.period_s // 60
    back = [span * periods for periods in reversed(range(rule.range_periods))]
    waiting = deque(sorted(minutes, key=lambda minute: minute.known_from))
    share, of = Counter[int](), Counter[int]()
    values: dict[int, float | None] = {}
    breaching: dict[int, bool | None] = {}
    state: State = INSUFFICIENT_DATA
    at = first
    while at <= last:
        while waiting and waiting[0].known_from <= at:
            minute = waiting.popleft()
            begin = _number(minute.start)
            for end in range(begin + 1, begin + 1 + span):
                share[end] += minute.share
                of[end] += minute.of
                values[end] = value = datapoint(alarm, share[end], of[end])
                breaching[end] = None if value is None else rule.breaches(value)
        now = _number(at)
        verdict = judge(rule, [breaching.get(now - ago) for ago in back], state)
        yield Evaluation(at, state, verdict, values.get(now))
        state = verdict.state
        at += MINUTE


def data_points(alarm: Alarm, minutes: Iterable[Minute], at: datetime) -> list[DataPoint]:
    """The evaluation range of the evaluation at a full minute, oldest first, as it was known then."""
    step = timedelta(seconds=alarm.period_s)
    known = [minute for minute in minutes if minute.known_from <= at]
    return [_data_point(alarm, known, at - step * ago, step) for ago in reversed(range(rule_of(alarm).range_periods))]


def full_minute(moment: datetime) -> datetime:
    """The last full minute up to a moment, UTC without zone."""
    return moment - (moment - EPOCH) % MINUTE


def _data_point(alarm: Alarm, known: list[Minute], end: datetime, step: timedelta) -> DataPoint:
    inside = [minute for minute in known if end - step <= minute.start < end]
    share, of = sum(minute.share for minute in inside), sum(minute.of for minute in inside)
    return DataPoint(end - step, end, share, of, datapoint(alarm, share, of))


def _number(moment: datetime) -> int:
    return (moment - EPOCH) // MINUTE
