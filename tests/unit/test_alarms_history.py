"""Alarms over made-up minutes: sliding periods, what was known when, firings, and explanations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tollmeter.alarms import load_alarm
from tollmeter.alarms.backtesting import Firing, evaluate
from tollmeter.alarms.definition import Alarm, MissingData
from tollmeter.alarms.explaining import explained
from tollmeter.alarms.history import minutes_of
from tollmeter.alarms.periods import EPOCH, Minute, data_points, evaluations
from tollmeter.model.errors import SettingError

ALARM = load_alarm("llm_error_rate")
START = datetime(2026, 11, 1, tzinfo=UTC).replace(tzinfo=None)
LETTER = {"OK": "o", "ALARM": "A", "INSUFFICIENT_DATA": "?"}


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def minutes(text: str) -> list[Minute]:
    """One minute per letter: x half failed, o none, l low traffic and all failed, - no calls."""
    counts = {"x": (50, 100), "o": (0, 100), "l": (3, 3)}
    return [
        Minute(at(index), *counts[letter], known_from=at(index + 1))
        for index, letter in enumerate(text)
        if letter != "-"
    ]


def states(alarm: Alarm, known: list[Minute], count: int) -> str:
    found = evaluations(alarm, known, at(1), at(count))
    return "".join(LETTER[one.verdict.state] for one in found)


@pytest.mark.parametrize(
    ("missing", "points", "expected"),
    [
        ("missing", "xxxooo", "??AAAo"),
        ("missing", "xoxoxoo", "?oooAoo"),
        ("missing", "xxxxxooooo", "??AAAAAooo"),
        ("not_breaching", "---xx-x-----", "ooooooAAAAoo"),
        ("breaching", "---ooooo", "AAAAAooo"),
        ("ignore", "xxx------", "??AAAAAAA"),
        ("ignore", "xxx---ooooo", "??AAAAAoooo"),
        ("missing", "xxx--------", "??AAAAAAA??"),
    ],
)
def test_states_follow_the_data_and_reach_back_where_some_is_missing(
    missing: MissingData, points: str, expected: str
) -> None:
    assert states(replace(ALARM, missing_data=missing), minutes(points), len(points)) == expected


def test_periods_slide_by_the_minute() -> None:
    alarm = replace(ALARM, period_s=300, evaluation_periods=1, datapoints_to_alarm=1)
    found = [one.value for one in evaluations(alarm, minutes("ooooo" + "xoooo" + "oo"), at(5), at(12))]
    assert found == [0.0, 10.0, 10.0, 10.0, 10.0, 10.0, 0.0, 0.0]


def test_a_late_minute_counts_from_when_it_arrived() -> None:
    late = replace(minutes("oox")[2], known_from=at(6))
    known = [*minutes("oo-ooo"), late]
    alarm = replace(ALARM, evaluation_periods=5, datapoints_to_alarm=1)
    assert states(alarm, known, 9) == "oooooAAAA"
    assert [point.value for point in data_points(alarm, known, at(5))][-3] is None
    assert [point.value for point in data_points(alarm, known, at(6))][-4] == 50.0


def test_a_minute_may_arrive_in_parts() -> None:
    parts = [Minute(at(0), 50, 60, at(1)), Minute(at(0), 0, 140, at(2))]
    assert [one.value for one in evaluations(ALARM, parts, at(1), at(1))] == [pytest.approx(83.3, abs=0.1)]
    assert data_points(ALARM, parts, at(2))[-2].value == 25.0


@pytest.mark.parametrize("period_s", [60, 300])
def test_an_evaluation_decides_from_the_points_that_are_shown(period_s: int) -> None:
    known = [
        replace(minute, known_from=minute.known_from + timedelta(minutes=index % 4))
        for index, minute in enumerate(minutes("xx-ooxx---xlxxoo-x--oo-----xxx----xx"))
    ]
    alarm = replace(ALARM, period_s=period_s)
    for one in evaluations(alarm, known, at(1), at(40)):
        assert one.value == data_points(alarm, known, one.at)[-1].value
        assert explained(alarm, known, one.at).state == one.verdict.state


def test_firings_tell_when_how_long_and_how_bad() -> None:
    found = evaluate(ALARM, minutes("ooxxxxoooooo"))
    assert found.firings == (Firing(at(5), at(9), 240.0, 50.0),)
    assert (found.evaluations, found.evaluations_with_data, found.pages) == (12, 12, 1)


def test_low_traffic_does_not_fire() -> None:
    assert evaluate(ALARM, minutes("llllllll")).firings == ()


def test_a_firing_that_lasts_has_no_end() -> None:
    assert evaluate(ALARM, minutes("xxx")).firings == (Firing(at(3), None, 0.0, 50.0),)


def test_bounds_make_the_quiet_minutes_count() -> None:
    found = evaluate(ALARM, minutes("xxx"), START - timedelta(hours=1), START + timedelta(days=14, hours=-1))
    assert (found.evaluations, found.evaluations_with_data) == (14 * 24 * 60, 3)
    assert found.firings_per_week == 0.5
    assert found.firings[0].end == at(8)


def test_what_came_before_the_span_is_known_at_its_start() -> None:
    assert evaluate(ALARM, minutes("xxxx"), at(3), at(5)).firings[0].start == at(4)


def test_a_ticket_pages_nobody() -> None:
    assert evaluate(replace(ALARM, severity="ticket"), minutes("xxx")).pages == 0


def test_no_history_is_no_firing() -> None:
    found = evaluate(ALARM, [])
    assert (found.evaluations, found.firings, found.start) == (0, (), None)


@pytest.mark.parametrize(
    ("missing", "points", "state", "reason", "treated"),
    [
        ("missing", "oooxxxo", "ALARM", "3 of 5 data points breach, 3 are needed", "..-++++"),
        (
            "not_breaching",
            "xx---x-",
            "ALARM",
            "3 of 3 data points breach, 3 are needed; 2 missing ones are not breaching",
            "",
        ),
        (
            "ignore",
            "x------",
            "INSUFFICIENT_DATA",
            "1 data points are too few to tell, and missing data keeps the state",
            "",
        ),
        (
            "missing",
            "x------",
            "ALARM",
            "all 1 data points there are breach, and the oldest is at least 3 periods old",
            "",
        ),
        (
            "missing",
            "-----x-",
            "INSUFFICIENT_DATA",
            "all 1 data points there are breach, but the oldest is not yet 3 periods old",
            "",
        ),
        ("missing", "-------", "INSUFFICIENT_DATA", "all data points of the evaluation range are missing", ""),
    ],
)
def test_an_explanation_gives_the_reason(
    missing: MissingData, points: str, state: str, reason: str, treated: str
) -> None:
    found = explained(replace(ALARM, missing_data=missing), minutes(points), at(7))
    assert (found.state, found.reason) == (state, reason)


def test_an_explanation_says_what_each_data_point_was_taken_for() -> None:
    found = explained(ALARM, minutes("oxx-xxo"), at(7) + timedelta(seconds=59))
    assert (found.at, found.before, found.state) == (at(7), "ALARM", "ALARM")
    assert [one.treated for one in found.points] == [
        "not needed",
        "breaching",
        "breaching",
        "missing",
        "breaching",
        "breaching",
        "not breaching",
    ]
    assert [one.point.of for one in found.points] == [100, 100, 100, 0, 100, 100, 100]
    assert (found.points[0].point.start, found.points[-1].point.end) == (at(0), at(7))


def test_an_explanation_may_lie_before_all_data() -> None:
    found = explained(ALARM, minutes("xxx"), at(-10))
    assert (found.state, {one.treated for one in found.points}) == ("OK", {"missing"})


def test_a_row_is_known_when_its_minute_is_over_or_once_it_is_in_the_lake() -> None:
    row = {"minute": at(0), "arrived_at": at(30), "calls": 20, "errors": 2}
    early = row | {"arrived_at": EPOCH}
    assert minutes_of(ALARM, [row]) == [Minute(at(0), 2, 20, at(1))]
    assert [one.known_from for one in minutes_of(ALARM, [row, early], "lake")] == [at(30), at(1)]
    with pytest.raises(SettingError, match="arrival='late' is not allowed: expected one of event, lake"):
        minutes_of(ALARM, [row], "late")
