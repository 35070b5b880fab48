"""The rules of honest charts, as values."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tollmeter.dashboards import formats, prepare
from tollmeter.dashboards.cache import Cache
from tollmeter.dashboards.figures import CONFIG, latency_figure, spend_figure
from tollmeter.dashboards.filters import Selection, Window, parse_search, previous, window, with_days
from tollmeter.dashboards.records import Latency, Spend, Summary

NOW = datetime(2026, 11, 23, 10, 37, 5)
DAY = timedelta(days=1)
THREE_DAYS = Window(datetime(2026, 11, 21), datetime(2026, 11, 23, 10, 38), DAY, NOW)
PAST = Window(datetime(2026, 11, 1), datetime(2026, 11, 4), DAY, NOW)


def spend(day: int, model: str, cost: str) -> Spend:
    return Spend(datetime(2026, 11, day), model, Decimal(cost), 1)


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


def test_custom_days_include_both_ends_and_are_settled_when_past() -> None:
    span = window(with_days(Selection(), "2026-11-03", "2026-11-01"), NOW)
    assert (span.start, span.end, span.filling()) == (datetime(2026, 11, 1), datetime(2026, 11, 4), False)


def test_the_period_before_has_equal_length_and_month_to_date_meets_last_month() -> None:
    span = window(Selection(range="30d"), NOW)
    assert previous(span, Selection(range="30d")).end == span.start
    before = previous(span, Selection(range="30d"))
    assert before.end - before.start == span.end - span.start
    month = window(Selection(range="mtd"), NOW)
    last = previous(month, Selection(range="mtd"))
    assert (last.start, last.end) == (datetime(2026, 10, 1), datetime(2026, 10, 23, 10, 38))


def test_month_to_date_never_runs_into_this_month() -> None:
    now = datetime(2026, 3, 31, 12)
    last = previous(window(Selection(range="mtd"), now), Selection(range="mtd"))
    assert (last.start, last.end) == (datetime(2026, 2, 1), datetime(2026, 3, 1))


def test_the_address_carries_the_selection_both_ways() -> None:
    for selection in (
        Selection(),
        Selection(range="24h", models=("gpt-4o", "us.anthropic.claude-3:0", "a,b&c")),
        with_days(Selection(models=("m",)), "2026-11-01", "2026-11-03"),
    ):
        assert parse_search(selection.search()) == selection
    assert Selection().search() == ""
    assert parse_search("?from=soon&to=later").problems
    assert parse_search(None) == Selection()


def test_an_empty_bucket_is_zero_for_spend_and_a_gap_for_latency() -> None:
    chart = prepare.spend_chart([spend(21, "a", "1.5")], THREE_DAYS, prepare.colours(["a"]))
    assert chart.series[0].values == (Decimal("1.5"), Decimal(0), Decimal(0))
    line = prepare.latency_chart([Latency(datetime(2026, 11, 21), 10, 20, 30, 4)], THREE_DAYS)
    assert [series.values for series in line.series] == [(10, None, None), (20, None, None), (30, None, None)]
    assert line.caption == "per day, UTC · 4 timed calls"


def test_nine_models_and_other_and_the_caption_says_so() -> None:
    rows = [spend(1, f"m{index:02}", str(index)) for index in range(1, 13)]
    chart = prepare.spend_chart(rows, PAST, prepare.colours([row.model for row in rows]))
    assert [series.name for series in chart.series] == [*(f"m{index:02}" for index in range(12, 3, -1)), "other"]
    assert chart.series[-1].values[0] == Decimal(1 + 2 + 3)
    assert chart.caption == "per day, UTC · showing 9 of 12 models"


def test_other_never_stands_for_one_model() -> None:
    rows = [spend(1, f"m{index}", "1") for index in range(10)]
    chart = prepare.spend_chart(rows, PAST, {})
    assert (len(chart.series), chart.caption) == (10, "per day, UTC")


def test_a_model_keeps_its_colour_under_a_filter() -> None:
    palette = prepare.colours(["a", "b"])
    both = prepare.spend_chart([spend(1, "a", "1"), spend(1, "b", "2")], PAST, palette)
    one = prepare.spend_chart([spend(1, "b", "2")], PAST, palette)
    assert {series.name: series.colour for series in both.series}["b"] == one.series[0].colour


def test_the_last_bucket_is_hatched_or_dotted_only_while_it_fills() -> None:
    rows = [spend(21, "a", "1")]
    filling = spend_figure(prepare.spend_chart(rows, THREE_DAYS, {}))
    assert filling["data"][0]["marker"]["pattern"]["shape"] == ["", "", "/"]
    assert filling["data"][0]["customdata"] == ("$1.000", "$0.00", "$0.00 so far")
    settled = spend_figure(prepare.spend_chart([spend(1, "a", "1")], PAST, {}))
    assert settled["data"][0]["marker"]["pattern"]["shape"] == ["", "", ""]
    points = [Latency(datetime(2026, 11, day), 1, 2, 3, 1) for day in (21, 22, 23)]
    dotted = [trace for trace in latency_figure(prepare.latency_chart(points, THREE_DAYS))["data"] if "line" in trace]
    assert dotted[1]["line"]["dash"] == "dot"
    assert (dotted[0]["y"], dotted[1]["y"]) == ([1, 1, None], [None, 1, 1])


def test_tiles_say_what_is_unknown_and_count_what_is_unpriced() -> None:
    spend_tile, requests, tokens, errors, latency, ttft = prepare.tiles(Summary(calls=2, unpriced_calls=2), Summary())
    assert (spend_tile.text, spend_tile.value, spend_tile.note) == ("—", "", "unpriced calls: 2")
    assert (requests.text, tokens.text, errors.text) == ("0", "0", "0.00 %")
    assert (latency.text, ttft.text) == ("—", "—")


def test_dearer_and_slower_is_bad_busier_is_just_news() -> None:
    now = Summary(Decimal(2), 10, 10, 2, 0, 10, 10, 0, 200.0, 50.0)
    before = Summary(Decimal(1), 5, 5, 1, 0, 5, 5, 0, 100.0, 100.0)
    made = {tile.id: (tile.delta, tile.tone) for tile in prepare.tiles(now, before)}
    assert made == {
        "spend": ("+100.0 %", "bad"),
        "requests": ("+100.0 %", "neutral"),
        "tokens": ("+100.0 %", "neutral"),
        "errors": ("±0 %", "neutral"),
        "latency": ("+100.0 %", "bad"),
        "ttft": ("-50.0 %", "good"),
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "$0.00"),
        ("0.000000000001", "$0.000000000001000"),
        ("0.00123456", "$0.001235"),
        ("9.99999", "$10.000"),
        ("123.456", "$123.46"),
        ("-0.5", "-$0.5000"),
        ("1234567.891", "$1,234,567.89"),
    ],
)
def test_money_keeps_four_digits(value: str, text: str) -> None:
    assert formats.money(Decimal(value)) == text


def test_the_cache_forgets_by_age_and_by_number() -> None:
    time = [0.0]
    cache = Cache[int](size=2, seconds=10, clock=lambda: time[0])
    assert [cache.get("a", lambda: 1), cache.get("a", lambda: 2)] == [1, 1]
    time[0] = 10.0
    assert cache.get("a", lambda: 3) == 3
    cache.get("b", lambda: 4)
    cache.get("c", lambda: 5)
    assert cache.get("a", lambda: 6) == 6


def test_no_graph_offers_to_send_its_data_away() -> None:
    assert (CONFIG["showSendToCloud"], CONFIG["plotlyServerURL"], CONFIG["displaylogo"]) == (False, "", False)


def test_the_first_two_dozen_models_have_colours_of_their_own() -> None:
    names = [f"model-{number}" for number in range(24)]
    assert len(set(prepare.colours(names).values())) == 25  # and one for `other`


@pytest.mark.parametrize(("slowest", "suffix", "drawn"), [(9_999.0, " ms", 9_999.0), (25_000.0, " s", 25.0)])
def test_the_latency_axis_turns_to_seconds(slowest: float, suffix: str, drawn: float) -> None:
    points = [Latency(bucket=THREE_DAYS.start, p50=1.0, p95=2.0, p99=slowest, calls=1)]
    figure = latency_figure(prepare.latency_chart(points, THREE_DAYS))
    assert figure["layout"]["yaxis"]["ticksuffix"] == suffix
    assert max(value for trace in figure["data"] for value in trace["y"] if value is not None) == drawn
