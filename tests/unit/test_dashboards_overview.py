"""The overview's numbers and charts, as values."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from tollmeter.dashboards.figures import time
from tollmeter.dashboards.prepare import overview
from tollmeter.dashboards.prepare.colours import palette
from tollmeter.dashboards.queries.cube import Figures, Quantile, Quantiles, Sum, Sums
from tollmeter.dashboards.window import Window

NOW = datetime(2026, 11, 23, 10, 37, 5)
START = datetime(2026, 11, 21)
THREE_DAYS = Window(START, datetime(2026, 11, 23, 10, 38), "day", NOW)
NO_TIMES = {"latency": (None, None), "ttft": (None, None)}


def cost(name: str | None, usd: str | None) -> Sum:
    return Sum(bucket=START, name=name, calls=1, cost_usd=None if usd is None else Decimal(usd))


def test_models_without_any_price_are_named() -> None:
    rows = tuple(cost(name, None) for name in ("x", "y", "z"))
    found = Sums((*rows, cost("a", "1")), 4, "rows")
    chart = overview.spend_chart(found, THREE_DAYS, palette(["a"]), "model")
    assert chart.caption == "per day, UTC · no cost known for x, y and 1 more"
    assert [series.name for series in chart.series] == ["a"]


def test_what_the_query_did_not_tell_apart_is_part_of_other_and_counted() -> None:
    rows = tuple(cost(f"m{index}", str(20 - index)) for index in range(10))
    chart = overview.spend_chart(Sums((*rows, cost(None, "7")), 487, "hours"), THREE_DAYS, palette([]), "model")
    assert [series.name for series in chart.series][-2:] == ["m8", "other"]
    assert chart.series[-1].values[0] == Decimal(11) + Decimal(7)
    assert chart.caption == "per day, UTC · showing 9 of 487 models"
    ranked = overview.cost_ranking(Sums((*rows, cost(None, "7")), 487, "hours"), palette([]), "model")
    assert sum(bar.value for bar in ranked.bars) == sum(range(11, 21)) + 7
    assert ranked.caption == "showing 9 of 487 models"


def test_tiles_say_what_is_unknown_and_count_what_is_unpriced() -> None:
    made = overview.headline(Figures(calls=2, unpriced_calls=2, requests=0), Figures(), NO_TIMES)
    spend, requests, tokens, errors, latency, ttft = made
    assert (spend.text, spend.value, spend.note, spend.warn) == ("—", "", "unpriced calls: 2", True)
    assert (requests.text, tokens.text, errors.text) == ("0", "0", "0.00 %")
    assert (latency.text, ttft.text) == ("—", "—")


def test_where_requests_are_not_told_apart_calls_are_counted_and_it_is_said() -> None:
    tile = overview.headline(Figures(calls=7), Figures(calls=14), NO_TIMES)[1]
    assert (tile.label, tile.value, tile.delta) == ("Model calls", "7", "-50.0 %")


def test_dearer_and_slower_is_bad_busier_is_just_news() -> None:
    now = Figures(cost_usd=Decimal(2), requests=10, calls=10, errors=2, input_tokens=10, output_tokens=10)
    before = Figures(cost_usd=Decimal(1), requests=5, calls=5, errors=1, input_tokens=5, output_tokens=5)
    times = {"latency": (200.0, 100.0), "ttft": (50.0, 100.0)}
    made = {tile.id: (tile.delta, tile.tone) for tile in overview.headline(now, before, times)}
    assert made == {
        "spend": ("+100.0 %", "bad"),
        "requests": ("+100.0 %", "neutral"),
        "tokens": ("+100.0 %", "neutral"),
        "errors": ("±0 %", "neutral"),
        "latency": ("+100.0 %", "bad"),
        "ttft": ("-50.0 %", "good"),
    }


def test_what_is_left_open_is_shown_with_its_share() -> None:
    total = Figures(calls=200, unpriced_calls=4, estimated_calls=0, cost_usd=Decimal(10))
    rows = overview.unknowns(total, {"team": Figures(calls=50, cost_usd=Decimal("2.5"))})
    assert [tuple(row.values())[:5] for row in rows] == [
        ("Calls without a price", "4", "2.00 %", "", ""),
        ("Calls whose usage was estimated", "0", "0.00 %", "", ""),
        ("Calls whose usage is missing", "—", "—", "", ""),
        ("Spend without a team", "50", "25.00 %", "$2.500", "25.0 %"),
    ]


@pytest.mark.parametrize(("slowest", "suffix", "drawn"), [(9_999.0, " ms", 9_999.0), (25_000.0, " s", 25.0)])
def test_the_latency_axis_turns_to_seconds(slowest: float, suffix: str, drawn: float) -> None:
    rows = (Quantile(START, "", 1, 1.0, 1.0, 1.0, 2.0, slowest),)
    figure = time.lines(overview.latency_chart(Quantiles(rows, 0, "rows"), THREE_DAYS))
    assert figure["layout"]["yaxis"]["ticksuffix"] == suffix
    assert max(value for trace in figure["data"] for value in trace["y"] if value is not None) == drawn
