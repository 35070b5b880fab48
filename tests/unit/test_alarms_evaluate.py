"""What CloudWatch decides: its published tables row by row, and the cases that its pages put in words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tollmeter.alarms import Rule, judge, load_alarm
from tollmeter.alarms.definition import MISSING_DATA, MissingData
from tollmeter.alarms.evaluate import State, datapoint, rule_of

THREE_OF_THREE = Rule("greater_than", 5, evaluation_periods=3, datapoints_to_alarm=3, missing_data="missing")
TWO_OF_THREE = replace(THREE_OF_THREE, datapoints_to_alarm=2)
POINT = {"X": True, "0": False, "-": None}
STATES: tuple[State, ...] = ("OK", "ALARM", "INSUFFICIENT_DATA")
RETAIN = "retain current state"


def judged(rule: Rule, points: str, before: State = "OK", samples: int = 0) -> State:
    return judge(rule, [POINT[point] for point in points.split()], before, samples).state


def assert_decides(rule: Rule, points: str, expected: tuple[str, ...]) -> None:
    """The page's columns MISSING, IGNORE, BREACHING, NOT BREACHING, from each state that the alarm may be in."""
    treatments: tuple[MissingData, ...] = ("missing", "ignore", "breaching", "not_breaching")
    for missing, state in zip(treatments, expected, strict=True):
        for before in STATES:
            wanted = before if state == RETAIN else state
            assert judged(replace(rule, missing_data=missing), points, before) == wanted, (missing, before)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ("0 - X - X", ("OK", "OK", "OK", "OK")),
        ("0 - - - -", ("OK", "OK", "OK", "OK")),
        ("- - - - -", ("INSUFFICIENT_DATA", RETAIN, "ALARM", "OK")),
        ("0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("- - X - -", ("ALARM", RETAIN, "ALARM", "OK")),
    ],
)
def test_the_first_table_of_how_cloudwatch_alarms_treat_missing_data(points: str, expected: tuple[str, ...]) -> None:
    assert_decides(THREE_OF_THREE, points, expected)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ("0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0 - X - -", ("OK", "OK", "ALARM", "OK")),
        ("- - - - 0", ("OK", "OK", "ALARM", "OK")),
        ("- - - X -", ("ALARM", RETAIN, "ALARM", "OK")),
    ],
)
def test_the_second_table_of_how_cloudwatch_alarms_treat_missing_data(points: str, expected: tuple[str, ...]) -> None:
    assert_decides(TWO_OF_THREE, points, expected)


@pytest.mark.parametrize(
    ("points", "filled"),
    [("0 - X - X", 0), ("0 - - - -", 2), ("- - - - -", 3), ("0 X X - X", 0), ("- - X - -", 2), ("0 - X - -", 1)],
)
def test_the_column_of_how_many_must_be_filled(points: str, filled: int) -> None:
    rule = replace(THREE_OF_THREE, missing_data="breaching")
    assert judge(rule, [POINT[point] for point in points.split()], "OK").filled == filled


@pytest.mark.parametrize("points", ["- - - - X", "- - - X -"])
def test_a_young_breach_does_not_fire_prematurely(points: str) -> None:
    """Of "Avoiding premature transitions to alarm state"; the state is that of the page's versions of 2018 and 2019."""
    assert_decides(THREE_OF_THREE, points, ("INSUFFICIENT_DATA", RETAIN, "ALARM", "OK"))


@pytest.mark.parametrize("points", ["- - - X 0", "- - X - 0"])
def test_the_next_data_point_keeps_a_young_breach_from_firing(points: str) -> None:
    for missing in ("missing", "ignore", "not_breaching"):
        assert judged(replace(THREE_OF_THREE, missing_data=missing), points, "ALARM") == "OK"


def test_enough_breaches_fire_whatever_stands_in_for_the_rest() -> None:
    assert_decides(TWO_OF_THREE, "- - - X X", ("ALARM", "ALARM", "ALARM", "ALARM"))


@pytest.mark.parametrize(
    ("points", "state"), [("X X X 0 0 0 X", "OK"), ("X X 0 X 0 X 0", "OK"), ("0 0 X 0 X 0 X", "ALARM")]
)
def test_where_none_is_missing_only_the_newest_count(points: str, state: State) -> None:
    rule = replace(THREE_OF_THREE, evaluation_periods=5)
    assert rule.range_periods == 7
    for missing in MISSING_DATA:
        assert judged(replace(rule, missing_data=missing), points) == state


def test_the_threshold_itself_is_not_greater() -> None:
    assert not THREE_OF_THREE.breaches(5.0)
    assert replace(THREE_OF_THREE, comparison="greater_or_equal").breaches(5.0)
    assert not replace(THREE_OF_THREE, comparison="less_than").breaches(5.0)
    assert replace(THREE_OF_THREE, comparison="less_or_equal").breaches(5.0)


@pytest.mark.parametrize(
    ("percentile", "needed"), [("99", 1000), ("99.9", 10_000), ("95", 200), ("50", 20), ("49", 21), ("10", 100)]
)
def test_a_percentile_of_too_few_values_keeps_the_state(percentile: str, needed: int) -> None:
    """10 / (1 - p) from p50 on, 10 / p below: "Percentile-based alarms and low data samples"."""
    rule = replace(THREE_OF_THREE, percentile=Decimal(percentile), low_samples="ignore")
    for before in STATES:
        assert judged(rule, "X X X X X", before, needed - 1) == before
    assert judged(rule, "X X X X X", "OK", needed) == "ALARM"
    assert judged(replace(rule, low_samples="evaluate"), "X X X X X", "OK", 1) == "ALARM"


def test_a_datapoint_is_what_cloudwatch_computes() -> None:
    alarm = load_alarm("llm_error_rate")
    assert datapoint(alarm, 0, 0) is None
    assert datapoint(alarm, 19, 19) == 0.0
    assert datapoint(alarm, 5, 20) == 25.0
    assert rule_of(alarm) == Rule("greater_than", 5, 5, 3, "not_breaching")
