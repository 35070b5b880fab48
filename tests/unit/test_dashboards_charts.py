"""The rules of honest charts, as values."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from tollmeter.dashboards.components.graph import CONFIG
from tollmeter.dashboards.figures import ranking as ranking_figure
from tollmeter.dashboards.figures import time
from tollmeter.dashboards.prepare import formats, units
from tollmeter.dashboards.prepare.charts import Point, measured, ranking, stacked
from tollmeter.dashboards.prepare.colours import NOT_SET_COLOUR, PALETTE, palette
from tollmeter.dashboards.window import Window

NOW = datetime(2026, 11, 23, 10, 37, 5)
THREE_DAYS = Window(datetime(2026, 11, 21), datetime(2026, 11, 23, 10, 38), "day", NOW)
PAST = Window(datetime(2026, 11, 1), datetime(2026, 11, 4), "day", NOW)
EARLIER = Window(datetime(2026, 11, 18), datetime(2026, 11, 20, 10, 38), "day", NOW)
NO_COLOURS = palette([])


def spend(day: int, model: str, cost: str | None) -> Point:
    return Point(datetime(2026, 11, day), model, None if cost is None else Decimal(cost))


def test_an_empty_bucket_is_zero_for_sums_and_a_gap_for_what_is_measured() -> None:
    chart = stacked([spend(21, "a", "1.5")], THREE_DAYS, palette(["a"]), units.MONEY)
    assert chart.series[0].values == (Decimal("1.5"), Decimal(0), Decimal(0))
    line = measured({"p50": {datetime(2026, 11, 21): 10.0}}, THREE_DAYS, {"p50": "#000"}, units.DURATION)
    assert line.series[0].values == (10, None, None)
    assert line.caption == "per day, UTC"


def test_nine_entities_and_other_and_the_caption_says_so() -> None:
    rows = [spend(1, f"m{index:02}", str(index)) for index in range(1, 13)]
    chart = stacked(rows, PAST, NO_COLOURS, units.MONEY, dimension="model")
    assert [series.name for series in chart.series] == [*(f"m{index:02}" for index in range(12, 3, -1)), "other"]
    assert chart.series[-1].values[0] == Decimal(1 + 2 + 3)
    assert chart.caption == "per day, UTC · showing 9 of 12 models"


def test_other_never_stands_for_one_entity() -> None:
    rows = [spend(1, f"m{index}", "1") for index in range(10)]
    chart = stacked(rows, PAST, NO_COLOURS, units.MONEY)
    assert (len(chart.series), chart.caption) == (10, "per day, UTC")


def test_an_entity_called_other_is_not_the_rest() -> None:
    rows = [spend(1, f"m{index:02}", str(index + 2)) for index in range(12)] + [spend(1, "other", "100")]
    chart = stacked(rows, PAST, NO_COLOURS, units.MONEY, dimension="model")
    assert [(series.name, series.key) for series in chart.series if series.name == "other"] == [
        ("other", "other"),
        ("other", None),
    ]


def test_an_entity_keeps_its_colour_under_a_filter_and_what_is_not_set_has_one_of_its_own() -> None:
    colours = palette(["a", "b"])
    both = stacked([spend(1, "a", "1"), spend(1, "b", "2")], PAST, colours, units.MONEY)
    one = stacked([spend(1, "b", "2"), spend(1, "", "1")], PAST, colours, units.MONEY)
    assert {series.name: series.colour for series in both.series}["b"] == one.series[0].colour
    assert (one.series[1].name, one.series[1].key, one.series[1].colour) == ("(not set)", "", NOT_SET_COLOUR)


def test_the_first_two_dozen_entities_have_colours_of_their_own() -> None:
    colours = palette(f"model-{number}" for number in range(len(PALETTE)))
    assert len({colours.of(f"model-{number}") for number in range(len(PALETTE))}) == len(PALETTE)


def test_the_last_bucket_is_hatched_or_dotted_only_while_it_fills() -> None:
    filling = time.bars(stacked([spend(21, "a", "1")], THREE_DAYS, NO_COLOURS, units.MONEY))
    assert filling["data"][0]["marker"]["pattern"]["shape"] == ["", "", "/"]
    assert filling["data"][0]["customdata"] == ("$1.000", "$0.00", "$0.00 so far")
    settled = time.bars(stacked([spend(1, "a", "1")], PAST, NO_COLOURS, units.MONEY))
    assert settled["data"][0]["marker"]["pattern"]["shape"] == ["", "", ""]
    points = {datetime(2026, 11, day): 1.0 for day in (21, 22, 23)}
    chart = measured({"p50": points}, THREE_DAYS, {"p50": "#000"}, units.DURATION)
    dotted = [trace for trace in time.lines(chart)["data"] if "line" in trace]
    assert dotted[1]["line"]["dash"] == "dot"
    assert (dotted[0]["y"], dotted[1]["y"]) == ([1, 1, None], [None, 1, 1])


def test_the_period_before_lies_on_the_same_axis_dotted_and_paled() -> None:
    now, before = [spend(21, "a", "3")], [spend(18, "a", "1"), spend(18, "b", "1"), spend(20, "a", "5")]
    chart = stacked(now, THREE_DAYS, NO_COLOURS, units.MONEY, before=(before, EARLIER))
    assert chart.before[0].values == (Decimal(2), Decimal(0), Decimal(5))
    drawn = time.bars(chart)["data"][-1]
    assert (drawn["line"]["dash"], drawn["opacity"]) == ("dot", 0.5)
    lines = measured(
        {"p95": {}}, THREE_DAYS, {"p95": "#000"}, units.DURATION,
        before=({"p95": {datetime(2026, 11, 19): 7.0}}, EARLIER),
    )  # fmt: skip
    assert lines.before[0].values == (None, 7.0, None)


def test_buckets_stand_on_the_clocks_of_the_zone() -> None:
    start, end = datetime(2026, 11, 20, 18, 30), datetime(2026, 11, 22, 18, 30)
    chart = stacked([], Window(start, end, "day", NOW, "Asia/Kolkata"), NO_COLOURS, units.MONEY)
    assert chart.starts == (datetime(2026, 11, 21), datetime(2026, 11, 22))
    assert chart.caption == "per day, Asia/Kolkata"


def test_a_ranking_adds_up_to_the_whole_and_a_click_knows_what_it_filters_by() -> None:
    totals: dict[str | None, Decimal | int | None] = {f"t{index:02}": Decimal(index) for index in range(1, 13)}
    totals["nothing"] = None
    made = ranking(totals, NO_COLOURS, units.MONEY, dimension="tenant")
    assert [bar.name for bar in made.bars] == [*(f"t{index:02}" for index in range(12, 3, -1)), "other"]
    assert sum(bar.value for bar in made.bars) == Decimal(78)
    assert (made.bars[0].share, made.caption) == ("15.4 %", "showing 9 of 12 tenants")
    meta = ranking_figure.across(made)["data"][0]["meta"]
    assert (meta["drill"], meta["values"][0], meta["values"][-1]) == ("tenant", "t12", None)


def test_markup_in_a_name_is_drawn_as_text() -> None:
    chart = stacked([spend(1, "<b>x</b>", "1")], PAST, NO_COLOURS, units.MONEY, dimension="model")
    trace = time.bars(chart)["data"][0]
    assert trace["name"] == "&lt;b>x&lt;/b>"
    assert trace["meta"]["values"] == ["<b>x</b>"]


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


def test_no_graph_offers_to_send_its_data_away() -> None:
    assert (CONFIG["showSendToCloud"], CONFIG["plotlyServerURL"], CONFIG["displaylogo"]) == (False, "", False)
