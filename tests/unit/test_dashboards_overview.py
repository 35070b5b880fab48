"""The overview's numbers and charts, as values."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from tollmeter.dashboards.figures import time
from tollmeter.dashboards.prepare import overview
from tollmeter.dashboards.queries.records import Latency, Spend, Summary
from tollmeter.dashboards.window import Window

NOW = datetime(2026, 11, 23, 10, 37, 5)
THREE_DAYS = Window(datetime(2026, 11, 21), datetime(2026, 11, 23, 10, 38), "day", NOW)


def test_models_without_any_price_are_named() -> None:
    rows = [Spend(THREE_DAYS.start, name, None, 1) for name in ("x", "y", "z")]
    chart = overview.spend_chart([*rows, Spend(THREE_DAYS.start, "a", Decimal(1), 1)], THREE_DAYS, ["a"])
    assert chart.caption == "per day, UTC · no cost known for x, y and 1 more"
    assert [series.name for series in chart.series] == ["a"]


def test_tiles_say_what_is_unknown_and_count_what_is_unpriced() -> None:
    spend_tile, requests, tokens, errors, latency, ttft = overview.headline(
        Summary(calls=2, unpriced_calls=2), Summary()
    )
    assert (spend_tile.text, spend_tile.value, spend_tile.note) == ("—", "", "unpriced calls: 2")
    assert (requests.text, tokens.text, errors.text) == ("0", "0", "0.00 %")
    assert (latency.text, ttft.text) == ("—", "—")


def test_dearer_and_slower_is_bad_busier_is_just_news() -> None:
    now = Summary(Decimal(2), 10, 10, 2, 0, 10, 10, 0, 200.0, 50.0)
    before = Summary(Decimal(1), 5, 5, 1, 0, 5, 5, 0, 100.0, 100.0)
    made = {tile.id: (tile.delta, tile.tone) for tile in overview.headline(now, before)}
    assert made == {
        "spend": ("+100.0 %", "bad"),
        "requests": ("+100.0 %", "neutral"),
        "tokens": ("+100.0 %", "neutral"),
        "errors": ("±0 %", "neutral"),
        "latency": ("+100.0 %", "bad"),
        "ttft": ("-50.0 %", "good"),
    }


@pytest.mark.parametrize(("slowest", "suffix", "drawn"), [(9_999.0, " ms", 9_999.0), (25_000.0, " s", 25.0)])
def test_the_latency_axis_turns_to_seconds(slowest: float, suffix: str, drawn: float) -> None:
    points = [Latency(bucket=THREE_DAYS.start, p50=1.0, p95=2.0, p99=slowest, calls=1)]
    figure = time.lines(overview.latency_chart(points, THREE_DAYS))
    assert figure["layout"]["yaxis"]["ticksuffix"] == suffix
    assert max(value for trace in figure["data"] for value in trace["y"] if value is not None) == drawn
