"""M of N, missing data, and firings, on made-up minutes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tollmeter.alarms import load_alarm, states
from tollmeter.alarms.backtesting import Firing, Minute, evaluate
from tollmeter.alarms.definition import MissingData
from tollmeter.alarms.evaluate import datapoint

ALARM = load_alarm("llm_error_rate")
START = datetime(2026, 11, 1, tzinfo=UTC).replace(tzinfo=None)
LETTER = {"OK": "o", "ALARM": "A", "INSUFFICIENT_DATA": "?"}
POINT = {"x": 50.0, "o": 0.0, "-": None}


def judged(points: str, missing: MissingData = "not_breaching") -> str:
    alarm = replace(ALARM, missing_data=missing)
    return "".join(LETTER[state] for state in states(alarm, (POINT[point] for point in points)))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ("xxooo", "ooooo"),
        ("xxxooo", "ooAAAo"),
        ("xoxoxoo", "ooooAoo"),
        ("xooooxx", "ooooooo"),
        ("xxxxxooooo", "ooAAAAAooo"),
    ],
)
def test_three_of_five(points: str, expected: str) -> None:
    assert judged(points) == expected


@pytest.mark.parametrize(
    ("missing", "points", "expected"),
    [
        ("not_breaching", "---xx-x---", "ooooooAAoo"),
        ("breaching", "---ooooo", "ooAAAooo"),
        ("ignore", "xxx------", "ooAAAAAAA"),
        ("ignore", "xxx---ooo", "ooAAAAAAo"),
        ("ignore", "------", "??????"),
        ("missing", "-----", "?????"),
        ("missing", "xxx------", "ooAAAoo??"),
    ],
)
def test_missing_data(missing: MissingData, points: str, expected: str) -> None:
    assert judged(points, missing) == expected


def test_the_threshold_itself_is_not_greater() -> None:
    assert [*states(ALARM, [5.0] * 5)][-1] == "OK"
    assert [*states(replace(ALARM, comparison="greater_or_equal"), [5.0] * 5)][-1] == "ALARM"
    assert [*states(replace(ALARM, comparison="less_than"), [4.9] * 5)][-1] == "ALARM"
    assert [*states(replace(ALARM, comparison="less_or_equal"), [5.0] * 5)][-1] == "ALARM"


def test_a_datapoint_is_what_cloudwatch_computes() -> None:
    assert datapoint(ALARM, 0, 0) is None
    assert datapoint(ALARM, 19, 19) == 0.0
    assert datapoint(ALARM, 5, 20) == 25.0


def minutes(text: str) -> list[Minute]:
    """One minute per letter: x half failed, o none, l low traffic and all failed, - no calls."""
    counts = {"x": (50, 100), "o": (0, 100), "l": (3, 3)}
    return [
        Minute(START + timedelta(minutes=index), *counts[letter]) for index, letter in enumerate(text) if letter != "-"
    ]


def test_firings_tell_when_how_long_and_how_bad() -> None:
    found = evaluate(ALARM, minutes("ooxxxxoooooo"))
    begin, end = START + timedelta(minutes=5), START + timedelta(minutes=9)
    assert found.firings == (Firing(begin, end, 240.0, 50.0),)
    assert (found.periods, found.periods_with_data, found.pages) == (12, 12, 1)


def test_low_traffic_does_not_fire() -> None:
    assert evaluate(ALARM, minutes("llllllll")).firings == ()


def test_a_firing_that_lasts_has_no_end() -> None:
    found = evaluate(ALARM, minutes("xxx"))
    assert found.firings == (Firing(START + timedelta(minutes=3), None, 0.0, 50.0),)


def test_periods_gather_minutes() -> None:
    alarm = replace(ALARM, period_s=300, evaluation_periods=1, datapoints_to_alarm=1)
    found = evaluate(alarm, minutes("ooooo" + "xoooo"))
    assert (found.periods, [firing.peak for firing in found.firings]) == (2, [10.0])


def test_bounds_make_the_quiet_minutes_count() -> None:
    found = evaluate(ALARM, minutes("xxx"), START - timedelta(hours=1), START + timedelta(days=14, hours=-1))
    assert (found.periods, found.periods_with_data) == (14 * 24 * 60, 3)
    assert found.firings_per_week == 0.5
    assert found.firings[0].end == START + timedelta(minutes=6)


def test_a_ticket_pages_nobody() -> None:
    assert evaluate(replace(ALARM, severity="ticket"), minutes("xxx")).pages == 0


def test_no_history_is_no_firing() -> None:
    found = evaluate(ALARM, [])
    assert (found.periods, found.firings, found.start) == (0, (), None)
