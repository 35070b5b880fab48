"""Spans and buckets in the reporting time zone, through daylight saving and half-hour zones."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from tollmeter.dashboards.selection import Selection
from tollmeter.dashboards.window import Window, previous, span_of_days, window

NOW = datetime(2026, 11, 23, 10, 37, 5)
KOLKATA, BERLIN = "Asia/Kolkata", "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "buckets", "start"),
    [
        ("1h", 60, datetime(2026, 11, 23, 9, 38)),
        ("24h", 24, datetime(2026, 11, 22, 11, 0)),
        ("7d", 168, datetime(2026, 11, 16, 11, 0)),
        ("30d", 30, datetime(2026, 10, 25)),
        ("mtd", 23, datetime(2026, 11, 1)),
        ("90d", 90, datetime(2026, 8, 26)),
    ],
)
def test_a_preset_is_whole_buckets_that_end_with_the_one_still_filling(
    name: str, buckets: int, start: datetime
) -> None:
    span = window(Selection(range=name), NOW)
    assert (len(span.starts()), span.start) == (buckets, start)
    assert span.filling()
    assert span.starts()[-1] <= NOW < span.end


def test_last_month_is_settled_and_whole() -> None:
    span = window(Selection(range="last_month"), NOW)
    assert (span.start, span.end) == (datetime(2026, 10, 1), datetime(2026, 11, 1))
    assert not span.filling()
    before = previous(span, Selection(range="last_month"))
    assert (before.start, before.end) == (datetime(2026, 9, 1), datetime(2026, 10, 1))


def test_custom_days_include_both_ends_and_are_settled_when_past() -> None:
    span = window(Selection().with_days(date(2026, 11, 3), date(2026, 11, 1)), NOW)
    assert (span.start, span.end, span.filling()) == (datetime(2026, 11, 1), datetime(2026, 11, 4), False)
    assert span.days() == (date(2026, 11, 1), date(2026, 11, 3))


def test_days_of_a_half_hour_zone_begin_at_half_past() -> None:
    span = window(Selection(range="30d"), NOW, KOLKATA)
    assert span.start == datetime(2026, 10, 24, 18, 30)
    assert {start.time() for start in span.starts()} == {datetime(2026, 1, 1, 18, 30).time()}
    assert span.local(span.start) == datetime(2026, 10, 25)
    hours = window(Selection(range="24h"), NOW, KOLKATA)
    assert {hours.local(start).minute for start in hours.starts()} == {0}
    assert hours.place(datetime(2026, 11, 23, 10, 29)) == datetime(2026, 11, 23, 9, 30)


def test_the_day_of_the_clock_change_has_25_hours_and_neighbours_have_24() -> None:
    span = span_of_days(date(2026, 10, 1), date(2026, 10, 31), NOW, BERLIN)
    starts = (*span.starts(), span.end)
    lengths = {span.local(start).day: after - start for start, after in pairwise(starts)}
    assert lengths[25] == timedelta(hours=25)
    assert {length for day, length in lengths.items() if day != 25} == {timedelta(hours=24)}
    assert [span.local(start).hour for start in span.starts()] == [0] * 31
    day = span_of_days(date(2026, 10, 25), date(2026, 10, 25), NOW, BERLIN)
    assert len(day.starts()) == 25


def test_a_long_span_is_cut_into_months_of_the_zone() -> None:
    span = span_of_days(date(2025, 1, 15), date(2026, 3, 14), NOW, BERLIN)
    assert (span.bucket, len(span.starts())) == ("month", 15)
    assert span.starts()[:2] == (datetime(2025, 1, 14, 23), datetime(2025, 1, 31, 23))


def test_a_moment_outside_goes_to_the_nearest_bucket() -> None:
    span = span_of_days(date(2026, 11, 1), date(2026, 11, 3), NOW)
    assert span.place(datetime(2020, 1, 1)) == span.starts()[0]
    assert span.place(datetime(2030, 1, 1)) == span.starts()[-1]


@pytest.mark.parametrize("name", ["1h", "24h", "7d", "30d", "90d"])
@pytest.mark.parametrize("now", [NOW, datetime(2026, 11, 23, 0, 59, 30), datetime(2026, 11, 23, 23, 59, 59)])
def test_the_period_before_has_as_many_buckets_and_as_much_of_the_last(name: str, now: datetime) -> None:
    selection = Selection(range=name)
    span = window(selection, now)
    before = previous(span, selection)
    assert len(before.starts()) == len(span.starts())
    assert span.end - span.starts()[-1] == before.end - before.starts()[-1]
    assert before.end <= span.start or name in ("1h", "24h", "7d")
    assert before.starts()[-1] < span.start


def test_month_to_date_meets_the_same_days_of_last_month() -> None:
    month = window(Selection(range="mtd"), NOW)
    last = previous(month, Selection(range="mtd"))
    assert (last.start, last.end) == (datetime(2026, 10, 1), datetime(2026, 10, 23, 10, 38))


def test_month_to_date_never_runs_into_this_month() -> None:
    now = datetime(2026, 3, 31, 12)
    last = previous(window(Selection(range="mtd"), now), Selection(range="mtd"))
    assert (last.start, last.end) == (datetime(2026, 2, 1), datetime(2026, 3, 1))


def test_days_across_a_clock_change_are_compared_with_as_many_days() -> None:
    selection = Selection().with_days(date(2026, 10, 24), date(2026, 10, 26))
    span = window(selection, NOW, BERLIN)
    before = previous(span, selection)
    assert [before.local(before.start), before.local(before.end)] == [datetime(2026, 10, 21), datetime(2026, 10, 24)]


def test_an_absurd_day_is_brought_into_what_a_calendar_can_say() -> None:
    span = window(Selection().with_days(date.min, date.max), NOW, BERLIN)
    assert isinstance(span, Window)
    assert span.start < span.end
