"""Percentiles, heat maps and distributions: gaps stay gaps, and nobody's percentile is drawn."""

# ruff: noqa: DTZ001 - the lake's times are UTC without zone
from __future__ import annotations

import math
from datetime import datetime

import pytest

from tollmeter.dashboards.figures import heat as figures
from tollmeter.dashboards.prepare import heat, latencies
from tollmeter.dashboards.prepare.colours import palette
from tollmeter.dashboards.prepare.latencies import METRICS
from tollmeter.dashboards.queries.cube import Quantile, Quantiles
from tollmeter.dashboards.queries.steps import STEP_BUCKETS, Step
from tollmeter.dashboards.window import Window
from tollmeter.model.derived import bucket_of

THREE_DAYS = Window(datetime(2026, 11, 20), datetime(2026, 11, 23), "day", datetime(2026, 11, 25))
NONE = Quantiles((), 0, "rows")


def quantile(day: int, name: str | None, p95: float, samples: int = 10) -> Quantile:
    return Quantile(datetime(2026, 11, day), name, samples, p95 / 4, p95 / 3, p95 / 2, p95, p95 * 2)


def found(*rows: Quantile, values: int = 0) -> Quantiles:
    return Quantiles(rows, values or len({row.name for row in rows}), "hours")


def href(value: str) -> str:
    return f"?model={value}"


def step_of(value: float) -> int:
    return (bucket_of(value) - 1) // STEP_BUCKETS


def test_a_bucket_in_which_nothing_was_measured_is_a_gap() -> None:
    chart = latencies.percentiles(METRICS["latency"], found(quantile(20, "", 100), quantile(22, "", 300)), THREE_DAYS)
    assert [series.values for series in chart.series] == [(25, None, 75), (100, None, 300), (200, None, 600)]
    assert chart.caption == "per day, UTC · 20 measured"


def test_the_rest_is_not_merged_into_a_percentile_and_the_caption_says_so() -> None:
    rows = [quantile(20, f"m{number}", 100) for number in range(9)]
    chart = latencies.by_group(
        METRICS["latency"], found(*rows, quantile(20, None, 9000), values=30), THREE_DAYS, palette([]), "model"
    )
    assert len(chart.series) == 9
    assert chart.unit.suffix == " ms"
    assert chart.caption == "per day, UTC · p95 · showing 9 of 30 models, those with most calls"


def test_the_table_is_slowest_first_and_keeps_what_is_not_measured_apart_from_zero() -> None:
    now = {
        "latency": found(quantile(20, "fast", 100), quantile(20, "slow", 900), quantile(20, None, 5)),
        "ttft": found(quantile(20, "fast", 40)),
        "speed": NONE,
    }
    before, trend = found(quantile(10, "slow", 450)), found(quantile(20, "slow", 900), quantile(22, "slow", 800))
    rows = latencies.latency_rows(now, before, trend, THREE_DAYS, href)
    assert [(row["name"], row["p95"], row["change_text"]) for row in rows] == [
        ("slow", 900, "+100.0 %"),
        ("fast", 100, "—"),
    ]
    assert (rows[0]["ttft_p95"], rows[1]["ttft_p95"], rows[1]["speed_p50"]) == (None, 40, None)
    assert rows[0]["trend"] == [900, None, 800]


def test_a_slower_period_is_bad_news_and_a_faster_output_is_good_news() -> None:
    now = {key: found(quantile(20, "", 200)) for key in METRICS}
    before = {key: found(quantile(20, "", 100)) for key in METRICS} | {"request": NONE}
    tiles = {tile.id: tile for tile in latencies.headline(now, before)}
    assert (tiles["latency-p95-latency"].tone, tiles["latency-p95-latency"].value) == ("bad", "200")
    assert (tiles["latency-p50-speed"].tone, tiles["latency-p50-speed"].text) == ("good", "50.0 /s")
    assert tiles["latency-p95-request"].delta == "—"


def test_a_heat_map_has_every_bucket_and_step_and_a_gap_is_no_count() -> None:
    rows = [Step(datetime(2026, 11, 20), 40, 4), Step(datetime(2026, 11, 22), 42, 16)]
    shown = heat.heat_map(rows, THREE_DAYS)
    assert shown.first == 40
    assert shown.counts == ((4, None, None), (None, None, None), (None, None, 16))
    assert (shown.shades[0][0], shown.shades[2][2], shown.shades[1][1]) == (0.5, 1.0, None)
    low, high = math.exp(40 * 8 * math.log(1.02)), math.exp(41 * 8 * math.log(1.02))
    assert shown.labels[0][0] == f"{low:.0f} ms to {high:.0f} ms: 4 (100.00 %)"
    figure = figures.heat_map(shown)
    assert figure["data"][0]["y"] == [40.5, 41.5, 42.5]
    assert figure["layout"]["yaxis"]["range"] == [40, 43]


@pytest.mark.parametrize("value", [0.004, 1.0, 37.0, 812.5, 90_000.0])
def test_a_value_stands_inside_of_the_step_that_counts_it(value: float) -> None:
    assert step_of(value) < heat.position(value) <= step_of(value) + 1


def test_a_distribution_shows_empty_steps_and_where_percentiles_lie() -> None:
    rows = [Step(datetime(2026, 11, 20), step_of(100), 90), Step(datetime(2026, 11, 21), step_of(1000), 10)]
    spread = heat.distribution(rows)
    assert (sum(spread.counts), spread.counts[0], spread.counts[-1], spread.counts[1]) == (100, 90, 10, 0)
    places = {name: place for name, place, _ in spread.quantiles}
    assert (places["p50"], places["p95"]) == (step_of(100) + 0.5, step_of(1000) + 0.5)
    assert heat.distribution([]).quantiles == ()
